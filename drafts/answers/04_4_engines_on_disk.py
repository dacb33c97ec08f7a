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
    if data[:11] == b"TRTL-INTERP":
        return "interpreter"
    version = [str(n) for n in data[24:27]]
    return "TensorRT " + ".".join(version) if data[:4] == b"ftrt" and len(version) == 3 else "unknown"
""",
        "wrong": [
            ("def who_made(data):\n    return f'TensorRT {data[24]}.{data[25]}.{data[26]}'", 'b"TRTL-INTERP" first'),
            (
                "def who_made(data):\n    return 'TensorRT 8.6.0' if data[:4] == b'ftrt' else 'unknown'",
                "one byte, not one character",
            ),
            (
                "def who_made(data):\n"
                "    if data[:4] == b'TRTL':\n        return 'interpreter'\n"
                "    if data[:4] != b'ftrt':\n        return 'unknown'\n"
                "    return f'TensorRT {data[24]}.{data[25]}.{data[26]}'",
                "is there a byte 26",
            ),
            ("def who_made(data):\n    return data[24:27]", "join them with dots"),
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
