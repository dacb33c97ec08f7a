"""What NVIDIA's compiler answered, as data: parsed or refused, and for each card built or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ... import compat, messages
from ...engines import layers as tables
from ...messages import later

SCHEMA = 1  # of the answers kept on disk
_SYNC = {"signal", "wait", "shape_call", "entry", "finish"}  # they order the others and compute nothing


@dataclass
class Build:
    """One card's answer.

    plan_bytes: size of the plan, None where none was built. seconds: of the build. table: its engine layers.
    phases: (name, parent phase, steps) that the progress monitor was told; calls: how often it was called.
    errors: NVIDIA's words for a refusal. ended: how the process ended when it did not answer, else "".
    """

    card: str
    built: bool
    seconds: float = 0.0
    plan_bytes: int | None = None
    table: tables.Table = field(default_factory=lambda: tables.Table([]))
    calls: int = 0
    phases: list[tuple[str, str, int]] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    ended: str = ""

    @property
    def errors(self) -> list[str]:
        """Texts of the ERROR lines of this build."""
        return [text for severity, text in self.log if severity.endswith("ERROR")]

    @property
    def words(self) -> str:
        """Why it was refused, in NVIDIA's words: the last ERROR line that is not about a missing GPU."""
        told = [text for text in self.errors if "cudaError" not in text]
        return told[-1] if told else ""

    @property
    def kernels(self) -> list[tables.Row]:
        """The engine layers that compute: without signals and waits."""
        return [row for row in self.table if row.type not in _SYNC]

    @property
    def verdict(self) -> str:
        """ "built", "refused", or how the process ended."""
        return self.ended or (later("built") if self.built else later("refused"))


@dataclass
class Answer:
    """What NVIDIA's compiler says of one model.

    parsed: None where it gave no answer (see `ended`). refused: {code, node, name, op, words} of each error of the
    parser. inputs, outputs: {name, dtype, shape}; network: its layers, as `BuildReport.network`. seconds: of parsing.
    builds: card -> Build. version: of TensorRT-RTX. source: "asked", "cache", "recorded" or "missing".
    ended: why there is no whole answer, such as "NVIDIA's compiler ended with signal 11 (SIGSEGV)", else "".
    """

    name: str
    parsed: bool | None = None
    refused: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    network: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    builds: dict[str, Build] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    version: str = ""
    source: str = later("asked")
    ended: str = ""

    def __getitem__(self, card: str) -> Build:
        return self.builds[card]

    @property
    def verdict(self) -> str:
        """ "built" for every card, "built for SM89, SM120", "refused" (parsed, not built), "not parsed", or `ended`."""
        if self.ended and not any(b.built for b in self.builds.values()):
            return self.ended
        if not self.parsed:
            return later("not parsed")
        if not self.builds:
            return later("parsed")
        good = [card for card, build in self.builds.items() if build.built]
        if not good or len(good) == len(self.builds):
            return "built" if good else "refused"
        return later(f"built for {', '.join(good)}")

    def __str__(self) -> str:
        if self.source == "missing":
            return messages.told(f"{self.name}: not asked, no answer is recorded")
        origin = f"TensorRT-RTX {self.version or messages.told('not here')}, {messages.told(self.source)}"
        lines = [f"{self.name}: {messages.told(self.verdict)} ({origin})"]
        for error in self.refused:
            lines.append(f"  {error['code']} at node {error['node']} ({error['op'] or 'no op'}): {error['words']}")
        for b in self.builds.values():
            if b.built:
                size = messages.told(f"{len(b.table)} engine layers, {b.plan_bytes:,} bytes, {b.seconds:.1f} s")
                lines.append(f"  {b.card}: {size}")
            else:
                lines.append(f"  {b.card}: {messages.told(b.verdict)} {b.words}".rstrip())
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the cache and for recordings."""
        told = {k: v for k, v in vars(self).items() if k != "builds"}
        builds = {}
        for card, build in self.builds.items():
            builds[card] = {k: v for k, v in vars(build).items() if k != "table"} | {"table": build.table.to_dict()}
        return {**told, "builds": builds}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Answer:
        """Back from `to_dict`."""
        builds = {}
        for card, told in data["builds"].items():
            told = {**told, "table": tables.Table.from_dict(told["table"])}
            told["phases"] = [tuple(p) for p in told["phases"]]
            told["log"] = [tuple(line) for line in told["log"]]
            builds[card] = Build(**told)
        return cls(**{**data, "builds": builds, "log": [tuple(line) for line in data["log"]]})


def take(answer: Answer, told: dict[str, Any]) -> None:
    """Put one line of the asked process into the answer."""
    kind = told.pop("kind")
    if kind == "version":
        answer.version = told["version"]
    elif kind == "parse":
        for key, value in told.items():
            setattr(answer, key, [tuple(x) for x in value] if key == "log" else value)
    elif kind == "build":
        text = told.pop("layers")
        told["phases"], told["log"] = ([tuple(x) for x in told[key]] for key in ("phases", "log"))
        table = table_of(text, answer.network, f"{answer.name} for {told['card']}")
        answer.builds[told["card"]] = Build(**told, table=table)


def table_of(text: str, network: list[dict[str, Any]], title: str = "") -> tables.Table:
    """The line of the build's log that starts with "Layers:" as a `layers.Table`, with the network layers inside."""
    raw = [_layer(line) for line in text.splitlines() if line.startswith("Name: ")]
    return tables.table(compat.normalize_layers({"Layers": raw}), network=network, title=title)


