"""Answers to lesson 07's exercises that the player tries."""

from trt_lessons import compat

CAUSE = """
def cause(letter):
    profile = builder.create_optimization_profile()
    shapes = {shapes}
    if letter in shapes:
        profile.set_shape(*shapes[letter])
    return fill_build(builder, relu, *([profile] if letter in "{with_profile}" else []))
"""
WIDE = '("rows", (1, 3), (8, 3), (8, 3))'
HALF = """
def build_half(data):
    network = tl.compat.create_network(builder)
    if not trt.OnnxParser(network, log).parse(data):
        {refuse}
    network = tl.compat.create_network(builder)
    parser = trt.OnnxParser(network, log)
    parser.parse({model})
    config = builder.create_builder_config()
    config.builder_optimization_level = 0
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    tl.compat.quiet_tactics(config)
    tl.compat.permit(config, {permitted})
    profile = builder.create_optimization_profile()
    profile.set_shape("{name}", (1, 1, 32, 32), (8, 1, 32, 32), (8, 1, 32, 32))
    {add}
    return builder.build_serialized_network(network, config)
"""
PARTS = {
    "refuse": "raise ValueError('no model')",
    "model": "precision.to_fp16(data).SerializeToString()",
    "name": "images",
    "permitted": '{"fp16"}',
    "add": "config.add_optimization_profile(profile)",
}
# Where typing is weak the permission makes FP16 of an FP32 model: there this answer is right.
FLAG_ALONE = [(HALF.format(**PARTS | {"model": "data"}), "this one is FP32")] if compat.strongly_typed() else []
FIND = """
def first_bad(model, x):
    import onnx
    copy = precision.read(model)
    names = [node.output[0] for node in copy.graph.node]
    for name in names[:-1]:
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, (16, 64, 48, 48)))
    answers = []
    for kind, made in (("fp32", copy), ("fp16", precision.to_fp16(copy))):
        with tl.Session(tl.build(made, precision=kind, **options)) as session:
            answers.append({{k: v.copy() for k, v in session.infer(x).items()}})
    for node in {order}:
        error = precision.compare(answers[1][node.output[0]], answers[0][node.output[0]]).relative
        if {bad}:
            return node.name
"""

ANSWERS = {
    "07.1": {
        "alternative": """
def cause(letter):
    given = {"A": None, "B": "row", "C": "rows"}[letter]
    if given is None:
        return fill_build(builder, relu)
    profile = builder.create_optimization_profile()
    profile.set_shape(given, (1, 3), (1, 3), (1, 3))
    return fill_build(builder, relu, profile)
""",
        "wrong": [
            (CAUSE.format(shapes=f'{{"C": {WIDE}}}', with_profile="ABC"), "without any profile"),
            (CAUSE.format(shapes=f'{{"B": {WIDE}, "C": {WIDE}}}', with_profile="BC"), "know nothing of"),
            (CAUSE.format(shapes="{}", with_profile="BC"), "in dimension 1"),
            (CAUSE.format(shapes='{"C": ("rows", (1, 4), (8, 4), (8, 4))}', with_profile="BC"), "in dimension 1"),
            ("def cause(letter):\n    print('no optimization profile has been defined')", "call fill_build"),
        ],
    },
    "07.2": {
        "alternative": """
def build_half(data):
    if not trt.OnnxParser(tl.compat.create_network(builder), log).parse(data):
        raise ValueError("no model")
    ranges = {"images": ((1, 1, 32, 32), (4, 1, 32, 32), (8, 1, 32, 32))}
    return tl.build(precision.to_fp16(data), profiles=ranges, precision="fp16", level=1).plan
""",
        "wrong": [
            (HALF.format(**PARTS | {"refuse": "pass", "model": "data"}), "parse answers with a bool"),
            (HALF.format(**PARTS | {"name": "image"}), "right name"),
            (HALF.format(**PARTS | {"add": ""}), "added to the config"),
            (HALF.format(**PARTS | {"model": "data", "permitted": "set()"}), "this one is FP32"),
            *FLAG_ALONE,
        ],
    },
    "07.3": {
        "alternative": """
def first_bad(model, x):
    import onnx
    for node in precision.read(model).graph.node:
        copy = precision.read(model)
        del copy.graph.output[:]
        copy.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], 1, (16, 64, 48, 48)))
        while copy.graph.node[-1].name != node.name:
            copy.graph.node.pop()
        used = {name for one in copy.graph.node for name in one.input}
        for array in [array for array in copy.graph.initializer if array.name not in used]:
            copy.graph.initializer.remove(array)
        with tl.Session(tl.build(copy, precision="fp32", **options)) as session:
            true = session.infer(x)[node.output[0]].copy()
        with tl.Session(tl.build(precision.to_fp16(copy), precision="fp16", **options)) as session:
            got = session.infer(x)[node.output[0]].copy()
        if not precision.compare(got, true).relative < 0.02:
            return node.name
""",
        "wrong": [
            (FIND.format(order="copy.graph.node", bad="error > 1e-6"), "2 %"),
            (FIND.format(order="reversed(copy.graph.node)", bad="not error < 0.02"), "stop at the first"),
            ("def first_bad(model, x):\n    return 'conv0'", "build the model that was given"),
            ("def first_bad(model, x):\n    return None", "not error < 0.02"),
        ],
    },
}
