"""What is in an engine: its layers as a table, and which network layers each of them holds.

    report.layers()                       # a table, from the built engine
    layers.fusion(report.network, report.layers())

Introduced in lesson 04_2, used from lesson 01 on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from .. import compat
from ..compat import names as engine_names
from ..messages import columns, filled, later, told
from .plans import load

# Kinds of network layers that a build may fold away: no arithmetic of their own is left at run time.
_FOLDS = {
    "CONSTANT": "a constant: it became weights of the layer that reads it",
    "SHUFFLE": "a reshape or transpose: folded into a neighbour, or only another view of the same memory",
    "IDENTITY": "does nothing",
    "CAST": "a change of type: the neighbours read or write that type",
    "CONCATENATION": "its inputs are written into one buffer, each in its place",
    "SLICE": "a view of its input's memory, or folded at build time",
    "SCALE": "folded into the weights of its neighbour",
    "QUANTIZE": "its scale became part of the layer beside it",
    "DEQUANTIZE": "its scale became part of the layer beside it",
    "SHAPE": "arithmetic on shapes: done at build time or on the host",
    "SQUEEZE": "only another view of the same memory",
    "UNSQUEEZE": "only another view of the same memory",
    "GATHER": "folded at build time",
    "FILL": "a constant made at build time",
    "PADDING": "folded into the layer that reads it",
    "ASSERTION": "checked at build time",
}
_SHAPE_TYPES = ("INT32", "INT64", "BOOL")
_FOLDED_NAME = re.compile(
    r"\[(?:Constant|Shuffle|Identity|Cast|Concatenation|Slice|Shape|Scale|Fill|Quantize|Dequantize)\]"
    r"|(?:^|[/_])(?:Constant|Identity|Reshape|Flatten|Transpose|Squeeze|Unsqueeze|Cast|Concat|Slice|Shape"
    r"|Dropout|BatchNormalization|QuantizeLinear|DequantizeLinear|ConstantOfShape)(?:_\d+)?$"
    r"|^onnx::|\.(?:weight|bias)$|_scale$|_zero_point$|ONNXTRT_|quantize_scale_node",
)


@dataclass
class Row:
    """One engine layer. inputs, outputs: {name, dims, dtype, format}. origins: network layers inside."""

    name: str
    type: str
    precision: str
    origins: list[str]
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    tactic: str = ""
    metadata: str = ""

    @property
    def bytes_moved(self) -> int | None:
        """Bytes read and written as activations (weights not counted); None where a size is not known.

        A NoOp runs no kernel: TensorRT only looks at the same memory in another way.
        """
        if self.type == "NoOp":
            return 0
        sizes = [_nbytes(t) for t in self.inputs + self.outputs]
        return None if None in sizes else sum(sizes)  # type: ignore[arg-type]

    @property
    def arithmetic(self) -> str:
        """`precision`, but "TF32" where FP32 numbers are multiplied in TF32: the kernel's name says so."""
        return "TF32" if self.precision == "FP32" and "tf32" in self.tactic.lower() else self.precision

    @property
    def added(self) -> bool:
        """True for layers that TensorRT added itself, such as reformats."""
        return not self.origins and engine_names.is_helper(self.name)


