"""Answers to lesson 04_4's exercises that the player tries."""

LOAD = """
def load_or_build(path, rebuild):
    {body}
"""
ENGINE = "tuple(engine.get_tensor_shape(name))"
PASSPORT = """
def passport(plan):
    try:
        engine = tl.load(plan)
    except {error}:
        return None
    found = {{}}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        largest = tuple(engine.get_tensor_profile_shape(name, 0)[{place}]) if is_input else None
        found[name] = {{"input": is_input, "shape": {shape}, "largest": largest}}
    return found
"""

ANSWERS = {
    "04_4.1": {
        "alternative": LOAD.format(
            body="""
    engine = None
    with contextlib.suppress(tl.errors.PlanError):
        engine = tl.load(path)
    if engine is None:
        engine = tl.load(rebuild().save(path))
    return engine
import contextlib
"""
        ),
        "wrong": [
            (LOAD.format(body="return tl.load(path)"), "catch the PlanError"),
            (LOAD.format(body="return rebuild().engine()"), "needs no rebuild"),
            (
                LOAD.format(body="return tl.load(path if path.exists() else rebuild().save(path))"),
                "a file that exists need not load",
            ),
            (
                LOAD.format(
                    body="""
    try:
        return tl.load(path)
    except Exception:
        try:
            return tl.load(rebuild().save(path))
        except Exception:
            return None
"""
                ),
                "catch PlanError alone",
            ),
            (LOAD.format(body="return rebuild()"), "return the engine"),
        ],
    },
    "04_4.2": {
        "alternative": """
def passport(plan):
    if not plan or plan[:4] not in (b"ftrt", b"TRTL"):
        return None
    engine = trt.Runtime(log).deserialize_cuda_engine(plan)
    if engine is None:
        return None
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    return {
        name: {
            "input": name in inputs,
            "shape": list(engine.get_tensor_shape(name)),
            "largest": engine.get_tensor_profile_shape(name, 0)[2] if name in inputs else None,
        }
        for name in names
    }
""",
        "wrong": [
            (PASSPORT.format(error="tl.errors.PlanError", place=0, shape=ENGINE), "a profile has min, opt and max"),
            (PASSPORT.format(error="tl.errors.PlanError", place=2, shape="(1, 6)"), "stays -1"),
            (PASSPORT.format(error="KeyError", place=2, shape=ENGINE), "PlanError"),
            ("def passport(plan):\n    return {'rows': {}}", "num_io_tensors"),
        ],
    },
    "04_4.3": {
        "alternative": """
def smaller():
    model = tl.precision.quantize(digits.onnx_path(), digits.data().train_images[:64])
    if tl.compat.strongly_typed():
        model = tl.precision.to_fp16(model)
    return tl.build(model, profiles=ranges, permit=("int8", "fp16"), level=1, **fresh)
""",
        "wrong": [
            ("def smaller():\n    return report", "how many bytes does one weight take"),
            (
                "def smaller():\n    half = tl.precision.to_fp16(digits.onnx_path())\n"
                "    few = {'images': ((1, 1, 32, 32), (8, 1, 32, 32), (8, 1, 32, 32))}\n"
                "    return tl.build(half, profiles=few, level=1, **fresh)",
                "the same profile",
            ),
            ("def smaller():\n    return report.plan[:1000]", "return what tl.build gives"),
        ],
    },
}
