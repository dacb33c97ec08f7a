"""The gallery in docs: every plot function is in it or excused, drawn from recordings, described, its origin told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from trt_lessons import plots

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import make_gallery as gallery  # noqa: E402

DOCS = ROOT / "docs"
BY_SLUG = {entry.slug: entry for entry in gallery.ENTRIES}


@pytest.fixture(scope="module")
def figures():
    return {slug: gallery.draw(entry) for slug, entry in BY_SLUG.items()}


@pytest.fixture(scope="module")
def page():
    return (DOCS / "gallery.md").read_text(encoding="utf-8")


def pictures(page: str) -> dict[str, str]:
    """slug -> alternative text of every picture on the page."""
    found = re.findall(r"^!\[(.*)\]\(gallery/(\w+)\.png\)$", page, re.MULTILINE)
    return {slug: words.replace("\\[", "[").replace("\\]", "]") for words, slug in found}


def test_every_plot_function_is_shown_or_excused():
    shown = {entry.function for entry in gallery.ENTRIES}
    assert shown | set(gallery.NOT_SHOWN) == set(plots.__all__)
    assert not shown & set(gallery.NOT_SHOWN) and all(gallery.NOT_SHOWN.values())
    assert len(BY_SLUG) == len(gallery.ENTRIES), "two entries would write one file"


@pytest.mark.parametrize("slug", BY_SLUG)
def test_recordings_exist(slug):
    assert gallery.missing(BY_SLUG[slug]) == []


def test_the_page_shows_every_figure(page):
    assert set(pictures(page)) == set(BY_SLUG), "python tools/make_gallery.py"


def test_page_is_as_the_tool_makes_it(figures, page):
    assert page == gallery.page(figures, {}), "make it again"


@pytest.mark.parametrize("slug", BY_SLUG)
def test_picture(slug, figures, page):
    from PIL import Image

    words = pictures(page)[slug]
    picture = Image.open(DOCS / "gallery" / f"{slug}.png")
    assert len(words) > 40 and "recorded on NVIDIA" in words
    assert picture.text["Description"] == words == plots.alt(figures[slug]), "the picture is not the one of the page"
    lowest, _ = picture.convert("RGBA").getchannel("A").getextrema()
    assert lowest == 255, "the background is opaque"
    assert f"{gallery.origin(figures[slug])}.\n\n```python" in page, "the caption says where it was recorded"


def test_pictures_are_few_and_small():
    files = sorted((DOCS / "gallery").iterdir())
    assert {path.stem for path in files} == set(BY_SLUG), "a picture that the page does not show"
    assert sum(path.stat().st_size for path in files) < gallery.MOST_BYTES


@pytest.mark.parametrize("slug", ["latency_distribution", "roofline"])
def test_code_runs_as_it_is_shown(slug, page, monkeypatch):
    import trt_lessons as tl

    monkeypatch.setenv("TRT_LESSONS_RECORDED_GPU", gallery.machine(BY_SLUG[slug]))
    before, after = page.split(f"(gallery/{slug}.png)")[0], page.split(f"(gallery/{slug}.png)")[1]
    head, code = (re.search(r"```python\n(.*?)```", text, re.DOTALL)[1] for text in (before, after))
    names: dict = {}
    exec(head, names)
    exec(code.replace("tl.plots.", "drawn = tl.plots."), names)
    assert isinstance(names["drawn"], tl.plots.style.LessonFigure)


def test_missing_recordings_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path / "none"))
    assert gallery.main(["--docs", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "03_build_flow: levels" in told and "benchmarks: card" in told and "--allow-missing" in told
    assert not (tmp_path / "gallery.md").exists()
    assert gallery.main(["--docs", str(tmp_path), "--allow-missing"]) == 0
    page = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    assert not pictures(page) and "## Waiting for their recordings" in page


def test_an_entry_names_what_it_uses():
    entry = gallery.Entry("x", "?", "03_build_flow", ("levels",), "tl.plots.bars({'a': 1}, note='recorded on x')")
    with pytest.raises(ValueError, match="names \\['levels'\\] and uses \\[\\]"):
        gallery.draw(entry)
    rows = 'levels = recall("levels")\ntl.plots.bars({n: x["ms"] for n, x in levels.value.items()})'
    with pytest.raises(ValueError, match="does not say where it was recorded"):
        gallery.draw(gallery.Entry("x", "?", "03_build_flow", ("levels",), rows))
