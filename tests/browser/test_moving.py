"""The four sliders in their lessons, in a learner's JupyterLab: by keys and by mouse, they show what is recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import ROOT, click, do, find, kernel_is, running_lab, wait

import trt_lessons as tl

PLACES = {
    "02_inference_flow": (1, 2, 4, 8, 16, 32, 64),
    "04_1_precision": (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    "04_3_streams_and_graphs": (1, 2, 3, 4, 8),
    "05_2_profiles_that_pay": (16, 32, 64, 96, 128, 160, 192, 256),
}
CLOSE = """const [done] = arguments, book = window.jupyterapp.shell.currentWidget;
book.context.save().then(() => book.sessionContext.shutdown()).then(() => { book.dispose(); done() }, done)"""


def batch(n: int) -> str:
    """The words at this batch, from the recording itself."""
    plain, graph = (
        tl.recordings.recall(f"digits, batch {n}{end}", "04_6_a_host_that_keeps_up") for end in ("", ", graph")
    )
    return f"batch {n}: plain {plain.value.median():.4g} ms, CUDA graph {graph.value.median():.4g} ms"


def depth(n: int) -> str:
    """The words at this depth, from the recording itself."""
    found = tl.recordings.recall(f"filter, depth {n}", "04_3_streams_and_graphs").value
    return f"depth {n}: picture filter {found.throughput / found.batch:.4g} queries/s"


def profile(width: int) -> str:
    """The words at this width, from the recordings themselves."""
    moved = tl.recordings.recall("opt moved", "05_2_profiles_that_pay")
    widths = tl.recordings.recall("latency over width", "05_2_profiles_that_pay")
    curves = {f"16 to 256, {name}": moved[name] for name in ("opt 64", "opt 256")}
    curves |= {name: widths[name] for name in ("narrow", "three profiles")}
    here = ", ".join(f"{name} {curve[width]:.4g} ms" for name, curve in curves.items() if width in curve)
    return f"width, pixels {width}: {here}"


def int8_scale(percent: int) -> str:
    """The words at this reach, computed here from the weights of the digits network."""
    from trt_lessons.models import digits

    weights = np.abs(np.concatenate([p.detach().numpy().ravel() for p in digits.trained().parameters()]))
    scale = weights.max() * percent / 100 / 127
    rounded = np.rint(weights / scale)
    clipped = 100 * np.count_nonzero(rounded > 127) / rounded.size
    error = 100 * np.abs(np.minimum(rounded, 127) * scale - weights).mean() / weights.max()
    return f"reach of the scale, % of the largest {percent}: numbers clipped {clipped:.4g} %, mean error {error:.4g} %"


WORDS: dict[str, Callable[[int], str]] = dict(zip(PLACES, (batch, int8_scale, depth, profile), strict=True))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Any]:
    """JupyterLab with a learner's copies of all lessons; all cells are drawn, so that nothing moves under the mouse."""
    folder = tmp_path_factory.mktemp("a learner")
    settings = folder / "jupyter" / "lab" / "user-settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    with running_lab(ROOT, folder) as address:
        browser.set_window_size(1366, 1600)
        browser.get(address)
        wait(find(browser, ".jp-RenderedMarkdown h1"))
        yield browser
        browser.set_window_size(1366, 768)


@pytest.fixture(params=PLACES)
def lesson(request: pytest.FixtureRequest, lab: Any) -> Iterator[tuple[str, Any]]:
    """A lesson whose imports and slider were run; its name and the slider's handle."""
    browser = lab
    do(browser, "docmanager:open", path=f"{request.param}.ipynb")
    path = "return window.jupyterapp.shell.currentWidget?.context?.path"
    wait(lambda: browser.execute_script(path) == f"{request.param}.ipynb" and kernel_is(browser, "idle"))
    cells = json.loads((ROOT / "notebooks" / f"{request.param}.ipynb").read_text("utf-8"))["cells"]
    needed = [i for i, cell in enumerate(cells) if cell["id"] in ("setup", "load", "slider")]
    for index in needed:
        go = "const book = window.jupyterapp.shell.currentWidget.content; book.activeCellIndex = arguments[0]"
        browser.execute_script(go, index)
        do(browser, "notebook:run-cell")
    yield request.param, wait(find(browser, ".widget-slider .noUi-handle"), 60)[0]
    browser.execute_async_script(CLOSE)


SHOWN = """const shown = [...document.querySelectorAll(".widget-html-content")];
const words = shown.map(e => e.innerText.trim()).filter(text => text);
return [words, shown.flatMap(e => [...e.querySelectorAll("img")].map(i => i.src))];"""


def shown(browser: Any, words: str, before: str) -> str:
    """The picture below the slider, once the line above it says this and the picture is another than before."""
    lines, pictures = browser.execute_script(SHOWN)
    return pictures[0] if lines == [words] and pictures and pictures[0] != before else ""


def test_a_slider_shows_what_is_recorded(lesson: tuple[str, Any], browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    name, handle = lesson
    places, words = PLACES[name], WORDS[name]
    middle = len(places) // 2
    picture = wait(lambda: shown(browser, words(places[middle]), ""))
    click(browser, handle)
    for key, place in ((Keys.ARROW_RIGHT, middle + 1), (Keys.ARROW_LEFT, middle), (Keys.ARROW_LEFT, middle - 1)):
        browser.switch_to.active_element.send_keys(key)
        picture = wait(lambda at=places[place], old=picture: shown(browser, words(at), old), 20)
    track = find(browser, ".widget-slider .noUi-target")()[0]
    for share, place in ((0.6, -1), (-0.6, 0)):  # dragged past the right end, then past the left one
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
        ActionChains(browser).click_and_hold(handle).move_to_element_with_offset(
            track, int(share * track.size["width"]), 0
        ).release().perform()
        picture = wait(lambda at=places[place], old=picture: shown(browser, words(at), old), 20)
    if folder := os.environ.get("TRT_LESSONS_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"slider-{name}.png"))
