#!/usr/bin/env python3
"""Which TensorRT names do files use that a TensorRT version lacks?

    python tests/names/check_names.py FILE.py|FILE.ipynb ... [--versions 8.6.0,10.16,11.4]

    trt.X.Y        checked exactly
    thing.member   the class of `thing` is unknown: the member must exist on some class of the version
                   (only members that some TensorRT version knows, and not those of other imports)

Names inside strings (hasattr, getattr) are not looked at. A line that ends in `# trt: >=10` or `# trt: <11`
is meant for those versions only. trt_names.json: every public name against seven versions, read off the
published wheels.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DATABASE = Path(__file__).with_name("trt_names.json")
PLAIN_TYPES = (str, bytes, list, dict, set, io.IOBase, io.BytesIO)
PLAIN = {name for t in PLAIN_TYPES for name in dir(t)}  # names that any Python object may have
WORDS = "free min max ndim numel dims query enqueue release constant attention"  # NumPy's, ONNX's, CUDA's
PLAIN |= set(WORDS.split())
ANY_ENUM = {"name", "value", "__version__", "__members__"}
ROOTS = ("trt", "tensorrt")


class Names:
    """The names of TensorRT, version by version."""

    def __init__(self, file: Path = DATABASE) -> None:
        data = json.loads(file.read_text("utf-8"))
        self.versions: list[str] = data["versions"]
        self.bits: dict[str, str] = data["names"]
        self.none = "0" * len(self.versions)
        self.members: dict[str, str] = {}  # member -> versions that have it on any class
        for name, bits in self.bits.items():
            if "." in name:
                member = name.rpartition(".")[2]
                before = self.members.get(member, self.none)
                self.members[member] = "".join(max(pair) for pair in zip(bits, before, strict=True))

    def lacking(self, bits: str, wanted: list[str]) -> list[str]:
        """The wanted versions that do not have a name."""
        return [v for v in wanted if bits[self.versions.index(v)] == "0"]

    def of(self, node: ast.Attribute, other_imports: set[str]) -> tuple[str, str] | None:
        """(name, bits) of what an attribute stands for; None when it is not TensorRT's."""
        path = dotted(node)
        if path and path[0] in ROOTS:
            name = ".".join(path[1:])
            if name in self.bits:
                return name, self.bits[name]
            parent = name.rpartition(".")[0]
            if len(path) > 2 and (path[-1] in ANY_ENUM or parent not in self.bits):
                return None
            return name, self.none
        if path and (path[0] in other_imports or (path[0] == "self" and len(path) == 2)):
            return None
        member = node.attr
        if member in PLAIN or member.startswith("_") or member not in self.members:
            return None
        return f"*.{member}", self.members[member]


def dotted(node: ast.expr) -> list[str] | None:
    """["a", "b", "c"] for a.b.c; None when it does not start with a plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def other_imports(trees: list[ast.Module]) -> set[str]:
    """Names bound by imports of anything but TensorRT: `torch`, `np`, `onnx`."""
    found = set()
    for node in (n for tree in trees for n in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name for a in node.names}
    return found - set(ROOTS)


def sources(path: Path) -> Iterator[tuple[str, str]]:
    """(where, source) of a .py file, or of each code cell of a notebook."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        yield path.name, text
        return
    for index, cell in enumerate(json.loads(text)["cells"]):
        if cell["cell_type"] == "code":
            magics = r"(?m)^(\s*)[%!].*$"
            yield f"{path.name} cell {index}", re.sub(magics, r"\1pass", "".join(cell["source"]))


def meant_for(line: str, version: str) -> bool:
    """False when the line's `# trt:` remark leaves this version out."""
    number = tuple(map(int, version.split(".")))
    for sign, text in re.findall(r"#\s*trt:\s*(>=|<)\s*([\d.]+)", line):
        limit = tuple(map(int, text.split(".")))
        if (number >= limit) != (sign == ">="):
            return False
    return True


def problems(files: list[Path], wanted: list[str], ours: frozenset[str] = frozenset()) -> list[str]:
    """One line a use of a name that a wanted version lacks. ours: members with another meaning here."""
    names = Names()
    names.members = {m: bits for m, bits in names.members.items() if m not in ours}
    found = []
    for file in files:
        cells = [(where, source, ast.parse(source)) for where, source in sources(file)]
        others = other_imports([tree for _, _, tree in cells])
        for where, source, tree in cells:
            lines = source.splitlines()
            for node in ast.walk(tree):
                known = names.of(node, others) if isinstance(node, ast.Attribute) else None
                if known:
                    line = lines[(node.end_lineno or node.lineno) - 1]
                    gone = [v for v in names.lacking(known[1], wanted) if meant_for(line, v)]
                    if gone:
                        found.append(f"{where}:{node.lineno}: {known[0]} is not in TensorRT {', '.join(gone)}")
    return found


def main() -> int:
    """The command line; status 1 when a name is missing."""
    args, wanted = sys.argv[1:], Names().versions
    if "--versions" in args:
        i = args.index("--versions")
        wanted = args[i + 1].split(",")
        del args[i : i + 2]
    found = problems([Path(a) for a in args], wanted)
    print("\n".join(found) or "every name is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
