"""The process that asks NVIDIA's compiler: reads `request.json` in its folder, writes one JSON line per answer.

`nvidia.ask` copies this file into an empty folder and runs it there, so that nothing of the package is imported
and a crash, a hang or a wrong version stays here. It ends, and takes its folder with it, when its parent is gone.
"""

from __future__ import annotations
import __future__

import importlib
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path.cwd()
SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")


def end_with_the_parent() -> None:
    """The parent holds the other end of stdin: when it is closed without a word the parent was ended."""
    if not sys.stdin.buffer.read(1):
        shutil.rmtree(HERE, ignore_errors=True)
        os._exit(1)


def tell(**answer: Any) -> None:
    """Write one answer and flush it: what is written stays when a later question ends the process."""
    with open(HERE / "answers.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(answer) + "\n")


def make_log(trt: Any) -> Any:
    """An `ILogger` that keeps every line: (severity name, text)."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.records: list[tuple[str, str]] = []

        def log(self, severity: Any, msg: str) -> None:
            self.records.append((severity.name, msg))

    return Log()


def make_monitor(trt: Any) -> Any:
    """An `IProgressMonitor` that counts its calls and keeps (phase, parent phase, steps)."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            super().__init__()
            self.calls, self.phases = 0, []

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.calls += 1
            self.phases.append((phase_name, parent_phase or "", num_steps))

        def phase_finish(self, phase_name: str) -> None:
            self.calls += 1

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.calls += 1
            return True

    return Monitor()


def shape_of(tensor: Any) -> list[int] | None:
    """A tensor's dimensions, None where NVIDIA cannot tell them."""
    try:
        return [int(n) for n in tensor.shape]
    except (ValueError, RuntimeError):
        return None


def facts(network: Any) -> dict[str, Any]:
    """Inputs, outputs and layers of a network as plain data."""

    def tensor(t: Any) -> dict[str, Any]:
        return {"name": t.name, "dtype": t.dtype.name, "shape": shape_of(t)}

    def layer(x: Any) -> dict[str, Any]:
        reads = [x.get_input(j) for j in range(x.num_inputs)]
        makes = [t for j in range(x.num_outputs) if (t := x.get_output(j)) is not None]
        return {
            "name": x.name,
            "type": x.type.name,
            "dtype": makes[0].dtype.name if makes else "",
            "metadata": str(x.metadata or ""),
            "reads": [t.name for t in reads if t is not None],
            "makes": [t.name for t in makes],
        }

    return {
        "inputs": [tensor(network.get_input(i)) for i in range(network.num_inputs)],
        "outputs": [tensor(network.get_output(i)) for i in range(network.num_outputs)],
        "network": [layer(network.get_layer(i)) for i in range(network.num_layers)],
    }


def refusal(error: Any) -> dict[str, Any]:
    """A parser error as plain data."""
    return {
        "code": error.code().name,
        "node": int(error.node()),
        "name": str(error.node_name()),
        "op": str(error.node_operator()),
        "words": str(error.desc()).strip(),
    }


def define(trt: Any, network: Any, given: dict[str, Any]) -> Any:
    """Fill a network with the learner's function; returns what must outlive the build."""
    import numpy as np

    sys.path += [p for p in given["path"] if p not in sys.path]
    space: dict[str, Any] = {"__name__": "asked", **given["values"]}
    if given["arrays"]:
        space.update(np.load(HERE / "arrays.npz"))
    space.update({name: importlib.import_module(module) for name, module in given["modules"].items()})
    space.update(dict.fromkeys(given["trt"], trt))
    for number, source in enumerate(given["sources"]):
        exec(compile(source, f"<function {number} of yours>", "exec", __future__.annotations.compiler_flag), space)
    return space[given["function"]](network), space


def read(trt: Any, network: Any, log: Any, request: dict[str, Any]) -> tuple[bool, Any]:
    """Parse the model, or run the function; tell the answer. Returns (go on?, what must outlive the build)."""
    mark, start, refused, held = len(log.records), time.perf_counter(), [], None
    if request["function"]:
        held = define(trt, network, request["function"])
        parsed = network.num_outputs > 0
        if not parsed:
            words = "the function marked no output: end it with network.mark_output(tensor)"
            refused = [{"code": "NO_OUTPUT", "node": -1, "name": "", "op": "", "words": words}]
    else:
        held = parser = trt.OnnxParser(network, log)
        parsed = bool(parser.parse_from_file(request["model"])) and network.num_layers > 0
        refused = [refusal(parser.get_error(i)) for i in range(parser.num_errors)]
        if not parsed and not refused:
            words = "the parser made an empty network of it"
            refused = [{"code": "EMPTY", "node": -1, "name": "", "op": "", "words": words}]
    seconds = time.perf_counter() - start
    told = facts(network) if parsed else {}
    tell(kind="parse", parsed=parsed, refused=refused, seconds=seconds, log=kept(log, mark, request), **told)
    return parsed, held


def kept(log: Any, mark: int, request: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines since `mark` that are as bad as was asked for, or worse."""
    worst = SEVERITIES.index(request["log"])
    return [(s, text) for s, text in log.records[mark:] if SEVERITIES.index(s) <= worst]


def build(trt: Any, builder: Any, network: Any, log: Any, request: dict[str, Any], card: str) -> None:
    """Build for one card and tell the answer."""
    mark = len(log.records)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, card), 0)
    config.progress_monitor = monitor = make_monitor(trt)
    inputs = {network.get_input(i).name: network.get_input(i) for i in range(network.num_inputs)}
    for ranges in request["profiles"]:
        profile = builder.create_optimization_profile()
        for name, three in ranges.items():
            if name in inputs:
                shapes = inputs[name].is_shape_tensor
                (profile.set_shape_input if shapes else profile.set_shape)(name, *map(tuple, three))
        config.add_optimization_profile(profile)
    start = time.perf_counter()
    plan = builder.build_serialized_network(network, config)
    seconds = time.perf_counter() - start
    layers = next((text for _, text in log.records[mark:] if text.startswith("Layers:")), "")
    told = {"seconds": seconds, "plan_bytes": None if plan is None else int(plan.nbytes), "layers": layers}
    told |= {"calls": monitor.calls, "phases": monitor.phases, "log": kept(log, mark, request)}
    tell(kind="build", card=card, built=plan is not None, **told)


def main() -> None:
    """Answer the request."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    request = json.loads((HERE / "request.json").read_text("utf-8"))
    trt = importlib.import_module("tensorrt_rtx")
    tell(kind="version", version=str(trt.__version__))
    log = make_log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(0)
    try:
        go_on, held = read(trt, network, log, request)
    except Exception as error:  # of the learner's function: the parser raises none
        tell(kind="failed", words=f"{type(error).__name__}: {error}")
        os._exit(0)
    for card in request["cards"] if go_on else ():
        build(trt, builder, network, log, request, card)
    del held
    tell(kind="end")
    os._exit(0)  # the thread that waits for the parent does not hold up the end


if __name__ == "__main__":
    main()
