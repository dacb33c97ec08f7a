"""Sphinx's settings for the site. `tools/make_site.py` lays the pages out and starts Sphinx: use `make site`."""

project = "TensorRT by doing"
author = "the trt-lessons contributors"
extensions = ["myst_nb"]
exclude_patterns = ["_build"]
smartquotes = False  # trtexec has two hyphens
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["docs/_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_persistent": [],  # the search field stands in the side bar
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
}
html_sidebars = {"**": ["search-field", "sidebar-nav-bs"]}

# Notebooks are shown as they are stored, nothing is executed; and no page asks another host for a script.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python", "mystnb.unknown_mime_type", "mystnb.mime_priority", "misc.highlighting_failure"]
