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
HURRIED = "def hurried(config, network):\n    {}"
OFF = "config.clear_flag(trt.BuilderFlag.TF32)"

ANSWERS = {
    "03.1": {
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
        "alternative": HURRIED.format("config.builder_optimization_level = 2"),
        "wrong": [
            (HURRIED.format("pass"), "one option of the config"),
            (HURRIED.format("config.builder_optimization_level = 0"), "left out kernels"),
            (HURRIED.format("config.builder_optimization_level = 5"), "one option of the config"),
            (HURRIED.format(OFF), "left out kernels"),
        ],
    },
}
