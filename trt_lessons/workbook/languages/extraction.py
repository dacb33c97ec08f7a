"""The messages that learners meet, out of the sources: errors, checks, predictions, what `told` is asked for.

An f-string becomes a template, "{0} of {1} exercises done"; where it holds a choice between two texts, one for each.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from ...files import lesson_order

MOST = 32  # variants of one text: more are a sign of a text that should be said in parts
HOLE = "\0"
Source = dict[str, list[str]]  # message -> where it stands


def package_messages(package: Path) -> Source:
    """Messages of the package: what goes into errors and into `told`."""
    found: Source = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package.parent).as_posix()
        if not any(f"/{room}/" in name for room in ("interpreter", "languages", "light")):  # no learner's words there
            tree = ast.parse(path.read_text("utf-8"))
            _put(found, name, (text for node in ast.walk(tree) for text in _in_call(node, tree)))
    return found


def lesson_messages(notebook: Path) -> Source:
    """Messages of one lesson: its checks' texts, the choices of its predictions, its figures' titles."""
    found: Source = {}
    checks = notebook.parent / "checks" / f"{notebook.stem}.py"
    if checks.exists():
        tree = ast.parse(checks.read_text("utf-8"))
        _put(found, f"notebooks/checks/{checks.name}", _texts_in(tree))
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            tree = _parsed("".join(cell["source"]))
            texts = (text for node in ast.walk(tree) for text in _in_cell(node, tree))
            _put(found, f"notebooks/{notebook.name}#{cell['id']}", texts)
    return found


def lessons(folder: Path) -> list[Path]:
    """The lessons' notebooks, in order."""
    return sorted(folder.glob("[0-9]*.ipynb"), key=lesson_order)


def _put(found: Source, place: str, texts: Iterator[str]) -> None:
    for text in texts:
        places = found.setdefault(text, [])
        if place not in places:
            places.append(place)


def _parsed(text: str) -> ast.Module:
    """A cell's code, without its magics."""
    lines = ["pass" if line.startswith(("!", "%")) else line for line in text.splitlines()]
    return ast.parse("\n".join(lines))


# --- which texts ------------------------------------------------------------------------------------------


def _name_of(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _in_call(node: ast.AST, tree: ast.AST) -> Iterator[str]:
    """The messages in a call that makes an error, a finding or a verdict, or asks `told`; a figure's title and axes."""
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "title" for t in node.targets):
        yield from messages(node.value, tree)
    if not isinstance(node, ast.Call):
        return
    name = _name_of(node)
    if name in ("told", "later", "word", "set_xlabel", "set_ylabel"):
        yield from messages(node.args[0], tree)
    elif (name == "head" and len(node.args) > 1) or (name == "finish" and len(node.args) > 2):
        yield from messages(node.args[1], tree)
    elif name in ("Availability", "Finding", "Copied", "Verdict", "right", "wrong", "Choice", "_missing"):
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            yield from messages(argument, tree)
    elif name.endswith("Error"):
        told = [*node.args, *(k.value for k in node.keywords if k.arg in ("why", "cure"))]
        for argument in told:
            yield from messages(argument, tree)
    elif name == "flow_chart":
        yield from _boxes(node, tree)
    elif name in ("set", "Slider"):
        for keyword in node.keywords:
            yield from messages(keyword.value, tree) if keyword.arg in ("xlabel", "ylabel") else ()


def _in_cell(node: ast.AST, tree: ast.AST) -> Iterator[str]:
    """The messages in a cell's call: choices and units of a prediction, a figure's title and the words at its axes."""
    if not isinstance(node, ast.Call):
        return
    told = [k.value for k in node.keywords if k.arg in ("title", "unit", "xlabel", "ylabel")]
    if _name_of(node) == "predict":
        told += node.args[1:]
    if _name_of(node) == "flow_chart":
        yield from _boxes(node, tree)
    for argument in told:
        yield from messages(argument, tree)


def _boxes(chart: ast.Call, tree: ast.AST) -> Iterator[str]:
    """The words in the boxes of a flow chart: those of more than one word."""
    steps = chart.args[0]
    for found in _values_of(steps, tree) if isinstance(steps, ast.Name) else [steps]:
        for part in ast.walk(found):
            if isinstance(part, ast.Constant) and " " in str(part.value):
                yield from messages(part, tree)


def _texts_in(tree: ast.Module) -> Iterator[str]:
    """Every text of a check file with a blank in it: hints stand in names, lists and tuples too.

    Not docstrings, nor what another text is searched for: a comparison, a pattern of `re`. Not texts of several
    lines, which are models or programs: a message has one line.
    """

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, (ast.JoinedStr, ast.BinOp, ast.Constant)):
            found = [text for text in messages(node, tree) if " " in text and "\n" not in text]
            yield from found
            if found:
                return
        for child in () if _is_not_said(node) else ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(tree)


def _is_not_said(node: ast.AST) -> bool:
    """Whether a node is a docstring, a comparison, or a call of the module `re`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    return isinstance(node, ast.Compare)


# --- texts of an expression -------------------------------------------------------------------------------


def messages(node: ast.expr, tree: ast.AST) -> list[str]:
    """The messages that an expression can be: one for each choice in it, its values as {0}, {1}; none without words."""
    found = []
    for text in _variants(node, tree, named=True)[:MOST]:
        bare = text.strip()
        if re.search("[A-Za-z]{2}", bare.replace(HOLE, "")):
            numbers = iter(range(len(bare)))
            found.append(re.sub(HOLE, lambda _, numbers=numbers: f"{{{next(numbers)}}}", bare))
    return found


def _variants(node: ast.expr, tree: ast.AST, named: bool = False) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value if isinstance(node.value, str) else HOLE]
    if isinstance(node, ast.JoinedStr):
        return _joined([_variants(part, tree) for part in node.values])
    if isinstance(node, ast.FormattedValue):
        return _variants(node.value, tree) if isinstance(node.value, (ast.IfExp, ast.JoinedStr)) else [HOLE]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_variants(node.left, tree), _variants(node.right, tree)])
    if isinstance(node, ast.IfExp):
        return _variants(node.body, tree, named) + _variants(node.orelse, tree, named)
    if isinstance(node, ast.BoolOp) and named:
        return [text for value in node.values for text in _variants(value, tree, named)]
    if isinstance(node, ast.Name) and named:
        values = _values_of(node, tree)
        parts = [part for one in values for part in (one.values if isinstance(one, ast.BoolOp) else [one])]
        return [text for part in parts for text in _variants(part, tree)] or [HOLE]
    if isinstance(node, ast.Call) and named:
        return [text for one in _returned(node, tree) for text in _variants(one, tree)] or [HOLE]
    return [HOLE]


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(chosen) for chosen in product(*parts)]


def _returned(call: ast.Call, tree: ast.AST) -> list[ast.expr]:
    """What a function of the same file returns."""
    made = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.name == _name_of(call)]
    return [node.value for f in made for node in ast.walk(f) if isinstance(node, ast.Return) and node.value]


def _values_of(name: ast.Name, tree: ast.AST) -> list[ast.expr]:
    """What is assigned to a name in the function around it, or in the module."""
    around = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and name in ast.walk(f)]
    for place in [*reversed(around), tree]:
        found = [
            node.value
            for node in ast.walk(place)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name.id for t in node.targets)
        ]
        if found:
            return found
    return []
