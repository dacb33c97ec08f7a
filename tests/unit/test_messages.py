"""What the workbook says, in the learner's language: catalogs, templates, and the copies that change their language."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trt_lessons import cli, messages
from trt_lessons.errors import LessonError, ShapeError
from trt_lessons.messages import Catalog, columns, english, joined, told
from trt_lessons.plots import style
from trt_lessons.records.measurement import Measurement
from trt_lessons.records.provenance import Provenance
from trt_lessons.workbook import exercises, predictions, quiz
from trt_lessons.workbook.copies import Workbook, menus
from trt_lessons.workbook.execute import notebooks
from trt_lessons.workbook.languages import catalogs, extraction, prose, step

ROOT = Path(__file__).resolve().parents[2]
WORDS = step.words(ROOT / "docs" / "glossary.csv")
LESSONS = notebooks(ROOT / "notebooks")
TRANSLATED = [path for path in LESSONS if prose.file_of(path, "zh-CN").exists()]


@pytest.fixture
def chinese(monkeypatch) -> None:
    """What is said is said in Chinese."""
    monkeypatch.setenv(messages.SETTING, "zh-CN")


@pytest.fixture(autouse=True)
def as_before(monkeypatch) -> None:
    """The command sets the language for its process: here it is taken back."""
    monkeypatch.setenv(messages.SETTING, "en")
    monkeypatch.delenv(messages.SETTING)


# --- the catalogs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_every_message_of_a_translated_lesson_has_its_chinese(path: Path) -> None:
    found = catalogs.sources(path)
    there = messages.read_catalog(catalogs.file_of(path, "zh-CN"))
    assert found
    wrong = catalogs.compare(found, there, WORDS)
    assert not wrong, "\n".join(f"{path.stem}: {one.kind}: {one.what}" for one in wrong)


def test_every_message_of_the_package_has_its_chinese() -> None:
    found = catalogs.sources(None)
    there = messages.read_catalog(catalogs.file_of(None, "zh-CN"))
    wrong = catalogs.compare(found, there, WORDS)
    told_how = "trt-lessons translate --messages, then fill package.po"
    assert not wrong, "\n".join([told_how, *(f"{one.kind}: {one.what}" for one in wrong)])
    assert len(found) == len(there) > 600


def test_the_extraction_finds_texts_and_templates() -> None:
    import ast

    def found(text: str) -> list[str]:
        tree = ast.parse(text)
        return [m for node in ast.walk(tree) for m in extraction._in_call(node, tree)]

    assert found("told(f'{a} of {len(b)} done')") == ["{0} of {1} done"]
    assert found("told('one ' + f'two {x:.2f}')") == ["one two {0}"]
    assert found("told('yes it is' if a else f'no {b}')") == ["yes it is", "no {0}"]
    assert found('told(f\'it is {"right" if a else "wrong"} now\')') == ["it is right now", "it is wrong now"]
    assert found("cure = 'mend it'\nraise SomeError('broken', why=f'{x} is old', cure=cure)") == [
        "broken",
        "{0} is old",
        "mend it",
    ]
    assert found("print('not for learners')") == [] and found("told(f'{a} {b}')") == []


# --- looking up -------------------------------------------------------------------------------------------


def test_what_a_check_searches_for_is_no_message() -> None:
    source = """
'A docstring of the file.'
LINES = {"A": (re.compile("no profile has been"), "add a profile.")}
if "negative dimensions" not in str(problem) and re.search("two words", line):
    hint = "set the shape first."
