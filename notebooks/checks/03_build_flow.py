"""Checks of lesson 03, the build flow."""

from __future__ import annotations

import trt_lessons as tl
from trt_lessons.workbook.exercises import Verdict, exercise, right, wrong


def _model(body: str, opsets: str = '"" : 17, "mine" : 1'):
    import onnx

    return onnx.parser.parse_model(
        f"<ir_version: 8, opset_import: [{opsets}]> g (float[2, 4] x) => (float[2, 4] y) {{ {body} }}"
    )


@exercise("03.1")
def opset_of(answer) -> Verdict:
    """ONNX's own list, wherever it stands among the entries."""
    cases = {'"" : 17': 17, '"mine" : 1, "" : 16': 16, '"" : 13, "mine" : 99': 13, '"mine" : 20, "ai.onnx" : 15': 15}
    for opsets, wanted in cases.items():
        got = answer(_model("y = Relu(x)", opsets))
        if got == wanted:
            continue
        expected = f"a number for opset_import [{opsets}]"
        if got is None:
            return wrong(
                yours="nothing", expected=expected, hint='return a version; the domain may be "" or "ai.onnx".'
            )
        if got == 8:
            return wrong(yours=got, expected=expected, hint="ir_version is the version of the file format.")
        if not isinstance(got, int):
            return wrong(yours=got, expected=expected, hint="return the entry's version, a number.")
        return wrong(yours=got, expected=expected, hint="this is another list's version: look at each entry's domain.")
    return right("8.6 reads up to 17, 10.0 up to 20, 11 up to 25.")


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


@exercise("03.3")
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
