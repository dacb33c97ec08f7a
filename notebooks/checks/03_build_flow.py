"""Checks of lesson 03, the build flow."""

from __future__ import annotations

import trt_lessons as tl
from trt_lessons.measuring import builds
from trt_lessons.workbook.exercises import Verdict, exercise, right, wrong

FASTER, SLOWER = 1.5, 1.1  # of the default: a build at least so many times as fast, a latency at most so many times


def _model(body: str):
    import onnx

    return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
        g (float[2, 4] x) => (float[2, 4] y) {{ {body} }}""")


@exercise("03.2", points=2)
def unknown_ops(answer) -> Verdict:
    """Names of operations, for a model that parses and for one that does not."""
    bad = _model("a = Relu(x)  b = mine.Blur(a)  y = Relu(b)")
    got = answer(bad)
    expected = "the operation's name in a list, for a model whose second node is mine.Blur"
    if got is None or isinstance(got, (bool, str)):
        return wrong(yours=got, expected=expected, hint="return a list of names, not only whether it went well.")
    got = list(got)
    if not got:
        return wrong(yours=got, expected=expected, hint="did you call parse, and then look at num_errors?")
    if not all(isinstance(name, str) for name in got):
        hint = "error.node() is an index: the name is model.graph.node[index].op_type."
        return wrong(yours=got, expected=expected, hint=hint)
    if set(got) != {"Blur"}:
        hint = "only the operations that stopped the parser; op_type of the node the error names."
        return wrong(yours=got, expected=expected, hint=hint)
    if list(answer(_model("y = Relu(x)"))):
        return wrong(
            yours="names for a model that parses", expected="an empty list", hint="use a new parser for each model."
        )
    return right("TensorRT 8 stops at the first one; newer versions name them all.")


@exercise("03.1")
def careful(answer) -> Verdict:
    """TF32 off, 64 MiB, DETAILED; the rest as it was."""
    trt = tl.trt
    builder = trt.Builder(tl.compat.shared_log())
    config = builder.create_builder_config()
    answer(config, tl.compat.create_network(builder))
    workspace = config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE)
    if config.get_flag(trt.BuilderFlag.TF32):
        return wrong(
            yours="TF32 is allowed", expected="FP32 products in full FP32", hint="a flag is on by default; clear it."
        )
    if workspace != 64 << 20:
        hint = (
            "1 << 20 is one MiB."
            if workspace in (64, 1 << 20)
            else "set_memory_pool_limit, the pool WORKSPACE, in bytes."
        )
        return wrong(yours=f"workspace {workspace} bytes", expected="64 MiB", hint=hint)
    if config.profiling_verbosity != trt.ProfilingVerbosity.DETAILED:
        return wrong(
            yours=config.profiling_verbosity.name, expected="all about its layers", hint="profiling_verbosity."
        )
    return right("Give it to tl.build(..., configure=careful).")


@exercise("03.3", points=2)
def hurried(answer) -> Verdict:
    """A faster build of an engine as fast: measured on a GPU, else by what these options gave on the recorded one."""
    config = _configured(answer)
    if config.get_timing_cache() is not None and not tl.backend.is_gpu():
        hint = "leave the cache away: a first build has none."
        return wrong(yours="a timing cache", expected="options that make the search itself shorter", hint=hint)
    build, latency, told = _measured(answer) if tl.backend.is_gpu() else _recorded(config)
    if latency > SLOWER:
        return wrong(
            yours=f"a latency {latency:.2f} times the default's ({told})",
            expected=f"{SLOWER} times at most",
            hint="this engine is slower: the search left out kernels that pay.",
        )
    if build < FASTER:
        return wrong(
            yours=f"a build {build:.2f} times as fast as the default ({told})",
            expected=f"{FASTER} times at least",
            hint="how hard the builder searches is one option of the config, with numbers from 0 to 5.",
        )
    return right(f"The build is {build:.1f} times as fast, the latency {latency:.2f} times the default's ({told}).")


def _configured(answer):
    """A fresh config after the answer's function."""
    builder = tl.trt.Builder(tl.compat.shared_log())
    config = builder.create_builder_config()
    answer(config, tl.compat.create_network(builder))
    return config


def _measured(answer) -> tuple[float, float, str]:
    """(times as fast to build, times the latency, where from), both builds measured here."""
    (default_s, default_ms), (mine_s, mine_ms) = builds.timed(None), builds.timed(answer)
    return default_s / mine_s, mine_ms / default_ms, "measured"


def _recorded(config) -> tuple[float, float, str]:
    """The same from lesson 03's recordings: of the level, and of TF32 where the answer forbids it."""
    levels = tl.recordings.recall("levels", "03_build_flow")
    options = tl.recordings.recall("options", "03_build_flow")
    mine, default = levels[config.builder_optimization_level], levels[3]
    build, latency = default["seconds"] / mine["seconds"], mine["ms"] / default["ms"]
    if not config.get_flag(tl.trt.BuilderFlag.TF32):
        build *= options["default"]["seconds"] / options["TF32 off"]["seconds"]
        latency *= options["TF32 off"]["ms"] / options["default"]["ms"]
    return build, latency, levels.note
