"""Sphinx's settings for the site. `tools/make_site.py` lays the pages out and starts Sphinx: use `make site`.

What differs between the two languages stands in edition.json beside this file.
"""

import json
from pathlib import Path

edition = json.loads((Path(__file__).parent / "edition.json").read_text("utf-8"))
project = edition["title"]
language = edition["language"]
english_pages = edition["english_pages"]
pages_of_the_other = edition["pages_of_the_other"]
author = "the trt-lessons contributors"
extensions = ["myst_nb", "site_switch"]
templates_path = ["docs/site/templates"]
exclude_patterns = ["_build"]
smartquotes = False  # trtexec has two hyphens
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["docs/_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "search_bar_text": edition["search"],
    "navbar_align": "left",
    "navbar_persistent": ["language-switch"],  # the search field stands in the side bar
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
nb_code_prompt_show, nb_code_prompt_hide = edition["folded"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python", "mystnb.unknown_mime_type", "mystnb.mime_priority", "misc.highlighting_failure"]
