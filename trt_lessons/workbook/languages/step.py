"""Whether a translation is in step with the English text: numbers, units, code, links, headings, terms, manners."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .prose import Piece, digest

FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1[ ]*$", re.M | re.S)
SPAN = re.compile(r"(`+)(.+?)\1", re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ADDRESS = re.compile(r"https?://[^\s)>\"]+")
# code without its marks: a.b(c), f(x), "word", a_name, option=
CALL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\([^()]*\))?|[A-Za-z_]\w*\([^()]*\)|\"\w+\"|\w*_\w+|\w+=")
NUMBER = re.compile(r"(?<![A-Za-z\d_.])\d+(?:[.,_:]\d+)*")
NAME = re.compile(r"\b[A-Za-z]+\d+(?:\.\d+)*[A-Za-z]*(?![A-Za-z])")
UNITS = "ms|µs|us|ns|s|kB|KB|MB|GB|TB|KiB|MiB|GiB|GB/s|TB/s|TFLOPS|TFLOP/s|GFLOP/s|%|W|MHz|GHz|×"
UNIT = re.compile(rf"(\d+(?:[.,]\d+)*)\s?({UNITS})(?![\w/])")
HAN = r"[\u4e00-\u9fff]"
STOPS = "，。：；！？、（）「」『』“”‘’《》"


@dataclass(frozen=True)
class Finding:
    """What is wrong with one cell of a translation: kind is "missing", "stale", "unknown", "differs" or "manners"."""

    cell: str
    kind: str
    what: str


# --- terms ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """A term of the glossary: its English forms, and the words that may stand for it in the translation."""

    english: tuple[str, ...]
    there: tuple[str, ...]


def words(glossary: Path) -> list[Word]:
    """The glossary's rows. "策略（tactic）" may be 策略 or tactic: what stands in parentheses is as good."""
    found = []
    with glossary.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            forms = [row["English"], *filter(None, row["also"].split(";"))]
            there = [part.strip() for part in re.split("[（）]", row["Chinese"]) if part.strip()]
            found.append(Word(tuple(forms), tuple(there)))
    return found


def _terms_in(text: str, known: list[Word]) -> Iterator[tuple[str, Word]]:
    """The terms in an English text, the longest first: "timing cache" is not "cache"."""
    forms = sorted(((form, word) for word in known for form in word.english), key=lambda pair: -len(pair[0]))
    for form, word in forms:
        flags = re.I if form.islower() else 0
        text, count = re.subn(rf"(?<![\w-]){re.escape(form)}(?![\w-])", " · ", text, flags=flags)
        if count:
            yield form, word


def missing_terms(text: str, translation: str, known: list[Word], other: tuple[str, ...] = ()) -> list[str]:
    """What the glossary asks for and the translation has not: "engine: 引擎"."""
    there = translation.casefold()
    found = []
    for form, word in _terms_in(CALL.sub(" ", _prose(text)), known):
        if not ({*word.english} & {*other}) and not any(term.casefold() in there for term in word.there):
            found.append(f"{form}: {' or '.join(word.there)}")
    return found


# --- numbers and marks ------------------------------------------------------------------------------------


def _prose(text: str) -> str:
    """A text without its code, addresses and tags."""
    for pattern in (FENCE, SPAN):
        text = pattern.sub(" ", text)
    return re.sub(r"</?\w+[^>]*>", " ", ADDRESS.sub(" ", LINK.sub("] ", text)))


def _marks(text: str) -> dict[str, Counter]:
    """What has to be the same on both sides, by its kind."""
    bare, words_only = FENCE.sub(" ", text), _prose(text)
    return {
        "code blocks": Counter(m[0] for m in FENCE.finditer(text)),
        "code": Counter(" ".join(m[2].split()) for m in SPAN.finditer(bare)),
        "links": Counter(link.replace(".zh-CN", "") for link in LINK.findall(bare)),  # a page and its other edition
        "addresses": Counter(ADDRESS.findall(SPAN.sub(" ", LINK.sub(" ", bare)))),
        "numbers": Counter(NUMBER.findall(words_only)),
        "units": Counter(f"{number} {unit}" for number, unit in UNIT.findall(words_only)),
        "names": Counter(set(NAME.findall(words_only))),
        "headings": Counter(re.findall(r"^#{1,6}(?= )", bare, re.M)),
        "tags": Counter(re.findall(r"</?\w+[^>]*>", SPAN.sub(" ", bare))),
        "rows": Counter(re.findall(r"^\|(?=.)", bare, re.M)),
    }


