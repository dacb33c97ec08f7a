"""The site's lessons and glossary: predictions and answers folded, terms linked, figures with their alt texts."""

from __future__ import annotations

import copy
import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trt_lessons.workbook import quiz
from trt_lessons.workbook.languages.pages import section_name

HAPPENED = re.compile(r"^\*\*(What happened|刚才发生了什么)[.？]?\*\*\s*(.*?)(?=\n\n|\Z)", re.M | re.S)
WORDS = {  # of the maker itself
    "en": {"happened": "What happened", "answers": "Answers", "needs": "what they need"},
    "zh-CN": {"happened": "刚才发生了什么？", "answers": "答案", "needs": "它们需要什么"},
}
HAN = re.compile("[\u4e00-\u9fff]")
OFTEN_OTHERWISE = ("运行时",)  # "when it runs" more often than the object


@dataclass(frozen=True)
class Term:
    """A row of the glossary: the term, other forms of it, its Chinese word, what it means."""

    english: str
    also: tuple[str, ...]
    chinese: str
    meaning: str

    def chinese_words(self) -> list[str]:
        """Its Chinese words, the first one first, and English ones among them: "核函数（kernel）" has two."""
        return [part.strip() for part in re.split("[（）]", self.chinese) if part.strip()]


def read_glossary(path: Path) -> list[Term]:
    """The terms of glossary.csv, in its order. Raises ValueError naming a row that is not complete."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if not (row["English"] and row["Chinese"] and row["meaning"]):
            raise ValueError(f"{path.name}, row {number}: a term, its Chinese word and its meaning are needed")
    return [Term(r["English"], tuple(filter(None, r["also"].split(";"))), r["Chinese"], r["meaning"]) for r in rows]


def glossary_page(terms: list[Term]) -> str:
    """The page: each term with both words and its meaning, then the two words alone as a table."""
    lines = ["# Glossary", "", "Every term of the lessons, in English and Chinese.", "", "``````{glossary}"]
    for term in terms:
        lines += [term.english, f"  **{term.chinese}**. {term.meaning}", ""]
    lines += ["``````", "", "## The two languages beside each other", "", "| English | 中文 |", "| --- | --- |"]
    lines += [f"| {{term}}`{t.english}` | {t.chinese} |" for t in terms]
    return "\n".join(lines) + "\n"


def glossary_in_chinese(terms: list[Term], meanings: dict[str, str]) -> str:
    """The Chinese page: the Chinese word first, the English beside it, then what it means.

    meanings: name of a term (`section_name`) -> its meaning in Chinese; the English one where there is none.
    """
    lines = ["# 词汇表", "", "课程里的每个术语，中文在前，英文在旁。", "", "``````{glossary}"]
    for term in terms:
        lines += [*_names(term), f"  {meanings.get(section_name(term.english), term.meaning)}", ""]
    lines += ["``````", "", "## 从英文查中文", "", "| English | 中文 |", "| --- | --- |"]
    lines += [f"| {t.english} | {{term}}`{t.chinese} <{_names(t)[0]}>` |" for t in terms]
    return "\n".join(lines) + "\n"


def _names(term: Term) -> list[str]:
    """What the Chinese glossary calls a term, each name once: Chinese words, then the English one."""
    words = [*term.chinese_words(), term.english]
    return [word for i, word in enumerate(words) if word.lower() not in [w.lower() for w in words[:i]]]


def page(notebook: dict, terms: list[Term], name: str, repository: str, checks: Path, language: str = "en") -> dict:
    """A notebook as the site shows it. checks: the folder with the lessons' questions. language: "en" or "zh-CN".

    Raises ValueError where a cell holds an error in place of an output, ExerciseError for questions that are damaged.
    """
    notebook = copy.deepcopy(notebook)
    cells = notebook["cells"]
    for cell in cells:
        cell["source"] = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        if any(o["output_type"] == "error" for o in cell.get("outputs", [])):
            raise ValueError(f"cell {cell['id']} failed when the lesson was run")
        if cell["cell_type"] == "code":
            describe_picture(cell)
    lower_headings(cells)
    fold_answers(cells, language)
    for cell in cells:
        write_questions(cell, checks, language)
    link_terms(cells, terms, language)
    if repository:
        cells.insert(
            1,
            {
                "cell_type": "markdown",
                "id": "site-buttons",
                "metadata": {},
                "source": buttons(name, repository, language),
            },
        )
    return notebook


def describe_picture(cell: dict[str, Any]) -> None:
    """Hand a figure's alt text to MyST-NB, which reads it from the cell."""
    for output in cell["outputs"]:
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # a page has no kernel
        about = output.get("metadata", {}).get("image/png", {})
        if about.get("alt"):
            cell["metadata"]["mystnb"] = {"image": {"alt": about["alt"]}}


def lower_headings(cells: list[dict]) -> None:
    """A page has one title: where a lesson has parts of the first level, all but the title go down one."""
    rest = [c for c in cells[1:] if c["cell_type"] == "markdown"]
    if any(re.search(r"^# ", c["source"], re.M) for c in rest):
        for cell in rest:
            cell["source"] = re.sub(r"^(#+ )", r"#\1", cell["source"], flags=re.M)