class Table:
    """Layers of one engine, in order of execution; prints as text, shows as HTML in a notebook.

    Iterate over it, index it, `len` it; `column("type")` gives one column.
    """

    columns = ("#", later("type"), later("precision"), later("network layers inside"), later("output"))

    def __init__(self, rows: Iterable[Row], title: str = "", lost: Sequence[str] = ()) -> None:
        self.rows, self.title, self.lost = list(rows), title, list(lost)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return Table(self.rows[index], self.title) if isinstance(index, slice) else self.rows[index]

    def column(self, name: str) -> list[Any]:
        """One attribute of every row, such as "type", "precision", "name", "origins"."""
        return [getattr(row, name) for row in self.rows]

    def count(self, by: str = "precision") -> dict[str, int]:
        """How many layers have each value of a column, most frequent first."""
        found: dict[str, int] = {}
        for value in self.column(by):
            found[value] = found.get(value, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _cells(self, row: Row, number: int) -> tuple[str, ...]:
        out = row.outputs[0] if row.outputs else None
        shape = "" if out is None or out["dims"] is None else "x".join(map(str, out["dims"]))
        held = ", ".join(row.origins) or f"({row.name})"
        return str(number), row.type, row.arithmetic, held, shape

    def __str__(self) -> str:
        grid = [[told(column) for column in self.columns], *(self._cells(row, i) for i, row in enumerate(self.rows))]
        cut = [[c if len(c) <= 60 else c[:57] + "..." for c in line] for line in grid]
        widths = [max(columns(line[i]) for line in cut) for i in range(len(self.columns))]
        body = ["  ".join(filled(c, w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cut]
        return "\n".join([*([self.title] if self.title else []), *body])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{escape(told(c))}</th>" for c in self.columns)
        lines = []
        for i, row in enumerate(self.rows):
            cells = [escape(c) for c in self._cells(row, i)]
            cells[3] = "<br>".join(escape(o) for o in row.origins) or f"<i>{escape(row.name)}</i>"
            lines.append("".join(f"<td style='text-align:left'>{c}</td>" for c in cells))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a recording."""
        return {"title": self.title, "rows": [asdict(row) for row in self.rows], "lost": self.lost}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """Back from `to_dict`."""
        rows = [Row(**row) for row in data["rows"]]
        for row in rows:
            for t in row.inputs + row.outputs:
                t["dims"] = None if t["dims"] is None else tuple(t["dims"])
        return cls(rows, data["title"], data.get("lost", ()))


@dataclass
class Fusion:
    """Network layers beside engine layers.

    held: engine layer -> network layers inside, in network order.
    absorbed: network layer -> why no engine layer names it (constants, reshapes, no-ops folded at build).
    lost: layers that should be somewhere and are not; empty when the names were read rightly.
    added: engine layers that hold none (reformats, copies).
    """

    held: dict[str, list[str]]
    absorbed: dict[str, str]
    lost: list[str]
    added: list[str]

    @property
    def where(self) -> dict[str, list[str]]:
        """Network layer -> engine layers that hold it."""
        found: dict[str, list[str]] = {}
        for engine_layer, names in self.held.items():
            for name in names:
                found.setdefault(name, []).append(engine_layer)
        return found

    @property
    def fused(self) -> dict[str, list[str]]:
        """Engine layers that hold two network layers or more."""
        return {k: v for k, v in self.held.items() if len(v) > 1}

    def __repr__(self) -> str:
        inside = len(self.where)
        words = f"{inside} network layers in {sum(bool(v) for v in self.held.values())} engine layers"
        others = f"{len(self.absorbed)} absorbed, {len(self.added)} added, {len(self.lost)} lost"
        return f"Fusion({told(words)}, {told(others)})"

    def _repr_html_(self) -> str:
        rows = [(k, "<br>".join(map(escape, v)) or "<i>none: TensorRT added it</i>") for k, v in self.held.items()]
        rows += [("(none)", f"{escape(k)}: <i>{escape(v)}</i>") for k, v in self.absorbed.items()]
        rows += [("<b>lost</b>", escape(k)) for k in self.lost]
        style = "style='text-align:left'"
        body = "".join(f"<tr><td {style}>{escape(a)}</td><td {style}>{b}</td></tr>" for a, b in rows)
        head = f"<th {style}>engine layer</th><th {style}>network layers inside</th>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(engine: Any, *, network: Sequence[Any] | None = None, title: str = "") -> Table:
    """Layers of an engine as a `Table`.

    engine: an `ICudaEngine`, a BuildReport, a plan, or a list from `compat.engine_layers`.
    network: the network's layers (BuildReport.network, or names); with them `origins` are exact.
    """
    if isinstance(engine, list):
        found = engine
    else:
        if hasattr(engine, "plan"):
            network = engine.network if network is None else network
            title = title or engine.name
            engine = engine.engine()
        elif isinstance(engine, (bytes, bytearray, memoryview, str)):
            engine = load(engine)
        found = compat.engine_layers(engine)
    lost: list[str] = []
    if network:
        mapped = _assign(_network(network), found)
        for layer, names in zip(found, mapped, strict=True):
            layer["origins"] = names
        lost = fusion(network, found).lost
    return Table((_row(layer) for layer in found), title, lost)


def products(engine: Any) -> list[str]:
    """In which precision each layer that multiplies computes: ["FP16", "FP16", "FP32"], in the engine's order.

    engine: as for `table`, or an `IHostMemory`. Introduced in lesson 07.
    """
    if not hasattr(engine, "create_engine_inspector"):
        engine = load(engine)
    return [layer["precision"] for layer in compat.engine_layers(engine) if compat.is_compute(layer)]


def account(report: Any) -> dict[str, Any]:
    """{"layers": n, "reformats": n, "types": {precision: n}} of a BuildReport's engine.

    Layers that only convert between types and formats are reformats; "not told": the inspector names no type.
    """
    found = report.layers()
    converts = ["reformat" in row.type.lower() or row.added for row in found]
    types: dict[str, int] = {}
    for row, only in zip(found, converts, strict=True):
        if not only:
            types[row.precision or "not told"] = types.get(row.precision or "not told", 0) + 1
    return {"layers": len(found), "reformats": sum(converts), "types": dict(sorted(types.items()))}


def origins(name: str, network_layer_names: Sequence[str], metadata: str = "") -> list[str]:
    """Network layers inside the engine layer of this name, in network order; see `engine_names.origins`."""
    return engine_names.origins(name, network_layer_names, metadata)


def fusion(network_layers: Sequence[Any], engine_layers: Any) -> Fusion:
    """Map every network layer to the engine layers that hold it; none is dropped silently.

    network_layers: names in order, or BuildReport.network (with types, so that the reasons are exact).
    engine_layers: a `Table` or a list from `compat.engine_layers`.
    """
    network = _network(network_layers)
    found = [_plain(layer) for layer in engine_layers]
    held: dict[str, list[str]] = {}
    for layer, names in zip(found, _assign(network, found), strict=True):
        held.setdefault(layer["name"], [])
        held[layer["name"]] += [n for n in names if n not in held[layer["name"]]]
    inside = {n for names in held.values() for n in names}
    absorbed, lost, fixed = {}, [], _fixed(network)
    for layer in network:
        if layer["name"] in inside:
            continue
        reason = _why_absorbed(layer) or fixed.get(layer["name"], "")
        if reason:
            absorbed[layer["name"]] = reason
        else:
            lost.append(layer["name"])
    return Fusion(held, absorbed, lost, [k for k, v in held.items() if not v])


def _assign(network: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Network layers of each engine layer: by name, else by ONNX metadata, else "everything between"."""
    order = {layer["name"]: i for i, layer in enumerate(network)}
    parts = [engine_names.parse(layer["name"], order) for layer in found]
    held = [{order[n] for n in p.names} for p in parts]
    named = set().union(*held) if held else set()
    for layer, mine in zip(found, held, strict=True):
        told = layer["raw"].get("Origins") if layer.get("raw") else None
        mine.update(order[n] for n in told or [] if n in order and order[n] not in named)
    taken = set().union(*held) if held else set()
    nodes = [
        set() if engine_names.is_helper(x["name"]) else set(engine_names.metadata_names(x.get("metadata", "")))
        for x in found
    ]
    for i, layer in enumerate(network):
        if i in taken:
            continue
        mine = set(engine_names.metadata_names(layer["metadata"])) | {layer["name"]}
        for have, seen in zip(held, nodes, strict=True):
            if mine & seen:
                have.add(i)
                taken.add(i)
    for part, have in zip(parts, held, strict=True):
        for span in part.spans:
            between = _between(span, order, taken)
            have.update(between)
            taken.update(between)
    _assign_biases(network, held, taken)
    return [[network[i]["name"] for i in sorted(have)] for have in held]


def _assign_biases(network: Sequence[dict[str, Any]], held: list[set[int]], taken: set[int]) -> None:
    """A constant that is added to (or multiplied with) a result became part of the layer that makes the result.

    TensorRT 8.6 doesn't name the sum at the end of a Gemm: the engine layer of the product has it as its bias.
    """
    maker = {tensor: i for i, layer in enumerate(network) for tensor in layer["makes"]}
    fixed = _fixed(network)
    for i, layer in enumerate(network):
        sources = {maker[t] for t in layer["reads"] if t in maker and network[maker[t]]["name"] not in fixed}
        if i in taken or layer["type"] != "ELEMENTWISE" or len(sources) != 1 or len(layer["reads"]) == 1:
            continue
        have = next((have for have in held if sources <= have), None)
        if have is not None:
            have.add(i)
            taken.add(i)


def _between(span: tuple[str, str], order: dict[str, int], taken: set[int]) -> set[int]:
    """Indices of a `{ForeignNode[a...b]}`, without layers that other engine layers name themselves."""
    low, high = engine_names.span_range(span, order)
    if high is None:
        return set()
    if low is None:  # it begins at a constant that was folded: take what leads up to the end
        low = high
        while low > 0 and low - 1 not in taken:
            low -= 1
    return {i for i in range(low, high + 1) if i not in taken or i in (low, high)}


def _fixed(network: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Layers whose inputs are all constants, directly or through other layers: a build computes them itself."""
    made: set[str] = set()
    found: dict[str, str] = {}
    for layer in network:
        if layer["type"] == "CONSTANT" or (layer["reads"] and made.issuperset(layer["reads"])):
            made.update(layer["makes"])
            found[layer["name"]] = "made of constants only: computed at build time"
    return found


def _why_absorbed(layer: dict[str, Any]) -> str:
    if layer["type"]:
        if layer["type"] in _FOLDS:
            return _FOLDS[layer["type"]]
        return "arithmetic on shapes: done at build time or on the host" if layer["dtype"] in _SHAPE_TYPES else ""
    return "by its name a constant, a view or a no-op: folded at build" if _FOLDED_NAME.search(layer["name"]) else ""


def _network(layers: Sequence[Any]) -> list[dict[str, Any]]:
    plain = [{"name": x} if isinstance(x, str) else dict(x) for x in layers]
    return [{"type": "", "dtype": "", "metadata": "", "reads": (), "makes": (), **x} for x in plain]


def _plain(layer: Any) -> dict[str, Any]:
    return {**asdict(layer), "raw": {"Origins": layer.origins}} if isinstance(layer, Row) else layer


def _row(layer: dict[str, Any]) -> Row:
    return Row(**{k: layer[k] for k in Row.__dataclass_fields__ if k in layer})


_BITS = {
    "FP32": 32, "FP16": 16, "BF16": 16, "INT8": 8, "FP8": 8, "UINT8": 8, "BOOL": 8, "INT32": 32, "INT64": 64,
    "INT4": 4, "FP4": 4,
}  # fmt: skip


def _nbytes(tensor: Mapping[str, Any]) -> int | None:
    if tensor["dims"] is None or tensor["dtype"] not in _BITS or any(n < 0 for n in tensor["dims"]):
        return None
    count = 1
    for n in tensor["dims"]:
        count *= n
    return count * _BITS[tensor["dtype"]] // 8
