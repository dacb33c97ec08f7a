"""What the workbook says, in the learner's language: `told(text)`. English is the text itself.

    print(told(f"{done} of {len(total)} exercises done"))     # 10 个练习，已完成 3 个

A text is made first and looked up when it is shown: an entry of the catalog, "{0} of {1} exercises done", fits every
text that differs from it at the numbered places only. So a check or an error is written once, in English, and needs
no translation to be right. The catalogs are gettext's (`workbook/languages/zh_CN/LC_MESSAGES/*.po`), read with Babel;
`trt-lessons translate --messages` writes them anew from the sources. What no catalog has is said in English.
"""

from __future__ import annotations

import functools
import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

SETTING = "TRT_LESSONS_LANGUAGE"
MANIFEST_FILE = ".manifest.json"  # of a learner's folder; it names the language of the copies
CATALOGS = Path(__file__).parent / "workbook" / "languages"
PLACE = re.compile(r"\{(\d+)\}")
HAN_GAP = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")  # a template leaves a blank for a Latin value
FULL_WIDTH = "，。：；！？"
TELLING = 10  # letters of a template that make it fit one message only
DEEPEST = 3  # messages inside messages: a check's hint, the error in it


def language() -> str:
    """The language of what is said: TRT_LESSONS_LANGUAGE, else that of the workbook in the current folder, or "en"."""
    wanted = os.environ.get(SETTING) or language_of(Path.cwd())
    return wanted.replace("_", "-")


def language_of(workbook: Path) -> str:
    """The language of a learner's copies; "en" where the folder holds none."""
    file = workbook / MANIFEST_FILE
    try:
        return _language_in(file, file.stat().st_mtime_ns)
    except OSError:
        return "en"


@functools.lru_cache(maxsize=8)
def _language_in(file: Path, changed: int) -> str:
    try:
        return str(json.loads(file.read_text("utf-8")).get("language", "en"))
    except (OSError, ValueError, AttributeError):
        return "en"


def told(text: str) -> str:
    """The text in the learner's language. Unchanged where no catalog has it.

    Blanks around it stay, but none after a full-width stop.
    """
    now = language()
    if now == "en" or not text.strip():
        return text
    inner = text.strip()
    before, _, after = text.partition(inner)
    there = _catalog(now).find(inner)
    return before + there + ("" if there[-1:] in FULL_WIDTH else after)


class Said(str):
    """A text that `print` and f-strings show in the learner's language.

    What compares it, joins it, keeps it or looks it up reads English: `english(text)`.
    """

    def __str__(self) -> str:
        return told(english(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def english(text: str) -> str:
    """The English of a text, for a file or a page that is English in every language."""
    return str.__str__(text)


def filled(text: str, width: int) -> str:
    """A cell of a table: the text and blanks to `width` columns, two for a Chinese character; below 0: at the right."""
    blanks = " " * (abs(width) - columns(text))
    return text + blanks if width > 0 else blanks + text


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def later(text: str) -> str:
    """The text itself: a mark for the catalogs, on what is shown in the learner's language at another place."""
    return text


def joined(first: str, then: str) -> str:
    """Two texts beside each other: with a blank between, but not after a full-width stop."""
    return f"{first}{'' if first[-1:] in FULL_WIDTH or not then else ' '}{then}"


@dataclass
class Catalog:
    """Translations of one language: whole texts, and templates with numbered places, the most telling first."""

    texts: dict[str, str] = field(default_factory=dict)
    templates: list[tuple[re.Pattern[str], str]] = field(default_factory=list)

    def add(self, translations: dict[str, str]) -> None:
        """Take in the entries of one catalog file."""
        found = []
        for text, there in translations.items():
            if PLACE.search(text):
                found.append((len(PLACE.sub("", text)), pattern_of(text), there))
            else:
                self.texts[text] = there
        found.sort(key=lambda one: -one[0])
        self.templates += [(pattern, there) for _, pattern, there in found]

    def find(self, text: str, depth: int = 0) -> str:
        """The translation of a text, or the text."""
        if text in self.texts:
            return self.texts[text]
        for pattern, there in self.templates if depth < DEEPEST else ():
            found = pattern.fullmatch(text)
            if found:
                values = [self.find(v, depth + 1) if " " in v.strip() else v for v in found.groups()]
                return HAN_GAP.sub("", PLACE.sub(lambda m, put=values: put[int(m[1])], there))
        if text.endswith(".") and depth < DEEPEST:  # a message that became a sentence
            sentence = self.find(text[:-1], depth + 1)
            return f"{sentence}。" if sentence != text[:-1] else text
        return text


def pattern_of(template: str) -> re.Pattern[str]:
    """A template as a pattern: each {n} takes any text, the shortest first; a place that comes again, the same text.

    In a template of few letters, "{0} of {1}", a place takes one word only: it would fit every other sentence.
    """
    any_text = ".*?" if len(re.findall("[A-Za-z]", PLACE.sub("", template))) >= TELLING else r"\S*?"
    parts, seen = [], set()
    for i, part in enumerate(PLACE.split(template)):
        if i % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P=p{part})" if part in seen else f"(?P<p{part}>{any_text})")
            seen.add(part)
    return re.compile("".join(parts), re.S)


@functools.lru_cache(maxsize=4)
def _catalog(wanted: str) -> Catalog:
    made = Catalog()
    folder = CATALOGS / wanted.replace("-", "_") / "LC_MESSAGES"
    everything: dict[str, str] = {}
    for file in sorted(folder.glob("*.po")):
        everything.update(read_catalog(file))
    made.add(everything)
    return made


def read_catalog(file: Path) -> dict[str, str]:
    """English -> translation of one catalog file: those entries that have one."""
    from babel.messages.pofile import read_po

    with file.open("rb") as opened:
        entries = read_po(opened, locale=file.parent.parent.name)
    return {m.id: m.string for m in entries if m.id and isinstance(m.id, str) and m.string}
