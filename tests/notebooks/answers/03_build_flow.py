"""Answers to lesson 03's exercises that the player tries."""

UNKNOWN = """
def unknown_ops(model):
    net = tl.compat.create_network(builder)
    parser = trt.OnnxParser(net, log)
    went = parser.parse(model.SerializeToString())
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return {result}
"""

CAREFUL = """
def careful(config, network):
    {tf32}
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, {size})
    config.profiling_verbosity = trt.ProfilingVerbosity.{verbosity}
"""
ONLY_EMPTY = """
def opset_of(model):
    for x in model.opset_import:
        if x.domain == "":
            return x.version
"""
BY_DOMAIN = """
def opset_of(model):
    lists = {x.domain or "ai.onnx": x.version for x in model.opset_import}
    return lists["ai.onnx"]
"""
OFF = "config.clear_flag(trt.BuilderFlag.TF32)"

ANSWERS = {
    "03.1": {
        "alternative": BY_DOMAIN,
        "wrong": [
            ("def opset_of(model):\n    return model.opset_import[0].version", "look at each entry's domain"),
            ("def opset_of(model):\n    return model.ir_version", "the file format"),
            (
                "def opset_of(model):\n    return max(x.version for x in model.opset_import)",
                "look at each entry's domain",
            ),
            (
                ONLY_EMPTY,
                '"ai.onnx"',
            ),
        ],
    },
    "03.2": {
        "alternative": UNKNOWN.format(
            result="[] if went else sorted({model.graph.node[e.node()].op_type for e in errors})"
        ),
        "wrong": [
            (UNKNOWN.format(result="went"), "not only whether it went well"),
            (UNKNOWN.format(result="[e.node() for e in errors]"), "is an index"),
            (UNKNOWN.format(result="[node.op_type for node in model.graph.node]"), "only the operations that stopped"),
            ("def unknown_ops(model):\n    return []", "did you call parse"),
        ],
    },
    "03.3": {
        "alternative": CAREFUL.format(
            tf32="config.flags &= ~(1 << int(trt.BuilderFlag.TF32))", size="64 * 1024**2", verbosity="DETAILED"
        ),
        "wrong": [
            (
                CAREFUL.format(tf32="config.set_flag(trt.BuilderFlag.TF32)", size="64 << 20", verbosity="DETAILED"),
                "clear it",
            ),
            (CAREFUL.format(tf32=OFF, size="1 << 20", verbosity="DETAILED"), "one MiB"),
            (CAREFUL.format(tf32=OFF, size="64 << 30", verbosity="DETAILED"), "in bytes"),
            (CAREFUL.format(tf32=OFF, size="64 << 20", verbosity="LAYER_NAMES_ONLY"), "profiling_verbosity"),
        ],
    },
}
