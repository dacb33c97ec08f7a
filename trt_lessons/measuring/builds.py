"""Builds with one thing changed, timed: what does each option cost and give? Lessons 03 to 04_5.

builds.attempt(level=0)     # {"seconds", "ms", "size", "sha256", "tactics"}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend, compat
from ..engines.build import build
from ..engines.built import BuildReport
from ..messages import filled, told
from ..sessions.session import Session
from .measure import measure

SHAPE = (64, 32, 32, 32)  # of the small network's input and output
KERNEL = np.random.default_rng(4).standard_normal((32, 32, 3, 3)).astype(np.float32) * np.float32(0.06)  # of `four`


def little(network: Any) -> list[np.ndarray]:
    """Fill a network: two convolutions, each with a ReLU, on 64 pictures of 32 channels; always the same weights."""
    trt = backend.trt
    rng, kept = np.random.default_rng(0), []
    x = network.add_input("x", trt.float32, SHAPE)
    for _ in range(2):
        kept.append((rng.standard_normal((32, 32, 3, 3)) / 12).astype(np.float32))
        made = network.add_convolution_nd(x, 32, (3, 3), kept[-1])
        made.padding_nd = (1, 1)
        x = network.add_activation(made.get_output(0), trt.ActivationType.RELU).get_output(0)
    x.name = "y"
    network.mark_output(x)
    return kept


def four(network: Any) -> None:
    """Fill a network: four convolutions with KERNEL, each with a ReLU, on 24 pictures of 32 channels, "x" to "y"."""
    trt = backend.trt
    x = network.add_input("x", trt.float32, (24, 32, 32, 32))
    for i in range(1, 5):
        made = network.add_convolution_nd(x, 32, (3, 3), KERNEL)
        made.name = f"conv{i}"
        x = network.add_activation(made.get_output(0), trt.ActivationType.RELU).get_output(0)
    x.name = "y"
    network.mark_output(x)


def attempt(timing_cache: str | os.PathLike | bool = False, **options: Any) -> dict[str, Any]:
    """Build `little` without the engine cache and measure it.

    timing_cache: a file, or False for none. options: of `tl.build`. Gives "seconds" of the build, "ms" (median
    compute time of a graph's launch), "size" and "sha256" of the plan, and "tactics", one a layer.
    """
    return _tried(little, timing_cache, options)[0]


def _tried(model: Any, timing_cache: str | os.PathLike | bool, options: Mapping[str, Any]) -> tuple[dict, BuildReport]:
    report = build(model, cache=False, timing_cache=timing_cache, progress=False, **options)
    with Session(report) as session:
        timing = measure(session, graph=True, transfers=False, warm_up_ms=50, duration_s=0.3, min_iterations=3)
    found = {"seconds": report.seconds, "ms": timing.median(), "size": report.size, "sha256": report.plan_sha256}
    return {**found, "tactics": report.layers().column("tactic")}, report


def tried(model: Any, **options: Any) -> dict[str, Any]:
    """Build any model without caches and measure it: as `attempt`, and "sparsity": what the log says of sparse kernels.

    model, options: as for `tl.build`.
    """
    found, report = _tried(model, False, options)
    return {**found, "sparsity": [text for _, text in report.log if "sparsity" in text.lower()]}


def types(model: Any, cases: Mapping[str, Callable[[Any, Any], None] | None]) -> dict[str, dict[str, str]]:
    """{case: {engine layer: type it reads}} of the convolutions, FP16 permitted, each built with its `configure`.

    Empty where TensorRT has no constraints (11, and the interpreter).
    """
    if not compat.has("BuilderFlag.OBEY_PRECISION_CONSTRAINTS"):
        return {}
    found = {}
    for name, configure in cases.items():
        report = build(model, permit=["fp16"], level=2, configure=configure, cache=False, progress=False)
        rows = compat.engine_layers(report.engine())
        found[name] = {one["name"]: one["precision"] for one in rows if compat.is_compute(one)}
    return found


def account(report: BuildReport) -> dict[str, Any]:
    """MiB: "plan", "announced" for a context, and "taken" from the GPU's free memory: [engine, context, context]."""
    free, held = [backend.cuda.mem_get_info()[0]], [report.engine()]
    free.append(backend.cuda.mem_get_info()[0])
    for _ in range(2):
        held.append(held[0].create_execution_context())
        free.append(backend.cuda.mem_get_info()[0])
    taken = (-np.diff(free) / 2**20).tolist()
    return {"plan": report.size / 2**20, "announced": compat.device_memory(held[0]) / 2**20, "taken": taken}


def rounds(
    cases: Mapping[str, tuple[Session, Mapping[str, Any]]], one: tuple[int, ...], batches: Sequence[int], turns: int
) -> dict[int, dict[str, list[float]]]:
    """{batch: {case: ms between two answers, a number for each round}}: every case once per round, without copies.

    cases: {name: (session, options of `tl.measure`)}. one: shape of one sample of the session's only input.
    """
    found: dict[int, dict[str, list[float]]] = {b: {name: [] for name in cases} for b in batches}
    for b in batches:
        for _ in range(turns):
            for name, (session, options) in cases.items():
                shapes = {next(iter(session.inputs)): (b, *one)}
                how = {"transfers": False, "warm_up_ms": 20, "duration_s": 0.1, "min_iterations": 1, "spin": True}
                timing = measure(session, shapes=shapes, **how, **options)
                found[b][name].append(1000 * b / timing.throughput)
    return found


def middle(found: Mapping[int, Mapping[str, Sequence[float]]]) -> dict[int, dict[str, float]]:
    """The median of each case's rounds, ms."""
    return {b: {name: float(np.median(ms)) for name, ms in cases.items()} for b, cases in found.items()}


def spread(found: Mapping[int, Mapping[str, Sequence[float]]]) -> str:
    """The rounds as text, a line for each case, a column for each batch: median, and (least to most), ms."""
    lines = [f"{'':16}" + "".join(filled(told(f"batch {b}"), -26) for b in found)]
    for name in next(iter(found.values())):
        cells = [f"{np.median(c[name]):.3f} ({min(c[name]):.3f} to {max(c[name]):.3f})" for c in found.values()]
        lines.append(f"{name:16}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


def attempts(changes: Mapping[Any, Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    """`attempt` with each of these options, by name."""
    return {name: attempt(**options) for name, options in changes.items()}


def table(tried: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows of `attempt`, by name, as text: seconds of the build, ms, KiB of the plan."""
    heads = ((told("build, s"), -9), (told("latency, ms"), -12), ("plan, KiB", -10))
    lines = [f"{'':20} {' '.join(filled(*head) for head in heads)}"]
    for name, x in tried.items():
        lines.append(f"{name:20} {x['seconds']:9.2f} {x['ms']:12.4f} {x['size'] / 1024:10.1f}")
    return "\n".join(lines)


def repeats(tried: Mapping[str, list[Mapping[str, Any]]]) -> str:
    """Lists of `attempt`, by name, as text: the seconds of each build, and how much engines of a list differ."""
    lines = []
    for name, rows in tried.items():
        ms = [x["ms"] for x in rows]
        lines.append(f"{name}: {told('build')} " + " ".join(f"{x['seconds']:.2f}" for x in rows) + " s")
        tactics, plans = len({str(x["tactics"]) for x in rows}), len({x["sha256"] for x in rows})
        spread = 100 * (max(ms) - min(ms)) / min(ms)
        lines.append(told(f"  latency spread {spread:.1f} %, choices of tactics {tactics}, plans {plans}"))
    return "\n".join(lines)


def ten(cache: str | os.PathLike) -> dict[str, list[dict[str, Any]]]:
    """Five builds without a timing cache, and five that share one in this file; `attempt` of each."""
    return {name: [attempt(c) for _ in range(5)] for name, c in (("no cache", False), ("shared cache", cache))}


def ask_parser(model: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | str:
    """The answers of an engine whose model went to the parser as it is, past every check of ours.

    model: an onnx.ModelProto; inputs: name -> array, of the shapes in the model. "refused" or "not built" where
    there is no engine. FP32 without TF32.
    """
    builder = compat.create_builder(compat.shared_log())
    network = compat.create_network(builder)
    parser = backend.trt.OnnxParser(network, compat.shared_log())
    if not parser.parse(model.SerializeToString()):
        return "refused"
    config = builder.create_builder_config()
    compat.tf32(config, False)
    compat.quiet_tactics(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return "not built"
    with Session(plan) as session:
        return session.infer(dict(inputs))


def away(model: Any, module: Any, batch: Any) -> float | str:
    """Largest difference of `ask_parser`'s answers from the PyTorch module's own, for a batch (a torch tensor)."""
    feeds = {model.graph.input[0].name: batch.numpy()}
    found = ask_parser(model, feeds)
    if isinstance(found, str):
        return found
    return float(np.abs(found[model.graph.output[0].name] - module(batch).detach().numpy()).max())


def timed(make: Callable[[Any, Any], None] | None, rounds: int = 3) -> tuple[float, float]:
    """(seconds of a build, ms of its engine), medians of `rounds`, of `little` with `configure=make`."""
    tried = [attempt(configure=make) for _ in range(rounds)]
    return float(np.median([x["seconds"] for x in tried])), float(np.median([x["ms"] for x in tried]))
