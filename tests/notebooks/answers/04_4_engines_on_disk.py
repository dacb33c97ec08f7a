"""Answers to lesson 04_4's exercises that the player tries."""

LOAD = """
def load_or_build(path, rebuild):
    {body}
"""
KEY = "import hashlib\ndef cache_key(model, options, machine):\n    return {value}"
SHA = "hashlib.sha256({what}).hexdigest()"

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
def who_made(data):
    import onnx
    if data[:4] == b"ftrt":
        return "TensorRT"
    if data[:11] == b"TRTL-INTERP":
        return "interpreter"
    try:
        onnx.checker.check_model(onnx.load_model_from_string(data))
    except Exception:
        return "unknown"
    return "ONNX"
""",
        "wrong": [
            (
                "def who_made(data):\n"
                "    return {b'ftrt': 'TensorRT', b'TRTL': 'interpreter'}.get(data[:4], 'unknown')",
                "it has a node",
            ),
            (
                "import onnx\n"
                "def who_made(data):\n"
                "    names = {b'ftrt': 'TensorRT', b'TRTL': 'interpreter'}\n"
                "    return names.get(data[:4]) or (onnx.load_from_string(data) and 'ONNX')",
                "catch that",
            ),
            (
                "import onnx\n"
                "def who_made(data):\n"
                "    names = {b'ftrt': 'TensorRT', b'TRTL': 'interpreter'}\n"
                "    try:\n"
                "        return names.get(data[:4]) or (onnx.load_from_string(data) and 'ONNX')\n"
                "    except Exception:\n        return 'unknown'",
                "a model without nodes",
            ),
            ("def who_made(data):\n    return 'interpreter'", 'does it begin with b"ftrt"'),
        ],
    },
    "04_4.3": {
        "alternative": """
def cache_key(model, options, machine):
    from hashlib import sha256
    parts = [repr(sorted(d.items())).encode() for d in (options, machine)]
    return sha256(b"|".join([sha256(model).digest(), *parts])).hexdigest()
""",
        "wrong": [
            (KEY.format(value="hash((model, str(options), str(machine)))"), "differs tomorrow"),
            (KEY.format(value=SHA.format(what="model")), "everything that decides"),
            (KEY.format(value=SHA.format(what="model + str((options, machine)).encode()")), "sort the entries"),
            (KEY.format(value="str(sorted(options.items())) + model.decode()"), "can be a file name"),
        ],
    },
}
