"""The site: made in time, whole, on its own, and clicked through in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("myst_nb", reason="Sphinx and MyST-NB are not installed (extra `site`)")
ROOT = Path(__file__).resolve().parents[2]
NO_NETWORK = """import socket, sys
def refuse(*args, **how):
    open({told!r}, "a").write(f"{{args}}\\n")
    raise OSError("no network here")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
"""
NEEDED = ["docs", "notebooks", "tools", "trt_lessons", "data"]


def make(output: Path, root: Path = ROOT, *more: str, lock: Path | None = None) -> subprocess.CompletedProcess:
    """Run the maker of the site. lock: a folder whose sitecustomize.py keeps it from the network."""
    command = [sys.executable, root / "tools" / "make_site.py", "--output", output, *more]
    paths = [str(lock or ""), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=env)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, in a folder with spaces, made within three minutes and without a network."""
    folder = tmp_path_factory.mktemp("a site") / "made here"
    lock = folder.parent / "no network"
    lock.mkdir()
    (lock / "sitecustomize.py").write_text(NO_NETWORK.format(told=str(lock / "asked.txt")))
    start = time.monotonic()
    done = make(folder, ROOT, "--repository", "owner/name", lock=lock)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 180
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A small copy of the repository: one lesson, to be spoiled."""
    root = tmp_path / "a copy"
    for name in NEEDED:
        skip = shutil.ignore_patterns("__pycache__", "0[1-9]*", "zh-CN", "recordings")
        shutil.copytree(ROOT / name, root / name, ignore=skip)
    return root


def click(browser: Any, css: str) -> None:
    """Click the first element that fits, by script where something lies above it."""
    found = browser.find_element("css selector", css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    found.click()


def wait(what: Any, seconds: float = 20) -> Any:
    """What `what()` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return found


def test_every_lesson_and_every_name_has_a_page(site: Path) -> None:
    import trt_lessons as tl

    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        html = (site / "notebooks" / f"{path.stem}.html").read_text("utf-8")
        pictures = [o for c in json.loads(path.read_text("utf-8"))["cells"] for o in c.get("outputs", [])]
        assert html.count("<img") >= sum("image/png" in o.get("data", {}) for o in pictures), path.stem
    for name in tl.__all__:
        assert name.startswith("_") or (site / "api" / f"{name}.html").exists(), name


def test_no_page_needs_another_host(site: Path) -> None:
    needs = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)\"")
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = path.read_text("utf-8")
        assert not needs.findall(text), path.name
        assert not re.search(r"(?:@import\s+|url\()[\"']?(?:https?:)?//", text), path.name


def test_every_link_inside_leads_somewhere(site: Path) -> None:
    seen, texts = 0, {path: path.read_text("utf-8") for path in map(Path.resolve, site.rglob("*.html"))}
    for path in site.rglob("*.html"):
        for target in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', path.read_text("utf-8")):
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", file):
                continue
            to = (path.parent / file).resolve() if file else path.resolve()
            assert to.exists(), f"{path.name}: {target}"
            if anchor and to.suffix == ".html":
                assert f'id="{anchor}"' in texts[to], f"{path.name}: {target}"
            seen += 1
    assert seen > 1000


def test_every_page_leads_to_its_twin_and_says_its_language(site: Path) -> None:
    """A page without a twin leads to the first page, and says so; that links exist is tested above."""
    only_english = 0
    for path in (path for path in site.rglob("*.html") if "_static" not in path.parts):
        text, name = path.read_text("utf-8"), path.relative_to(site).as_posix()
        chinese = name.startswith("zh-CN/")
        assert f'<html lang="{"zh-CN" if chinese else "en"}"' in text, name
        switch = re.search(
            r'<a class="language-switch" href="([^"]+)" hreflang="([\w-]+)" lang="\2">(.*?)</a>', text, re.S
        )
        assert switch and switch[2] == ("en" if chinese else "zh-CN"), name
        twin = site / name.removeprefix("zh-CN/") if chinese else site / "zh-CN" / name
        first = site / ("index.html" if chinese else "zh-CN/index.html")
        assert (path.parent / switch[1]).resolve() == (twin if twin.exists() else first).resolve(), name
        assert ("只有英文" in switch[3] or "not this page" in switch[3]) == (not twin.exists()), name
        only_english += not twin.exists() and not chinese
    names = {path.name for path in (site / "zh-CN").rglob("*.html")}
    assert only_english > 50 and {f"{p.stem}.html" for p in (ROOT / "notebooks").glob("[0-9]*.ipynb")} <= names