"""
    assert list(extraction._texts_in(ast.parse(source))) == ["add a profile.", "set the shape first."]


def test_templates_fit_what_was_made_of_them() -> None:
    book = Catalog()
    book.add({"done": "完成", "{0} of {1} exercises done": "{1} 个里完成 {0} 个", "no file {0} was found": "没有 {0}"})
    book.add({"{0} of {1}": "{0} / {1}", "the parser says: {0}": "解析器说：{0}"})
    assert book.find("3 of 10 exercises done") == "10 个里完成 3 个"
    assert book.find("the parser says: no file a b.txt was found") == "解析器说：没有 a b.txt"
    assert book.find("done") == "完成" and book.find("done.") == "完成。" and book.find("undone") == "undone"
    assert book.find("2 of 3") == "2 / 3"
    assert book.find("the rest of the sentence") == "the rest of the sentence"  # a short template takes words only


def test_english_is_the_text_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert told("  3 of 10 exercises done ") == "  3 of 10 exercises done "
    monkeypatch.setenv(messages.SETTING, "fr")  # no catalog: English
    assert told("done") == "done"
    monkeypatch.delenv(messages.SETTING)
    (tmp_path / messages.MANIFEST_FILE).write_text('{"language": "zh-CN"}')
    assert messages.language() == "zh-CN" and told("  done") == "  完成"
    (tmp_path / messages.MANIFEST_FILE).write_text("[")
    assert messages.language_of(tmp_path) == "en"


def test_a_blank_stands_where_the_language_wants_one() -> None:
    assert joined("why:", "it is") == "why: it is" and joined("原因：", "它") == "原因：它" and joined("a", "") == "a"


def test_errors_checks_predictions_and_questions_are_chinese(chinese: None, capsys, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    error = ShapeError("unknown input images", why="inputs are images", cure="give every input")
    assert str(error) == "不认识输入 images\n  原因：输入有 images\n  办法：给出每个输入"
    assert error.args[0].startswith("unknown input") and error.what == "unknown input images"
    exercises.check("00.1", "nothing")
    exercises.check("00.1", None)
    said = capsys.readouterr().out
    assert "00.1 还不对。" in said and "提示：" in said and "还没有回答" in said and "hint" not in said
    predictions.predict("02.a", "a plan", "None", "an exception")
    predictions.predict("02.a", guess="一个 plan")
    assert predictions.guess_of("02.a") == "a plan"  # kept as the lesson has it, whatever the language
    predictions.outcome("02.a", "None")
    said = capsys.readouterr().out
    assert "a) 一个 plan" in said and "收下了" in said and "没猜对" in said
    assert quiz.Asked("?", (("a", "why a."), ("b", "why b.")), 1).verdict("b") == "b) 对：why b."


def test_what_a_check_says_of_an_answer_is_chinese_with_an_apostrophe_too(chinese: None, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    for yours, there in (
        ("TF32 is allowed", "TF32"),
        ("a latency 1.44 times the default's (x)", "延迟是默认的 1.44 倍"),
    ):
        line = exercises.wrong(yours=yours, expected="64 MiB", hint="").text("03.1").splitlines()[1]
        assert there in line and yours not in line


def test_one_word_of_the_learners_own_stays_as_it_is(chinese: None) -> None:
    """Lesson 04_6 asks for "host" or "compute": what came back is shown as it is, though figures say 计算."""
    assert told("compute") == "计算"
    assert "'compute'" in exercises.wrong(yours="'compute'", expected="", hint="").text("04_6.1")


# --- tables and notes -------------------------------------------------------------------------------------

H200 = Provenance("NVIDIA H200", "580", "12.9", "8.6.0", utc="2026-11-27T23:13:58Z")


def test_a_note_is_shown_in_chinese_and_kept_in_english(chinese: None) -> None:
    note, kept = H200.note(), "recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-27"
    assert str(note) == f"{note}" == "录制于 NVIDIA H200，TensorRT 8.6.0，2026-11-27"
    assert note == kept == english(note) and json.dumps(note) == f'"{kept}"' and note.removeprefix("recorded") != note


def test_the_columns_of_a_table_stand_below_each_other(chinese: None, monkeypatch) -> None:
    series = {kind: np.array([0.1, 0.2, 0.3]) for kind in ("enqueue", "h2d", "compute", "d2h", "latency")}
    measured = Measurement(series=series, throughput=1.0, batch=1, wall_s=1.0, provenance=H200, source="recorded")
    lines = measured.table().splitlines()[:6]
    assert lines[0].split() == ["ms", "中位数", "平均", "p90", "p95", "p99", "cv"] and lines[2].startswith("拷入  ")
    assert {columns(line) for line in lines} == {74}
    assert measured.table().endswith("(录制于 NVIDIA H200，TensorRT 8.6.0，2026-11-27)")
    monkeypatch.setenv(messages.SETTING, "en")
    assert {len(line) for line in measured.table().splitlines()[:6]} == {74}


# --- figures ----------------------------------------------------------------------------------------------


def test_a_unit_may_have_a_blank_in_chinese(chinese: None) -> None:
    for unit, there in (("plans", "多少个 plan？"), ("pictures", "多少张图片？"), ("ms", "ms")):
        assert there in predictions.Question("07.b", unit=unit).lines()[0]


def test_a_title_is_chinese_only_with_a_font_that_has_it(chinese: None, monkeypatch) -> None:
    english = "An engine is a network compiled for one kind of GPU"
    monkeypatch.setattr(style, "_han_font", lambda: "")
    assert style.in_print(english)[0] == english
    monkeypatch.setattr(style, "_han_font", lambda: "Some Han")
    assert style.in_print(english) == ("引擎是为一类 GPU 编译好的网络", ["DejaVu Sans", "Some Han"])
    assert style.in_print("Nobody translated this title")[0] == "Nobody translated this title"


def test_no_box_stands_in_a_chinese_figure(chinese: None) -> None:
    import warnings

    from trt_lessons import plots

    style._han_font.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each glyph that is missing
        title = "An engine is a network compiled for one kind of GPU"
        made = plots.bars({"a": 1.0, "b": 2.0}, title=title, unit="ms")
        assert len(made.png()) > 1000 and made.title == title
        assert _texts_of(_a_figure()) and _texts_of(plots.build_flow())
    if style._han_font():
        assert made._suptitle.get_text() == "引擎是为一类 GPU 编译好的网络"


def _texts_of(fig) -> list[str]:
    """Every text of a drawn figure, ticks and legends too."""
    from matplotlib.text import Text

    fig.png()
    return [text.get_text() for text in fig.findobj(Text) if text.get_text()]


def _a_figure():
    """Bars, axes and a recording's note, as lessons draw them."""
    from trt_lessons import plots

    where = "recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-27"
    rows = [("FP16", 0.13, "0.130 ms", False), ("PyTorch, FP32", 0.62, "0.623 ms", True)]
    return plots.scoreboard(rows, mark="FP16", note=where)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_the_words_in_a_figure_are_chinese_with_a_font_only(chinese: None, monkeypatch) -> None:
    monkeypatch.setattr(style, "_han_font", lambda: "")
    english = _texts_of(_a_figure())
    assert not [text for text in english if style.HAN.search(text)]
    monkeypatch.setattr(style, "_han_font", lambda: "DejaVu Sans")  # which font it is matters to the test above
    there = _texts_of(_a_figure())
    assert (
        "录制于 NVIDIA H200，TensorRT 8.6.0，2026-11-27" in there
        and "FP16：0.130 ms，速度是 PyTorch 的 4.8 倍" in there
    )
    assert any(text.startswith("64 条数字条的中位数") for text in there)
    monkeypatch.setenv(messages.SETTING, "en")
    assert _texts_of(_a_figure()) == english


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_at_an_axis_and_boxes_are_chinese_one_word_alone_is_not(chinese: None, monkeypatch) -> None:
    from trt_lessons import plots

    monkeypatch.setattr(style, "_han_font", lambda: "DejaVu Sans")
    there = _texts_of(plots.build_flow())
    assert "2. 构建器和网络" in there and "一张等着填的空图" in there
    there = _texts_of(plots.bars({"nobody translates this": 2.0, "answers": 1.0}, title="t"))
    assert {"nobody translates this", "answers"} <= {*there}
    fig, axis = style.new()
    axis.set_yticks([0, 1], ["not recorded on a GPU yet", "answers"])
    there = _texts_of(style.finish(fig, "t", None, "d"))
    assert {"还没有在 GPU 上录制", "answers"} <= {*there}