def fold_answers(cells: list[dict], language: str = "en") -> None:
    """After a prediction, fold what is shown until its outcome, and the paragraph that says what happened."""
    asked: set[str] = set()
    told = False
    for cell in cells:
        if cell["cell_type"] == "markdown":
            if told:
                cell["source"], folded = fold_paragraph(cell["source"], language)
                told = not folded
        elif found := re.findall(r"tl\.predict\(\s*[\"']([\w.]+)", cell["source"]):
            asked |= set(found)
        elif asked:
            if cell.get("outputs"):
                cell["metadata"].setdefault("tags", []).append("hide-output")
            outcomes = set(re.findall(r"tl\.outcome\(\s*[\"']([\w.]+)", cell["source"]))
            told = told or bool(asked & outcomes)
            asked -= outcomes


def fold_paragraph(text: str, language: str) -> tuple[str, bool]:
    """The paragraph "What happened" as details, and whether there is one; other text as it is."""
    found = HAPPENED.search(text)
    if not found:
        return text, False
    summary = f'<details class="happened"><summary>{WORDS[language]["happened"]}</summary>'
    return f"{text[: found.start()]}{summary}\n\n{found[2]}\n\n</details>\n{text[found.end() :]}", True


def write_questions(cell: dict[str, Any], checks: Path, language: str = "en") -> None:
    """A cell `tl.quiz("02")` as text: the questions, the reasons of each one's choices folded below it."""
    called = re.match(r"tl\.quiz\([\"'](\w+)[\"']\)", cell["source"]) if cell["cell_type"] == "code" else None
    if not called:
        return
    parts = []
    for number, asked in enumerate(quiz.read(quiz.files(checks)[called[1]]), 1):
        letters = quiz.LETTERS[: len(asked.choices)]
        choices = [f"- {letter}) {text}" for letter, (text, _) in zip(letters, asked.choices, strict=True)]
        reasons = [f"- {asked.verdict(letter)}" for letter in letters]
        head = f'<details class="answers"><summary>{WORDS[language]["answers"]}</summary>'
        parts += [f"**{number}. {asked.ask}**", "\n".join(choices), head, "\n".join(reasons), "</details>"]
    cell.update(cell_type="markdown", source="\n\n".join(parts))
    for key in ("outputs", "execution_count"):
        cell.pop(key, None)


def forms_of(terms: list[Term], language: str) -> dict[str, str]:
    """What a lesson may call a term, in small letters -> its name in the glossary.

    In Chinese: its first word, where that has two characters or more (others stand inside other words too), and an
    English word where Chinese engineers say it.
    """
    if language == "en":
        return {form.lower(): term.english for term in terms for form in (term.english, *term.also)}
    words = {
        term.english: [w for i, w in enumerate(term.chinese_words()) if i == 0 or not HAN.search(w)] for term in terms
    }
    return {
        word.lower(): _names(t)[0]
        for t in terms
        for word in words[t.english]
        if len(word) > 1 and word not in OFTEN_OTHERWISE
    }


def link_terms(cells: list[dict], terms: list[Term], language: str = "en") -> None:
    """The first time that a lesson uses a term, it leads to the glossary."""
    forms = forms_of(terms, language)
    ordered = sorted(forms, key=len, reverse=True)
    latin = "|".join(re.escape(form) for form in ordered if not HAN.search(form))
    han = "|".join(re.escape(form) for form in ordered if HAN.search(form))
    pattern = re.compile(rf"(?<![\w/`.\-\[])(?:{latin})(?![\w`/\]])" + (f"|{han}" if han else ""), re.I | re.A)
    seen: set[str] = set()

    def link(found: re.Match) -> str:
        name = forms[found[0].lower()]
        if name in seen:
            return found[0]
        seen.add(name)
        return f"{{term}}`{found[0]} <{name}>`"

    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = in_prose(cell["source"], lambda text: pattern.sub(link, text))


# code, links, HTML, headings and tables stay as they are, and bold beside Chinese: a role in it would end it
NOT_PROSE = re.compile(
    r"(?<=[\u3000-\u9fff])\*\*[^*\n]+\*\*|\*\*[^*\n]+\*\*(?=[\u3000-\u9fff\uff00-\uffef])|"
    r"(?s:```.*?```)|`[^`]*`|\[[^\]\n]*\]\([^)\n]*\)|<details>.*?</summary>|<[^>\n]+>|^ {0,3}[#|].*$|^ {4}.*$",
    re.M,
)


def in_prose(text: str, change: Any) -> str:
    """Change the prose of a Markdown text, and leave code, links, HTML, headings and tables alone."""
    parts, end = [], 0
    for found in NOT_PROSE.finditer(text):
        parts += [change(text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*parts, change(text[end:])])


def buttons(name: str, repository: str, language: str) -> str:
    """Links to this lesson on Colab and Binder."""
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath=notebooks/{name}"
    return f"[Colab]({colab}) · [Binder]({binder}) · [{WORDS[language]['needs']}](../docs/elsewhere.md)"