def differences(text: str, translation: str) -> list[str]:
    """What one of the two has and the other has not: "numbers: 5.76 is missing"."""
    ours, theirs = _marks(text), _marks(translation)
    found = []
    for kind, marks in ours.items():
        lost, more = marks - theirs[kind], theirs[kind] - marks
        parts = [f"{_times(what, n)} is missing" for what, n in lost.items()]
        parts += [f"{_times(what, n)} is not in the English" for what, n in more.items()]
        found += [f"{kind}: {'; '.join(parts)}"] if parts else []
    return found


def _times(what: str, count: int) -> str:
    return repr(what) if count == 1 else f"{what!r} ({count} times)"


def manners(translation: str) -> list[str]:
    """Chinese as it is printed: full-width stops, a space beside Latin letters and digits, bold that is bold."""
    text = FENCE.sub("", translation)
    plain = SPAN.sub("`x`", LINK.sub("]", text))
    found = []
    for pattern, what in (
        (rf".{{0,6}}{HAN}[,;:!?].{{0,6}}", "a stop of half width after Chinese"),
        (rf".{{0,6}}{HAN}\.(?=\s|$)", "a stop of half width after Chinese"),
        (rf".{{0,6}}(?:{HAN}[A-Za-z0-9`]|[A-Za-z0-9`%]{HAN}).{{0,6}}", "no space between Chinese and Latin"),
        (
            rf".{{0,6}}[{HAN[1:-1]}{STOPS}]\n[{HAN[1:-1]}].{{0,6}}",
            "a line broken inside a paragraph is shown as a space",
        ),
        (rf".{{0,6}}(?:[{STOPS}] (?=[^\s|*_<-])|\w [{STOPS}]).{{0,6}}", "a space beside a full-width stop"),
    ):
        found += [f"{what}: {m[0]!r}" for m in re.finditer(pattern, plain)]
    for m in re.finditer(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", text):
        before, after = text[m.start() - 1 : m.start()], text[m.end() : m.end() + 1]
        opens = m[1][0] in STOPS + "`" and re.match(r"\w", before or " ")
        closes = m[1][-1] in STOPS + "`.:)" and re.match(r"\w", after or " ")
        if opens or closes:
            found.append(f"not shown as bold (a stop inside, a letter outside): {m[0]!r}")
    return found


# --- a whole lesson ---------------------------------------------------------------------------------------


def compare(texts: dict[str, str], pieces: dict[str, Piece], known: list[Word]) -> list[Finding]:
    """Everything about a lesson's translation that wants mending, in the order of its cells."""
    found = []
    for cell, text in texts.items():
        piece = pieces.get(cell)
        if piece is None or not piece.text or not translated(text, piece.text):
            found.append(Finding(cell, "missing", "not translated"))
        elif piece.of != digest(text):
            found.append(Finding(cell, "stale", f"the English has changed; its sum is now {digest(text)}"))
        else:
            found += [Finding(cell, "differs", what) for what in differences(text, piece.text)]
            lost = missing_terms(text, piece.text, known, piece.other)
            found += [Finding(cell, "differs", f"term {what}") for what in lost]
            found += [Finding(cell, "manners", what) for what in manners(piece.text)]
    found += [Finding(cell, "unknown", "the lesson has no such cell") for cell in pieces if cell not in texts]
    order = [cell for cell in texts if cell in pieces]
    if order != [cell for cell in pieces if cell in texts]:
        found.append(Finding("", "differs", "the cells stand in another order than in the lesson"))
    return found


def translated(text: str, translation: str) -> bool:
    """Whether it is Chinese: a cell with words and without a Chinese character is the English text still."""
    return bool(re.search(HAN, translation)) or not re.search(r"[a-z]{3}", CALL.sub(" ", _prose(text)))
