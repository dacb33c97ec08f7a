"""ONNX or a network in, a plan out: options, profiles, caches, and proof of the precision that was asked for.

    ranges = {"image": [(1, 1, 32, 32), (8, 1, 32, 32), (64, 1, 32, 32)]}
    report = tl.build("digits.onnx", profiles=ranges)
    report.summary()

The raw TensorRT calls behind it are in lessons 02 and 03; lesson 04_4 is about the engine cache.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend, compat, progressbar
from ..errors import BuildError, ModelFileError, PrecisionError
from ..files import sha256
from . import profiles as ranges
from .built import BuildReport
from .cache import Shelf, TimingCache
from .plans import load, log_lines, made_by, quote
from .profiles import Profile, Shape
from .proof import verify
from .source import Source, graph_kinds

__all__ = ["BuildReport", "build", "graph_kinds", "load"]

PRECISIONS = ("fp32", "tf32", *compat.PRECISIONS)
_FORMAT = 1  # of the cache's own files


def build(
    model: Any,
    *,
    profiles: Profile | Sequence[Profile] | None = None,
    precision: str | None = None,
    level: int | None = None,
    workspace: int | None = None,
    permit: Iterable[str] = (),
    timing_cache: str | os.PathLike | bool | None = None,
    cache: str | os.PathLike | bool | None = None,
    configure: Callable[[Any, Any], None] | None = None,
    progress: bool = True,
    log: Any = None,
    name: str | None = None,
) -> BuildReport:
    """Build an engine and return its plan in a `BuildReport`.

    model: path, bytes or onnx.ModelProto, or a callable(network) that adds layers itself (arrays that it
        returns are kept alive until the build is over).
    profiles: {input: (min, opt, max)} or a list of such; every dynamic input needs one.
    precision: None takes what the graph says. "fp32" (no TF32), "tf32", "fp16", "bf16", "int8", "fp8" or
        "int8+fp16" is what the graph must hold and what is verified in the built engine, else PrecisionError.
    level: builder_optimization_level, 0 to 5; None: TensorRT's default, but 2 for Q/DQ graphs on 8.6.
    workspace: bytes of scratch memory that tactics may take; None: TensorRT's default.
    permit: {"fp16", "bf16", "int8", "fp8"}, what a weakly typed network (8.6, 10) may compute in wherever the builder
        likes; permitted, not verified. A strongly typed one does what the graph says, whatever is permitted.
    timing_cache: file; None: beside the engine cache, if that is on; False: none.
    cache: folder of the engine cache; None: `files.cache_root()`/engines; False: off. Networks from a callable, and
        builds with `configure`, are never taken from the cache: their key cannot be known.
    configure: called as configure(config, network) last, for whatever has no parameter here.
    progress: show a bar where somebody watches.
    log: a `compat.Log` or another `trt.ILogger`; None: TensorRT's lines are kept in the report only.
    Raises ModelFileError, PrecisionError, BuildError, CacheError.
    """
    source = Source(model, name)
    job = _Job(source, ranges.read(profiles), precision, level, workspace, frozenset(permit), configure)
    shelf = Shelf(cache)
    key = None if source.define or configure or not shelf.on else job.key()
    if key is None:
        return job.run(log, progress, shelf.timing_file(timing_cache))
    with shelf.lock(key):
        found = shelf.take(key)
        if found is None:
            found = job.run(log, progress, shelf.timing_file(timing_cache))
            shelf.put(key, found)
    return found


@dataclass
class _Job:
    """One build: everything that decides what comes out."""

    source: Source
    profiles: list[dict[str, tuple[Shape, Shape, Shape]]]
    asked: str | None
    level: int | None
    workspace: int | None
    permitted: frozenset[str]
    configure: Callable[[Any, Any], None] | None

    def __post_init__(self) -> None:
        self.wanted = _wanted(self.asked)
        self.kinds = graph_kinds(self.source.proto) if self.source.proto is not None else set()
        if self.source.proto is not None:
            self._check_graph()
        if self.level is not None and not 0 <= self.level <= 5:
            raise BuildError(f"level {self.level} is not an optimization level", cure="0 (quick) to 5 (thorough)")

    def options(self) -> dict[str, Any]:
        """What was asked for, as plain data."""
        return {
            "precision": self.asked,
            "profiles": [{k: [list(s) for s in v] for k, v in p.items()} for p in self.profiles],
            "level": self._level(self.kinds),
            "workspace": self.workspace,
            "permit": sorted(self.permitted),
        }

    def _level(self, kinds: set[str]) -> int | None:
        """The level asked for, else the one for a network of these kinds; None: TensorRT's own."""
        return self.level if self.level is not None else compat.default_level(bool(kinds & {"int8", "fp8"}))

    def key(self) -> str:
        """Name of this build in the engine cache."""
        return sha256(json.dumps([_FORMAT, self.source.sha256, self.options(), made_by()], sort_keys=True).encode())

    def _check_graph(self) -> None:
        compat.check_precisions(self.kinds)
        kinds = {k for k in self.wanted if k in compat.PRECISIONS}
        for kind in sorted(kinds - self.kinds):
            if kind in ("fp16", "bf16") and kinds & self.kinds and not compat.strongly_typed():
                continue  # "int8+fp16" on 8.6: half is permitted for what is not quantized
            convert = {"int8": "quantize", "fp8": "to_fp8"}.get(kind, f"to_{kind}")
            raise PrecisionError(
                f"{kind} was asked for, and {self.source.name} has nothing in {kind}",
                why=f"precision is in the model: {', '.join(sorted(self.kinds)) or 'fp32 only'} in this one",
                cure=f"convert it first: tl.precision.{convert}(model, ...)",
            )
        if self.wanted & {"fp32", "tf32"} and self.kinds:
            raise PrecisionError(
                f"{self.asked} was asked for, {self.source.name} holds {', '.join(sorted(self.kinds))}",
                why="precision is in the model",
                cure="build the model from before its conversion, or ask for what it holds",
            )

    def run(self, log: Any, progress: bool, timing_file: Path | None) -> BuildReport:
        """Build now."""
        log = log if log is not None else compat.shared_log()
        start, mark = time.perf_counter(), len(getattr(log, "records", ()))
        with progressbar.Bar(f"build {self.source.name}", show=None if progress else False) as bar:
            report = self._build(log, mark, bar, timing_file)
        report.seconds = time.perf_counter() - start
        report.log = [tuple(r) for r in getattr(log, "records", ())[mark:]]
        return report

    def _build(self, log: Any, mark: int, bar: progressbar.Bar, timing_file: Path | None) -> BuildReport:
        builder = compat.create_builder(log)
        network = compat.create_network(builder)
        held = self._define(network, log, mark)
        config = builder.create_builder_config()
        kinds = self.kinds | network_kinds(network)
        self._set(builder, network, config, kinds, log, mark)
        cache = TimingCache(config, timing_file)
        monitor = progressbar.monitor(bar, backend.trt)  # held until the build is over
        compat.watch(config, monitor)
        if self.configure:
            self.configure(config, network)
        facts = _facts(network)
        options = {**self.options(), "flags": compat.flags(config), "timing_cache": timing_file is not None}
        plan = builder.build_serialized_network(network, config)
        del held
        if plan is None:
            raise _build_failed(self.source.name, log_lines(log, mark), "TensorRT found no way to build this network")
        report = BuildReport(bytes(plan), self.source.name, 0.0, False, options, [], self.source.sha256, **facts)
        report.profiles = [dict(p) for p in self.profiles]
        report.made_by = made_by()
        report.notes += cache.save()
        report.notes += verify(report, self.wanted, kinds, self.source.proto)
        return report

    def _define(self, network: Any, log: Any, mark: int) -> Any:
        """Fill the network; returns what must outlive the build."""
        if self.source.define:
            held = self.source.define(network)
            if network.num_outputs == 0:
                raise BuildError(
                    f"{self.source.name} marked no output",
                    cure="end with network.mark_output(tensor)",
                )
            return held
        parser = backend.trt.OnnxParser(network, log)
        if self.source.external:
            read = parser.parse_from_file(str(self.source.path))
        else:
            read = parser.parse(self.source.data)
        if not read:
            errors = [compat.parser_error(parser.get_error(i)) for i in range(parser.num_errors)]
            raise _parse_failed(self.source, errors, log_lines(log, mark))
        return parser

    def _set(self, builder: Any, network: Any, config: Any, kinds: set[str], log: Any, mark: int) -> None:
        trt = backend.trt
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        compat.quiet_tactics(config)
        compat.permit(config, kinds | self.permitted | {k for k in self.wanted if k in compat.PRECISIONS})
        if self.wanted & {"fp32", "tf32"}:
            compat.tf32(config, "tf32" in self.wanted)
        if (level := self._level(kinds)) is not None:
            config.builder_optimization_level = level
        if self.workspace is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(self.workspace))
        inputs = [network.get_input(i) for i in range(network.num_inputs)]
        ranges.check(self.source.name, inputs, self.profiles)
        for shapes in self.profiles:
            ranges.add(builder, config, inputs, shapes, lambda: quote(log_lines(log, mark)))


