"""The Chinese edition is in step with the English one: every text cell, its numbers, code, links, terms and manners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trt_lessons.errors import LessonError
from trt_lessons.workbook.execute import notebooks
from trt_lessons.workbook.languages import edition, follow, pages, prose, quizzes, step

ROOT = Path(__file__).resolve().parents[2]
LESSONS = notebooks(ROOT / "notebooks")
WORDS = step.words(ROOT / "docs" / "glossary.csv")
TRANSLATED = [path for path in LESSONS if prose.file_of(path, "zh-CN").exists()]


def test_every_lesson_has_a_translation() -> None:
    assert not {path.stem for path in LESSONS} - {path.stem for path in TRANSLATED}


def test_every_translation_has_its_lesson() -> None:
    files = {path.stem for path in (ROOT / "notebooks" / "zh-CN").glob("*.md")}
    assert files == {path.stem for path in TRANSLATED}


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_a_lesson_is_in_step(path: Path) -> None:
    found = step.compare(prose.read_lesson(path), prose.read(prose.file_of(path, "zh-CN")), WORDS)
    asked, there = quizzes.read(quizzes.english_file(path)), quizzes.read(quizzes.file_of(path, "zh-CN"))
    found += quizzes.compare(asked, there, WORDS)
    assert not found, "\n".join(f"{path.stem}#{one.cell}: {one.kind}: {one.what}" for one in found)


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_a_composed_lesson_has_the_same_code_and_no_english_cell(path: Path) -> None:
    import nbformat

    lesson = json.loads(path.read_text("utf-8"))
    made = prose.compose(lesson, prose.read(prose.file_of(path, "zh-CN")))
    nbformat.validate(nbformat.from_dict(made))
    assert [cell["id"] for cell in made["cells"]] == [cell["id"] for cell in lesson["cells"]]
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    assert code == [cell for cell in lesson["cells"] if cell["cell_type"] == "code"]
    same = {cell for cell, text in prose.english(made).items() if text == prose.english(lesson)[cell]}
    assert not same


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_the_questions_of_a_lesson_are_chinese(path: Path) -> None:
    english = quizzes.english_file(path)
    if not english.exists():
        return
    made = json.loads(quizzes.compose(english.read_bytes(), quizzes.read(quizzes.file_of(path, "zh-CN"))))["questions"]
    asked = quizzes.read(english)
    assert [one["right"] for one in made] == [one["right"] for one in asked]
    assert not {one["ask"] for one in made} & {one["ask"] for one in asked}


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_in_step(name: str) -> None:
    page = ROOT / name
    found = step.compare(pages.read(page), prose.read(pages.file_of(page, "zh-CN")), WORDS)
    assert not found, "\n".join(f"{name}#{one.cell}: {one.kind}: {one.what}" for one in found)


def test_the_sections_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# A\n\nWords.\n\n## One, two\n\n```sh\n## no heading\n```\n\n## Three\n\nEnd.\n", "utf-8")
    found = pages.read(page)
    assert list(found) == ["top", "one-two", "three"] and found["one-two"].endswith("```")
    assert list(prose.parse(pages.skeleton(page, "zh-CN"))) == list(found)


def test_the_documents_headings_lead_to_their_lessons(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import make_document_map

    page = make_document_map.OUTPUT.read_text("utf-8")
    assert page == make_document_map.text(), "python tools/make_document_map.py"
    places = json.loads((ROOT / "tests" / "notebooks" / "document_map.json").read_text("utf-8"))["places"]
    rows: dict[tuple[str, str], str] = {}
    chapter = ""
    for line in page.splitlines():
        chapter = line.removeprefix("## ") if line.startswith("## ") else chapter
        if line.startswith("| "):
            rows[chapter, line.split(" | ")[0].removeprefix("| ")] = line
    for place in places:
        row = rows[place["chapter"], place["place"]]
        assert all(f"{cell.partition('#')[0]}.ipynb)" in row for cell in place["cells"]), place["place"]


def test_a_composed_lesson_runs_in_a_learners_folder(tmp_path: Path, monkeypatch) -> None:
    """The folder alone says the language. All lessons run in Chinese in test_player, where the kernel says it."""
    from trt_lessons.workbook.copies import Workbook
    from trt_lessons.workbook.execute import run_notebook

    name = "05_dynamic_shapes"
    Workbook(ROOT / "notebooks", tmp_path, "zh-CN").update()
    made = edition.notebook(ROOT / "notebooks" / f"{name}.ipynb", "zh-CN")
    path = tmp_path / f"{name}.ipynb"
    path.write_text(json.dumps(made), "utf-8")
    monkeypatch.delenv("TRT_LESSONS_LANGUAGE", raising=False)  # the folder says it
    ran = run_notebook(path, save_to=path, timeout=300)
    assert not ran.error, ran.error
    outputs = {cell["id"]: _printed(cell) for cell in json.loads(path.read_text("utf-8"))["cells"]}
    checks = {cell: text for cell, text in outputs.items() if cell.endswith("-check")}
    assert len(checks) == 3 and all("正确。" in text for text in checks.values()), checks
    assert not any(word in text for text in outputs.values() for word in ("outcome:", "Your guess", "right. "))


def _printed(cell: dict) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", ()))


# --- the comparison sees what it has to see ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("english", "chinese", "seen"),
    [
        ("It takes 5.76 ms.", "需要 5.67 ms。", "numbers"),
        ("It takes 5.76 ms.", "需要 5.76 µs。", "units"),
        ("It takes 1,000 rows.", "有 1000 行。", "numbers"),
        ("Ask `tl.build`.", "问 `tl.builds`。", "code"),
        ("[Lesson 02](02_a.ipynb)", "[第 02 课](03_a.ipynb)", "links"),
        ("See lesson 04_1.", "见第 04_2 课。", "numbers"),
        ("See https://a.b/c now.", "见 https://a.b/d。", "addresses"),
        ("In FP16 it runs.", "用 FP8 运行。", "names"),
        ("## It runs", "### 运行", "headings"),
        ("```python\nx = 1\n```", "```python\nx = 2\n```", "code blocks"),
        ("<details>it</details>", "它", "tags"),
        ("| a |\n| b |", "| 甲 |", "rows"),
    ],
)
def test_a_difference_is_seen(english: str, chinese: str, seen: str) -> None:
    assert seen in [what.partition(":")[0] for what in step.differences(english, chinese)]


def test_what_is_the_same_is_no_difference() -> None:
    english = "**Now.** `tl.build` takes 5.76 ms on an H100, 1 % more ([lesson 04_1](04_1_precision.ipynb))."
    chinese = "**现在。** 在 H100 上 `tl.build` 需要 5.76 ms，多了 1 %（[第 04_1 课](04_1_precision.ipynb)）。"
    assert step.differences(english, chinese) == [] and step.manners(chinese) == []


def test_a_term_is_translated_as_the_glossary_says() -> None:
    assert step.missing_terms("Two engines run.", "两个发动机在运行。", WORDS) == ["engines: 引擎"]
    assert step.missing_terms("Two engines run.", "两个引擎在运行。", WORDS) == []
    assert step.missing_terms("A plan is read.", "读入一个 plan。", WORDS) == []
    assert step.missing_terms("The timing cache", "计时缓存", WORDS) == []  # and not a cache of its own
    assert step.missing_terms("`engine` is a name", "这是名字", WORDS) == []
    assert step.missing_terms("A notebook's kernel", "笔记本的内核", WORDS, ("kernel",)) == []
    assert step.missing_terms("A notebook's kernel", "笔记本的内核", WORDS) != []


@pytest.mark.parametrize("text", ["你好, 世界", "运行FP16", "用`tl`运行", "**好。**再来", "第一行，\n第二行", "再见."])
def test_bad_manners_are_seen(text: str) -> None:
    assert step.manners(text)


def test_a_changed_cell_is_stale_and_stays_english() -> None:
    lesson = {"cells": [{"cell_type": "markdown", "id": "a", "source": ["New."]}]}
    pieces = prose.parse(f"<!-- cell: a sha256:{prose.digest('Old.')} -->\n旧的。\n")
    assert [one.kind for one in step.compare(prose.english(lesson), pieces, WORDS)] == ["stale"]
    assert prose.compose(lesson, pieces) == lesson
    assert [one.kind for one in step.compare({"b": "Some words."}, pieces, WORDS)] == ["missing", "unknown"]


def test_a_skeleton_keeps_what_is_there() -> None:
    pieces = prose.parse("<!-- cell: b sha256:0123456789ab other: kernel, scale -->\n二\n")
    text = prose.skeleton({"a": "One.", "b": "Two."}, pieces)
    again = prose.parse(text)
    assert list(again) == ["a", "b"] and again["b"] == pieces["b"] and again["b"].other == ("kernel", "scale")
    assert [one.kind for one in step.compare({"a": "One word."}, again, WORDS)] == ["missing", "unknown"]


def test_a_damaged_file_is_told() -> None:
    with pytest.raises(LessonError, match="twice"):
        prose.parse("<!-- cell: a sha256:0123456789ab -->\n一\n" * 2)
    with pytest.raises(LessonError, match="before the first"):
        prose.parse("一\n")
    with pytest.raises(LessonError, match="en, zh-CN"):
        prose.check_language("fr")


# --- questions, and numbers that follow -------------------------------------------------------------------

ASKED = {"ask": "How many engines?", "choices": [{"text": "1", "why": "no."}, {"text": "2", "why": "yes."}], "right": 1}


def test_a_question_is_translated_while_it_is_in_step() -> None:
    choices = [{"text": "1", "why": "不对。"}, {"text": "2", "why": "对。"}]
    there = {"of": quizzes.sum_of(ASKED), "ask": "几个引擎？", "choices": choices, "right": 1}
    content = json.dumps({"questions": [ASKED]}).encode()
    made = json.loads(quizzes.compose(content, [there]))["questions"][0]
    assert (made["ask"], made["choices"][1], made["right"]) == ("几个引擎？", {"text": "2", "why": "对。"}, 1)
    assert quizzes.compare([ASKED], [there], WORDS) == []
    changed = {**ASKED, "right": 0}
    assert [one.kind for one in quizzes.compare([changed], [there], WORDS)] == ["missing", "unknown"]
    assert json.loads(quizzes.compose(json.dumps({"questions": [changed]}).encode(), [there]))["questions"] == [changed]
    wrong = {**there, "ask": "几个 3？"}
    assert {one.kind for one in quizzes.compare([ASKED], [wrong], WORDS)} == {"differs"}
    assert json.loads(quizzes.skeleton([ASKED], []))["questions"] == [{"of": quizzes.sum_of(ASKED), **ASKED}]


def test_changed_numbers_are_carried_over() -> None:
    old, new = "It takes 5.76 ms,\nnot 3 ms.", "It takes 5.81 ms, not 3 ms."
    assert follow.carried(old, new, "需要 5.76 ms，不是 3 ms。") == "需要 5.81 ms，不是 3 ms。"
    assert follow.carried(old, new, "不是 3 ms，而是 5.76 ms。") == "不是 3 ms，而是 5.81 ms。"
    assert follow.carried(old, "It took 5.81 ms, not 3 ms.", "需要 5.76 ms，不是 3 ms。") is None
    assert follow.carried("1 and 1 of 2", "3 and 4 of 2", "2 里的 1 和 1") is None  # which 1 is which?


def test_a_questions_numbers_follow_too(tmp_path: Path) -> None:
    import subprocess

    file = tmp_path / "01_a.quiz.json"
    there = {"of": quizzes.sum_of(ASKED), "ask": "几个引擎？", "right": 1}
    there["choices"] = [{"text": "1", "why": "不对。"}, {"text": "2", "why": "对。"}]
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    file.write_text(json.dumps({"questions": [ASKED]}), "utf-8")
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, timeout=60)
    new = {**ASKED, "choices": [{"text": "1", "why": "no."}, {"text": "3", "why": "yes."}]}
    file.write_text(json.dumps({"questions": [new]}), "utf-8")
    found, count = follow.follow_questions(file, [there])
    assert count == 1 and quizzes.compare([new], found, WORDS) == [] and found[0]["choices"][1]["text"] == "3"
    file.write_text(json.dumps({"questions": [{**new, "ask": "Another?"}]}), "utf-8")
    assert follow.follow_questions(file, [there]) == ([there], 0)


def test_a_stale_piece_follows_by_gits_history(tmp_path: Path) -> None:
    import subprocess

    def commit(text: str) -> Path:
        path = tmp_path / "01_a.ipynb"
        path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "id": "a", "source": [text]}]}), "utf-8")
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True, timeout=60)
        return path

    piece = prose.Piece("a", prose.digest("It takes 1 ms."), "需要 1 ms。")
    commit("It takes 1 ms.")
    path = commit("It takes 2 ms.")
    pieces, mended = follow.follow(path, {"a": piece})
    assert mended == ["a"] and pieces["a"] == prose.Piece("a", prose.digest("It takes 2 ms."), "需要 2 ms。")
    assert follow.follow(path, pieces) == (pieces, [])
