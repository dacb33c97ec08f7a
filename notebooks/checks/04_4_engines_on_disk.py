"""Checks of lesson 04_4, engines on disk."""

import tempfile
from pathlib import Path

import onnx

import trt_lessons as tl
from trt_lessons.workbook.exercises import exercise, right, wrong


def _tiny(network):
    trt = tl.trt
    x = network.add_input("x", trt.float32, (2, 4))
    y = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    network.mark_output(y)


class _Rebuild:
    """Counts how often it is called; builds once and gives the same report each time."""

    def __init__(self):
        self.calls, self.report = 0, None

    def __call__(self):
        self.calls += 1
        if self.report is None:
            self.report = tl.build(_tiny, level=0, cache=False, timing_cache=False, progress=False)
        return self.report


def _is_engine(thing):
    return hasattr(thing, "create_execution_context")


@exercise("04_4.1")
def load_or_build(answer):
    with tempfile.TemporaryDirectory() as folder:
        path, rebuild = Path(folder) / "tiny.plan", _Rebuild()
        steps = (
            ("the file is missing", 1, "catch the PlanError that tl.load raises, and call rebuild()."),
            ("the file is there and whole", 1, "a plan that loads needs no rebuild; did you save it at `path`?"),
            ("the file is damaged", 2, "a file that exists need not load: catch the PlanError."),
            (
                "the file was damaged, now it is asked for again",
                2,
                "save the new plan at `path`, over the damaged one.",
            ),
        )
        for number, (case, calls, hint) in enumerate(steps):
            if number == 2 and path.is_file():
                damaged = bytearray(path.read_bytes())
                damaged[len(damaged) // 2] ^= 1
                path.write_bytes(bytes(damaged))
            expected = f"an engine; {calls} rebuild{'s' if calls > 1 else ''} in all ({case})"
            try:
                got = answer(path, rebuild)
            except tl.errors.PlanError:
                return wrong(yours=f"a PlanError, when {case}", expected=expected, hint=hint)
            if not _is_engine(got):
                return wrong(yours=got, expected=expected, hint="return the engine: report.engine() gives one.")
            if rebuild.calls != calls:
                return wrong(yours=f"{rebuild.calls} rebuilds, when {case}", expected=expected, hint=hint)
        return _shows_other_errors(answer, Path(folder) / "other.plan")


def _shows_other_errors(answer, path):
    def broken():
        raise tl.errors.BuildError("no way to build this")

    try:
        answer(path, broken)
    except tl.errors.BuildError:
        return right("Every program that keeps plans needs these few lines.")
    return wrong(
        yours="nothing was raised when rebuild() failed", expected="the BuildError of rebuild()",
        hint="catch PlanError alone, and only around tl.load.",
    )  # fmt: skip


def _kinds():
    """(bytes, answer, what it is, hint) of each file that `who_made` must know."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [2]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "relu", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph).SerializeToString()
    return (
        (b"ftrt" + bytes(60), "TensorRT", "a plan of TensorRT", 'does it begin with b"ftrt"?'),
        (
            b"TRTL-INTERP\x01" + bytes(60),
            "interpreter",
            "a plan of the interpreter",
            'does it begin with b"TRTL-INTERP"?',
        ),
        (model, "ONNX", "an ONNX file", "onnx.load_from_string reads it, and it has a node."),
        (model[: len(model) // 2], "unknown", "half an ONNX file", "reading it raises an error: catch that."),
        (b"%PDF-1.7 " + bytes(60), "unknown", "a PDF", "what is left when it is none of the three?"),
        (b"ft", "unknown", "a file of two bytes", "it does not begin with all four letters."),
        (b"", "unknown", "an empty file", "no bytes are a model without nodes: ask for `graph.node`."),
    )


@exercise("04_4.2")
def who_made(answer):
    for data, wanted, called, hint in _kinds():
        try:
            got = answer(data)
        except Exception as error:
            return wrong(yours=f"{type(error).__name__} for {called}", expected=repr(wanted), hint=hint)
        if got != wanted:
            return wrong(yours=f"{got!r} for {called}", expected=repr(wanted), hint=hint)
    return right("Two magic numbers tell most files apart, before anything is loaded.")


@exercise("04_4.3")
def cache_key(answer):
    model, options = b"a model", {"level": 3, "precision": None}
    machine = {"tensorrt": "8.6.0", "gpu": "NVIDIA H200"}
    key = answer(model, options, machine)
    if not isinstance(key, str):
        return wrong(
            yours=key, expected="a text", hint="a hexdigest is a text; Python's hash is a number and differs tomorrow."
        )
    if len(key) < 32 or not key.isalnum():
        return wrong(
            yours=key, expected="a text of letters and digits, at least 32 of them",
            hint="sha256(...).hexdigest() has 64, and can be a file name.",
        )  # fmt: skip
    turned = answer(model, dict(reversed(options.items())), dict(reversed(machine.items())))
    if turned != key:
        return wrong(
            yours="another key for the same entries in another order", expected="the same key",
            hint="sort the entries: json.dumps(..., sort_keys=True).",
        )  # fmt: skip
    others = {
        "the model": (b"another model", options, machine),
        "the model's last byte": (b"a modem", options, machine),
        "an option": (model, {**options, "level": 0}, machine),
        "the GPU": (model, options, {**machine, "gpu": "NVIDIA A100"}),
        "the TensorRT version": (model, options, {**machine, "tensorrt": "10.16.1"}),
    }
    for what, arguments in others.items():
        if answer(*arguments) == key:
            return wrong(
                yours=f"the same key, though {what} changed", expected="another key",
                hint="everything that decides what is built belongs into the hash.",
            )  # fmt: skip
    return right("A wrong key is worse than no cache: it gives you the wrong engine.")