def _wanted(precision: str | None) -> set[str]:
    words = set() if precision is None else {w.strip() for w in precision.lower().split("+")}
    if words - set(PRECISIONS):
        raise PrecisionError(
            f"unknown precision {precision!r}",
            cure=f"one of {', '.join(PRECISIONS)}, two joined as in 'int8+fp16', or None",
        )
    if words & {"fp32", "tf32"} and len(words) > 1:
        raise PrecisionError(f"{precision!r} contradicts itself", cure="fp32 and tf32 stand alone")
    return words


def network_kinds(network: Any) -> set[str]:
    """Precisions that a network's own tensors have: a subset of {"fp16", "bf16", "int8", "fp8"}."""
    names = {"HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        tensors += [layer.get_output(j) for j in range(layer.num_outputs)]
    kinds = {names[t.dtype.name] for t in tensors if t is not None and t.dtype.name in names}
    return kinds


def _facts(network: Any) -> dict[str, list[dict[str, Any]]]:
    """Inputs, outputs and layers of a network as plain data."""

    def tensor(t: Any) -> dict[str, Any]:
        return {"name": t.name, "dtype": str(compat.np_dtype(t.dtype)), "shape": compat.shape(t.shape)}

    def layer(x: Any) -> dict[str, Any]:
        reads = [x.get_input(j) for j in range(x.num_inputs)]
        makes = [x.get_output(j) for j in range(x.num_outputs)]
        return {
            "name": x.name,
            "type": x.type.name,
            "dtype": makes[0].dtype.name if makes and makes[0] is not None else "",
            "metadata": str(getattr(x, "metadata", "") or ""),
            "reads": [t.name for t in reads if t is not None],
            "makes": [t.name for t in makes if t is not None],
        }

    return {
        "inputs": [tensor(network.get_input(i)) for i in range(network.num_inputs)],
        "outputs": [tensor(network.get_output(i)) for i in range(network.num_outputs)],
        "network": [layer(network.get_layer(i)) for i in range(network.num_layers)],
    }


def _build_failed(name: str, lines: Sequence[str], what: str) -> BuildError:
    text = " ".join(lines)
    cure = "read the lines above from the first; lesson 07 sorts the common ones"
    if re.search(r"optimization profile", text, re.I):
        cure = "give profiles={input: (min, opt, max)} for every dynamic input"
    elif re.search(r"workspace|out of memory|OutOfMemory|Could not find any implementation", text, re.I):
        cure = "give more workspace, or free GPU memory that other processes hold"
    return BuildError(f"{what} ({name})", why=f"TensorRT said:{quote(lines)}", cure=cure)


def _parse_failed(source: Source, errors: Sequence[Mapping[str, str]], lines: Sequence[str]) -> ModelFileError:
    nodes = source.proto.graph.node
    told = []
    for error in errors:
        index = int(error["node"]) if error["node"].lstrip("-").isdigit() else -1
        node = nodes[index] if 0 <= index < len(nodes) else None
        op = error.get("op") or (node.op_type if node is not None else "")
        name = error.get("name") or (node.name if node is not None else "")
        where = f"node {index} ({name or 'unnamed'}, op {op}): " if op else ""
        told.append(where + error["desc"].strip())
    text = " ".join([*told, *lines])
    cure = "check the model with onnx.checker, or export it again at opset 17"
    if re.search(r"no importer|not supported|unsupported|no op registered|plugin not found", text, re.I):
        cure = "replace the op by ones TensorRT has, simplify the graph, or write a plugin (lesson 03)"
    return ModelFileError(
        f"TensorRT's parser cannot read {source.name}", why=f"it said:{quote(told or lines)}", cure=cure
    )