def test_what_is_english_on_a_chinese_page_is_marked(site: Path) -> None:
    text = (site / "zh-CN" / "notebooks" / "02_inference_flow.html").read_text("utf-8")
    marked = text.count('<div lang="en" class="cell_')
    assert marked > 40 and marked == len(re.findall(r'class="cell_(?:in|out)put', text))
    terms = (site / "zh-CN" / "docs" / "glossary.html").read_text("utf-8")
    assert re.search(r'<dt id="[\w-]+">计时缓存', terms) and '<dt lang="en" id="term-timing-cache">' in terms


def test_search_finds_chinese_words(site: Path, browser: Any, serve: Any) -> None:
    for words, page in (("计时缓存", "docs/glossary.html"), ("不同形状的输入", "notebooks/05_dynamic_shapes.html")):
        browser.get(f"{serve(site)}/zh-CN/search.html?q={words}")
        links = wait(lambda: browser.find_elements("css selector", "#search-results li a"))
        assert any(page in link.get_attribute("href") for link in links), words


def test_the_switch_and_a_term_in_a_chinese_lesson(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/notebooks/02_inference_flow.html")
    click(browser, "a.language-switch")
    wait(lambda: "/zh-CN/notebooks/02_" in browser.current_url)
    folded = browser.find_element("css selector", "details.happened")
    assert folded.text.startswith("刚才发生了什么") and not folded.find_element("css selector", "p").is_displayed()
    answers = browser.find_elements("css selector", "details.answers")
    assert len(answers) == 5 and "不对" in answers[0].get_attribute("textContent")
    click(browser, 'article a[href*="glossary.html#term-"]')
    wait(lambda: "/zh-CN/docs/glossary.html#term-" in browser.current_url)


def test_a_lesson_without_a_translation_is_in_english_and_says_so(copy: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import site_pages

    file = copy / "notebooks" / "zh-CN" / "00_start_here.md"
    shutil.copytree(ROOT / "notebooks" / "zh-CN", file.parent, ignore=shutil.ignore_patterns("0[1-9]*"))

    def page(name: str) -> tuple[list[str], str]:
        source = tmp_path / name / "source"
        return site_pages._lessons(copy, source, "", site_pages.CHINESE), str(
            json.loads((source / "notebooks" / "00_start_here.ipynb").read_text("utf-8"))["cells"][:3]
        )

    english, text = page("whole")
    assert not english and "从这里开始" in text and "还没有全部译完" not in text
    head, first, _ = file.read_text("utf-8").split("<!-- cell:", 2)
    file.write_text(f"{head}<!-- cell:{first}", "utf-8")
    english, text = page("one cell")
    assert not english and "从这里开始" in text and "还没有全部译完" in text
    file.unlink()
    english, text = page("none")
    assert english == ["notebooks/00_start_here"] and "从这里开始" not in text and "还没有全部译完" in text


def test_search_finds_a_term_and_its_glossary_entry(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/search.html?q=timing+cache")
    links = wait(lambda: browser.find_elements("css selector", "#search-results li a"))
    assert any("glossary.html#term-timing-cache" in link.get_attribute("href") for link in links)
    next(link for link in links if "term-timing-cache" in link.get_attribute("href")).click()
    assert "计时缓存" in browser.find_element("css selector", "#term-timing-cache + dd").text


def test_a_term_in_a_lesson_leads_to_the_glossary(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/notebooks/02_inference_flow.html")
    click(browser, 'article a[href*="glossary.html#term-"]')
    wait(lambda: "docs/glossary.html#term-" in browser.current_url)
    assert browser.find_element("id", browser.current_url.partition("#")[2]).tag_name == "dt"


def test_an_api_page_has_arguments_shapes_and_units(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/index.html")
    click(browser, 'article a[href="api/index.html"]')
    click(browser, 'article a[href="measure.html"]')
    text = browser.find_element("css selector", "article").text
    assert "tl.measure(" in text and " ms" in text and "session" in text
    browser.get(f"{serve(site)}/api/Session.html")
    assert "shape" in browser.find_element("css selector", "article").text


def test_a_prediction_is_folded_and_opens(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/notebooks/02_inference_flow.html")
    folded = browser.find_element("css selector", "details.hide")
    answer = folded.find_element("css selector", ".cell_output, .output")
    assert not answer.is_displayed()
    click(browser, "details.hide > summary")
    wait(answer.is_displayed, 5)
    click(browser, "details.hide > summary")
    assert not answer.is_displayed()


def test_the_outcome_of_a_prediction_is_folded_and_the_question_is_not() -> None:
    cells = [
        markdown("**Predict:** which?"),
        code('tl.predict("02.a", "one", "two")'),
        code("print(1)"),
        code('print(2)\ntl.outcome("02.a", "one")'),
        markdown("**What happened.** It was one.\n\nNow the next thing."),
        code("print(3)"),
        markdown("**What happened.** Nothing was asked here."),
    ]
    site_lessons().fold_answers(cells)
    hidden = ["hide-output" in cell["metadata"].get("tags", []) for cell in cells]
    assert hidden == [False, False, True, True, False, False, False]
    assert cells[4]["source"].startswith("<details") and cells[4]["source"].endswith("Now the next thing.")
    assert "<details" not in cells[6]["source"]


def test_questions_are_text_and_their_answers_are_folded(tmp_path: Path) -> None:
    choices = [{"text": "first", "why": "No."}, {"text": "second", "why": "Yes."}]
    question = {"ask": "Which?", "choices": choices, "right": 1}
    (tmp_path / "02_x.quiz.json").write_text(json.dumps({"questions": [question]}))
    cell = code('tl.quiz("02")')
    site_lessons().write_questions(cell, tmp_path)
    shown, _, folded = cell["source"].partition("<details")
    assert cell["cell_type"] == "markdown" and "outputs" not in cell
    assert "**1. Which?**" in shown and "- b) second" in shown and "Yes" not in shown
    assert "- a) not right: No." in folded and "- b) right: Yes." in folded


def test_answers_are_folded_on_the_page(site: Path, browser: Any, serve: Any) -> None:
    browser.get(f"{serve(site)}/notebooks/02_inference_flow.html")
    folded = browser.find_elements("css selector", "details.answers")
    assert len(folded) == 5 and not folded[0].find_element("css selector", "li").is_displayed()
    click(browser, "details.answers > summary")
    wait(folded[0].find_element("css selector", "li").is_displayed, 5)


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text: str) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": text, "outputs": [{"output_type": "stream"}]}


def site_lessons() -> Any:
    sys.path.insert(0, str(ROOT / "tools"))
    import site_lessons

    return site_lessons


def test_a_phones_width(site: Path, browser: Any, serve: Any) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        pages = ["index", "docs/glossary", "docs/cheatsheet", "docs/gallery", "api/measure"]
        pages += [f"zh-CN/{page}" for page in ("index", "docs/glossary", "docs/cpp", "notebooks/05_dynamic_shapes")]
        for page in [*pages, *(f"notebooks/{p.stem}" for p in (ROOT / "notebooks").glob("[0-9]*.ipynb"))]:
            browser.get(f"{serve(site)}/{page}.html")
            width = browser.execute_script("return document.documentElement.scrollWidth")
            assert width <= 390, f"{page} is {width} wide"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("place", ["docs", "zh-CN/docs"])
def test_the_cheat_sheet_prints_on_one_page(place: str, site: Path, browser: Any, serve: Any) -> None:
    import base64

    browser.get(f"{serve(site)}/{place}/cheatsheet.html")
    options = {"paperWidth": 8.27, "paperHeight": 11.69, "scale": 0.8, "printBackground": False}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


def test_the_browser_asked_nobody_else(browser: Any) -> None:
    sent = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 20
    assert all(re.match(r"http://127\.0\.0\.1:|data:|blob:|chrome", url) for url in asked)


def test_buttons_only_where_the_repository_is_known(site: Path, copy: Path, tmp_path: Path) -> None:
    text = (site / "notebooks" / "00_start_here.html").read_text("utf-8")
    assert (
        "github/owner/name/blob/main/notebooks/00_start_here.ipynb" in text and "mybinder.org/v2/gh/owner/name" in text
    )


def test_a_lesson_that_fails_is_named_and_the_old_site_stays(copy: Path, tmp_path: Path) -> None:
    lesson = copy / "notebooks" / "00_start_here.ipynb"
    content = json.loads(lesson.read_text("utf-8"))
    cell = next(c for c in content["cells"] if c["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]
    lesson.write_text(json.dumps(content), "utf-8")
    old = tmp_path / "old"
    old.mkdir()
    (old / "objects.inv").write_text("old")
    done = make(old, copy)
    assert done.returncode and "00_start_here" in done.stderr and cell["id"] in done.stderr
    assert (old / "objects.inv").read_text() == "old"
    lesson.write_text("{", "utf-8")
    assert "00_start_here cannot be shown" in make(old, copy).stderr


def test_it_is_made_without_a_network(site: Path) -> None:
    """Nobody was asked for an address while the site was made: that was locked, and the lock holds."""
    lock, asked = site.parent / "no network", site.parent / "no network" / "asked.txt"
    assert not asked.exists()
    probe = [sys.executable, "-c", "import socket; socket.getaddrinfo('example.invalid', 80)"]
    assert subprocess.run(probe, capture_output=True, env=os.environ | {"PYTHONPATH": str(lock)}).returncode
    assert "example.invalid" in asked.read_text()
    asked.unlink()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = make(tmp_path)
    assert done.returncode and "is not a site" in done.stderr and (tmp_path / "mine.txt").exists()


def test_two_at_once_wait_for_each_other(copy: Path, tmp_path: Path) -> None:
    for path in [*copy.rglob("*.ipynb"), *copy.rglob("*.md")]:  # the copy lacks most lessons that others link to
        path.write_text(re.sub(r"\]\([^)]*\.ipynb\)", "](https://example.invalid)", path.read_text("utf-8")), "utf-8")
    command = [sys.executable, copy / "tools" / "make_site.py", "--output", tmp_path / "two at once"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for process in both:
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 0, said
    assert (tmp_path / "two at once" / "index.html").exists()
    assert not list(tmp_path.glob(".site-*"))


def test_the_glossary_is_complete_and_each_term_once() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import site_lessons

    terms = site_lessons.read_glossary(ROOT / "docs" / "glossary.csv")
    forms = [form.lower() for t in terms for form in {t.english.lower(), *t.also}]
    assert len(terms) > 90 and len(forms) == len(set(forms))
    assert [t.english.lower() for t in terms] == sorted(t.english.lower() for t in terms)


def test_a_row_that_is_not_complete_is_named(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import site_lessons

    (tmp_path / "glossary.csv").write_text("English,also,Chinese,meaning\nplan,,,An engine as bytes.\n", "utf-8")
    with pytest.raises(ValueError, match="row 2"):
        site_lessons.read_glossary(tmp_path / "glossary.csv")