# --- copies in Chinese ------------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> tuple[Path, Path]:
    """A lesson with its translation and questions, and where the copies go."""
    source, target = tmp_path / "notebooks", tmp_path / "workbook"
    (source / "zh-CN").mkdir(parents=True)
    (source / "checks").mkdir()
    cells = [_text("a", "# One\n\nSome words."), _text("b", "More words."), _code("c", "x = 1"), _code("d", "y = 2")]
    lesson = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (source / "90_a.ipynb").write_text(json.dumps(lesson), "utf-8")
    texts = prose.read_lesson(source / "90_a.ipynb")
    there = {"a": "# 一\n\n一些话。", "b": "再说几句。"}
    pieces = {cell: prose.Piece(cell, prose.digest(texts[cell]), text) for cell, text in there.items()}
    prose.file_of(source / "90_a.ipynb", "zh-CN").write_text(prose.skeleton(texts, pieces), "utf-8")
    return source, target


def _text(name: str, text: str) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(name: str, text: str) -> dict:
    return {**_text(name, text), "cell_type": "code", "outputs": [], "execution_count": None}


def _sources(path: Path) -> dict[str, str]:
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]}


def test_a_change_of_language_changes_words_only(book: tuple[Path, Path]) -> None:
    source, target = book
    Workbook(source, target, "zh-CN").update()
    copy = target / "90_a.ipynb"
    assert _sources(copy) == {"a": "# 一\n\n一些话。", "b": "再说几句。", "c": "x = 1", "d": "y = 2"}
    assert messages.language_of(target) == "zh-CN" and not (target / "zh-CN").exists()
    written = json.loads(copy.read_text("utf-8"))
    written["cells"][1]["source"] = ["我的笔记"]  # the learner writes into a text and a code cell, and adds one
    written["cells"][2]["source"] = ["x = 42"]
    written["cells"].append(_code("mine", "z = 3"))
    copy.write_text(json.dumps(written), "utf-8")
    (target / ".progress.json").write_text('{"done": {"90.1": {}}, "tries": {}}')
    mine = {"b": "我的笔记", "c": "x = 42", "d": "y = 2", "mine": "z = 3"}
    for language, first in (("en", "# One\n\nSome words."), ("zh-CN", "# 一\n\n一些话。"), ("", "# 一\n\n一些话。")):
        Workbook(source, target, language).update()
        assert _sources(copy) == {"a": first, **mine}
        assert "90.1" in (target / ".progress.json").read_text()


