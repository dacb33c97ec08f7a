"""Builds a ReLU three ways and loads each with and without permission for host code; prints a line of JSON each.

A program for a process of its own, `python -m trt_lessons.engines.portable.version_compatible`: where a library is
missing, a build may end the process. Lesson 04_4 reads what it prints.
"""

from __future__ import annotations

import json
from typing import Any

from ... import backend, compat

WAYS = ((), ("VERSION_COMPATIBLE",), ("VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"))


def main() -> None:
    """All ways, one after the other; nothing TensorRT has made outlives its maker."""
    _ = backend.cuda  # the context first
    log = compat.Log(print_from=None)
    builder = backend.trt.Builder(log)
    for flags in WAYS:
        mark = len(log.errors)  # the lines before belong to the way before
        plan = _build(builder, flags)
        size = 0 if plan is None else plan.nbytes
        print(json.dumps({"flags": flags, "bytes": size, "log": log.errors[mark:][-2:]}), flush=True)
        for allowed in (False, True) if plan else ():
            print(json.dumps(_load(log, plan, allowed)), flush=True)
        del plan
    del builder


def _build(builder: Any, flags: tuple[str, ...]) -> Any:
    trt = backend.trt
    network, config = compat.create_network(builder), builder.create_builder_config()
    x = network.add_input("x", trt.float32, (8, 64))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    compat.quiet_tactics(config)
    for flag in flags:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    return builder.build_serialized_network(network, config)


def _load(log: Any, plan: Any, allowed: bool) -> dict[str, Any]:
    runtime, mark = backend.trt.Runtime(log), len(log.records)
    runtime.engine_host_code_allowed = allowed
    loaded = runtime.deserialize_cuda_engine(plan) is not None
    return {"allowed": allowed, "loaded": loaded, "log": log.since(mark)[-2:]}


if __name__ == "__main__":
    main()
