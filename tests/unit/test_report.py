"""The report: one file that needs nothing beside itself, never written over another."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from trt_lessons.advice import report, search
from trt_lessons.errors import CacheError

sys.path.insert(0, str(Path(__file__).parent))
from test_search import _lesson, encoder, linear, words  # noqa: F401


class Page(HTMLParser):
    """Tags that were opened and closed, text, and attributes of an HTML document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.images, self.addresses = [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        about = dict(attrs)
        self.addresses += [about[key] for key in ("src", "href", "action") if key in about]
        if tag == "svg":
            self.images.append(about)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        """`<rect .../>` is closed already."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> search.Found:
    """A small search: three classes, 40 rows with labels."""
    folder = tmp_path_factory.mktemp("model")
    model = linear(folder / "three classes.onnx", ["n", 3])
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    np.savez(folder / "x.npz", x=x, labels=x.argmax(1))
    return search.search(search.subject(model, folder / "x.npz"), 1.5, say=lambda line: None)


def test_somebody_elses_model_to_a_report_that_stands_alone(encoder: Path, words: Path, tmp_path: Path) -> None:  # noqa: F811
    mine = search.search(search.subject(encoder, words), say=lambda line: None)
    path = report.write(mine, where=tmp_path)
    text = path.read_text()
    assert path.name == "encoder.html" and report.from_outside(text) == []
    page = Page(text)
    assert page.open == [], "every tag is closed"
    assert page.images and page.addresses == [], "figures are drawn in the page, with words for those who cannot see"
    for image in page.images:
        assert image["role"] == "img" and "FP16: " in image["aria-label"] and len(image["aria-label"]) > 20
    told = " ".join(page.text)
    assert hashlib.sha256(encoder.read_bytes()).hexdigest() in told
    assert hashlib.sha256(words.read_bytes()).hexdigest() in told
    pieces = ("LayerNormalization", "ai.onnx 17", "words axis 0 (batch)", "interpreter", "commit", "need a GPU", "INT8")
    assert [piece for piece in pieces if piece not in told] == []
    assert f"trt-lessons run 06 --model {encoder} --data {words} --limit 2" in told
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told)
    assert not re.search(r"\d ms", told), "no time of this CPU in a report without a GPU"


def test_a_report_is_never_overwritten(found: search.Found, tmp_path: Path) -> None:
    inside = report.profile(found)
    first = report.write(found, inside, tmp_path)
    first.write_text("the learner's own")
    names = [report.write(found, inside, tmp_path).name for _ in range(2)]
    assert first.name == "three_classes.html" and names == ["three_classes-2.html", "three_classes-3.html"]
    assert first.read_text() == "the learner's own"
    assert sorted(os.listdir(tmp_path)) == sorted([first.name, *names]), "nothing else is left behind"


def test_labels_and_verdicts(found: search.Found) -> None:
    told = " ".join(Page(report.html(found, report.profile(found))).text)
    assert "points lost" in told and "Limit: 1.5 points of accuracy" in told and "chosen" in told


def test_names_are_text_and_not_html(found: search.Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found.subject, "file", "<script>alert(1)</script>")
    text = report.html(found, report.profile(found))
    assert "<script" not in text and "&lt;script&gt;" in text and report.from_outside(text) == []


def test_a_failure_leaves_no_half_report(found: search.Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    inside = report.profile(found)
    monkeypatch.setattr(report, "write_atomically", full)
    with pytest.raises(CacheError, match="No space left"):
        report.write(found, inside, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file(found: search.Found, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(CacheError, match="--reports"):
        report.write(found, report.profile(found), tmp_path / "reports")


def test_where_reports_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRT_LESSONS_REPORTS", raising=False)
    monkeypatch.setenv("TRT_LESSONS_HOME", str(tmp_path))
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    assert report.folder() == Path("reports")
    monkeypatch.chdir(tmp_path / "notebooks")
    assert report.folder() == tmp_path / "cache" / "reports", "the source lessons stay clean"
    monkeypatch.setenv("TRT_LESSONS_REPORTS", "elsewhere")
    assert report.folder() == Path("elsewhere")


def test_facts_of_the_digits() -> None:
    told = report.facts(search.subject().model)
    assert told["inputs"] == "images float32 [batch, 1, 32, 32]" and told["parameters"] == "1,257,930"
    assert told["ops"].startswith("45: 13 Conv") and told["dynamic"] == "images axis 0 (batch)"
    assert told["opset"] == "ai.onnx 17"


def test_facts_of_a_fixed_model(tmp_path: Path) -> None:
    told = report.facts(search.subject(linear(tmp_path / "fixed.onnx", [4, 3])).model)
    assert told["dynamic"] == "nothing: every size is fixed" and told["made by"] == "not said"


@pytest.mark.parametrize(
    "text",
    ['<img src="a.png">', "<a href='https://x'>", "<script>", "<link rel=x>", "<style>@import 'x'</style>",
     "<style>b { background: url(x.png) }</style>", "<iframe>"],
)  # fmt: skip
def test_what_comes_from_outside_is_found(text: str) -> None:
    assert report.from_outside(text)
    assert not report.from_outside('<img src="data:image/png;base64,AAAA"> src of a layer')


def test_no_column_is_empty_and_no_sentence_ends_twice(found: search.Found) -> None:
    text = report.html(found, report.profile(found))
    assert "<th></th>" not in text and "<td></td>" not in text and "<code></code>" not in text
    told = " ".join(Page(text).text)
    assert ".." not in told.replace("...", "") and "ms a batch" not in told and "plan, MB" not in told
    assert (
        "three classes.onnx" in told and "Where the numbers are from: errors: the interpreter, onnxruntime 1." in told
    )


def test_fp32_is_kept_in_words_a_manager_reads(tmp_path: Path) -> None:
    """What cannot be built, what loses too much, and that random numbers decide nothing."""
    mine = search.subject(linear(tmp_path / "kept.onnx", ["n", 3]))
    rows = [search.Row("FP32", 0.0, weights=8), search.Row("TF32", 0.0, weights=8), search.Row("FP16", 0.5, weights=4)]
    rows += [search.Row("BF16", refused="no."), search.Row("INT8", refused="no")]
    chosen, why = search.choose(rows, 2.0)
    kept = search.Found(mine, 2.0, rows, chosen, why, 0.0)
    assert report.summary(kept) == (
        "Leave kept.onnx in FP32, as it is: FP16 would change its answers by more than the limit; BF16 and INT8 cannot "
        "be built here. The inputs were random numbers: ask again with real ones (--data) before you decide."
    )


def test_the_command_to_repeat_it_has_the_profile(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", ["n", 3])
    mine = search.subject(path, profiles={"x": ((1, 3), (4, 3), (8, 3))})
    assert mine.command == f"trt-lessons run 06 --model {path} --profile x=1x3:4x3:8x3"


def test_whole_numbers_beside_floats_are_named_and_left_aside() -> None:
    exact = [{"y": np.ones(4, np.float32), "place": np.arange(4)}]
    other = [{"y": np.ones(4, np.float32), "place": np.array([0, 1, 3, 2])}]
    assert search.difference(other, exact) == 0.0
    shorter = [{"y": np.ones(4, np.float32), "place": np.arange(3)}]
    aside = search.reference.left_aside({"FP32": exact, "FP16": other, "INT8": shorter})
    assert aside == {"place": {"FP16": 0.5, "INT8": float("inf")}}
    assert search.difference([{"y": np.ones(3, np.float32)}], [{"y": np.ones(4, np.float32)}]) == float("inf")


def test_the_summary_names_what_is_left_aside(found: search.Found) -> None:
    mine = search.replace(found, aside={"boxes": {found.chosen.name: 0.074, "FP8": 0.0}})
    assert "Its whole numbers in 'boxes', which are no part of that, have 7.4 % others" in report.summary(mine)
    assert (
        f"Output 'boxes' holds whole numbers and is no part of the error: {found.chosen.name} gives 7.4 % others"
        in (" ".join(Page(report.html(mine, report.profile(mine))).text))
    )
    assert "boxes" not in report.summary(search.replace(found, aside={"boxes": {found.chosen.name: 0.0}}))