def test_a_learners_words_meet_a_newer_lesson_as_before(book: tuple[Path, Path]) -> None:
    source, target = book
    Workbook(source, target, "zh-CN").update()
    copy = target / "90_a.ipynb"
    copy.write_text(copy.read_text("utf-8").replace("再说几句。", "我的笔记"), "utf-8")
    lesson = source / "90_a.ipynb"
    lesson.write_text(lesson.read_text("utf-8").replace("More words.", "Other words."), "utf-8")
    Workbook(source, target).update()
    found = _sources(copy)
    assert found["b"] == "我的笔记" and any("Other words." in text for text in found.values())


def test_the_command_writes_copies_in_chinese_and_back(tmp_path: Path, capsys) -> None:
    folder = ["--workbook", str(tmp_path / "book")]
    assert cli.main(["lab", "--copies-only", "--language", "zh-CN", *folder]) == 0
    assert "你的副本：" in capsys.readouterr().out
    start = (tmp_path / "book" / "START.ipynb").read_text("utf-8")
    assert "边做边学" in start and "| 45 | 0 / 3 |" in start
    asked = json.loads((tmp_path / "book" / "checks" / "00_start_here.quiz.json").read_text("utf-8"))
    assert asked["questions"][0]["ask"] == "plan 是什么？"
    assert cli.main(["progress", *folder]) == 0
    assert "个练习，做完了 0 个" in capsys.readouterr().out
    assert cli.main(["solution", "02.1", *folder]) == 0
    assert "缓冲区要多大" in capsys.readouterr().out
    assert cli.main(["lab", "--copies-only", "--language", "en", *folder]) == 0
    assert "TensorRT by doing" in (tmp_path / "book" / "START.ipynb").read_text("utf-8")
    assert cli.main(["lab", "--copies-only", "--language", "xx", *folder]) == 1


# --- JupyterLab -------------------------------------------------------------------------------------------


def test_jupyterlabs_menus_are_chinese_in_that_workbook_only(tmp_path: Path, monkeypatch) -> None:
    from jupyterlab_server.settings_utils import _get_overrides

    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)

    def defaults(language: str) -> dict:
        told_jupyter = menus.settings(tmp_path, language)
        with monkeypatch.context() as patch:
            patch.setenv("JUPYTER_CONFIG_PATH", told_jupyter["JUPYTER_CONFIG_PATH"])
            found, error = _get_overrides(str(tmp_path / "none"))
        assert not error and found[menus.FILES] == {"showLastModifiedColumn": False}
        return found

    assert menus.PLUGIN not in defaults("en")
    assert defaults("zh-CN")[menus.PLUGIN] == {"locale": "zh_CN"}
    assert menus.PLUGIN not in defaults("en")  # and back


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_lab_takes_a_language(monkeypatch) -> None:
    def commands(*words: str) -> str:
        done = subprocess.run(["make", "-n", "lab", *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
        return done.stdout

    assert "lab --language zh-CN" in commands("LANGUAGE=zh-CN")
    monkeypatch.setenv("LANGUAGE", "en_US:en")  # of the system: not ours
    assert "--language" not in commands()


def test_an_error_is_told_as_it_was_written(chinese: None) -> None:
    assert str(LessonError("nobody translated this")) == "nobody translated this"