_FIELDS = re.compile(
    r"Name: (?P<Name>.*?), LayerType: (?P<LayerType>.*?), Inputs: \[(?P<Inputs>.*?)\], Constants: \[.*\], "
    r"Outputs: \[(?P<Outputs>.*)\], TacticName: (?P<TacticName>.*?), StreamId: .*?, ?Metadata: ?(?P<Metadata>.*)"
)
_TENSOR = re.compile(r"\{ Name: (.*?), Dimensions: \[([-\d,]*)\], .*?Datatype: (.*?), Format: (.*?) ?\}")


def _layer(line: str) -> dict[str, Any]:
    """One layer's line as the inspector's JSON has it; a line of another form keeps its name."""
    found = re.fullmatch(_FIELDS, line.strip())
    if not found:
        return {"Name": line.removeprefix("Name: ").partition(",")[0]}
    raw: dict[str, Any] = found.groupdict()
    for side in ("Inputs", "Outputs"):
        raw[side] = [_tensor(*tensor) for tensor in _TENSOR.findall(raw[side])]
    return raw


def _tensor(name: str, dims: str, dtype: str, layout: str) -> dict[str, Any]:
    return {"Name": name, "Dimensions": [int(n) for n in dims.split(",") if n], "Datatype": dtype, "Format": layout}


def summary(answers: Mapping[str, Answer]) -> str:
    """Several answers as a text table: network layers, for each card "engine layers / MB of the plan", seconds.

    "refused" or how the process ended stands where no plan came out, "-" where that card was not asked. Seconds: of all
    builds of the model together.
    """
    cards = list(dict.fromkeys(card for answer in answers.values() for card in answer.builds))
    lines = [["model", "layers", *cards, "seconds"]]
    for name, answer in answers.items():
        took = sum(build.seconds for build in answer.builds.values())
        cells = [_cell(answer.builds.get(card)) for card in cards] if answer.builds else [answer.verdict]
        lines.append([name, str(len(answer.network)), *cells, f"{took:.1f} s" if answer.builds else ""])
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(x, widths, strict=False)).rstrip() for x in lines)


def _cell(build: Build | None) -> str:
    """One card in the summary."""
    if build is None:
        return "-"
    return f"{len(build.table)} / {build.plan_bytes / 1e6:.1f}" if build.built and build.plan_bytes else build.verdict
