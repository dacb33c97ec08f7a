"""Checks of lesson 08, NVIDIA's compiler asked."""

import numpy as np
import onnx

import trt_lessons as tl
from trt_lessons.workbook.exercises import exercise, right, wrong

RANGE = {"images": ((1, 1, 32, 32), (8, 1, 32, 32), (32, 1, 32, 32))}


# inner tensors of block5 that cost no engine layer with TensorRT-RTX 1.7.1; tests/unit/test_nvidia.py asks again
FREE_SAYS = "No further engine layer: this one you may watch for free."
FREE = ("block5.norm2", "block5.skip_norm", "block5.add", "block5.relu2")


def with_output(name):
    """The digits network with one more output, or None where it has no such inner tensor."""
    model = onnx.shape_inference.infer_shapes(onnx.load(tl.models.digits.onnx_path()))
    known = {value.name: value for value in model.graph.value_info}
    if name not in known:
        return None
    model.graph.output.append(known[name])
    return model


def layers_with(name):
    """Engine layers for SM89 with that tensor as an output, and without."""
    asked = (tl.models.digits.onnx_path(), with_output(name))
    return [len(tl.nvidia.ask(model, "SM89", RANGE)["SM89"].table) for model in asked]


@exercise("08.1")
def watch(answer):
    expected = "the name of an inner tensor of block5 that leaves as many engine layers as before"
    if not isinstance(answer, str):
        return wrong(yours=answer, expected=expected, hint='a name in quotation marks, such as "block5.conv1".')
    if with_output(answer) is None:
        hint = "print [node.output[0] for node in onnx.load(DIGITS).graph.node]."
        return wrong(yours=f"{answer!r}: there is no such inner tensor", expected=expected, hint=hint)
    if not answer.startswith("block5."):
        return wrong(yours=answer, expected=expected, hint="look into the last block, block5.")
    if not tl.nvidia.available():
        if answer in FREE:
            return right(FREE_SAYS)
        hint = "no compiler is here to ask; as recorded, this tensor costs more."
        return wrong(yours=answer, expected=expected, hint=f"{hint} Try one that stands later in the block.")
    before, after = layers_with(answer)
    if after > before:
        hint = "its fusion breaks, or a kernel must move it: ask about the tensors behind it."
        return wrong(yours=f"{answer}: {after} engine layers, {before} before", expected=expected, hint=hint)
    return right(FREE_SAYS)


def _logits(model):
    import onnxruntime

    pictures = tl.models.digits.data().test_images[:200]
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"images": pictures})[0]


@exercise("08.2", points=2)
def small(answer):
    if not hasattr(answer, "SerializeToString"):
        return wrong(yours=answer, expected="an onnx.ModelProto", hint="what do the helpers of `precision` return?")
    base = tl.models.digits.onnx_path()
    there = bool(tl.nvidia.available())
    if there:
        before, after = (tl.nvidia.ask(m, "SM86", RANGE)["SM86"] for m in (base, answer))
        if not after.built:
            return wrong(yours=after.words[:160], expected="a plan for SM86", hint="which cards have this type?")
        share, unit = after.plan_bytes / before.plan_bytes, "of the FP32 plan"
    else:
        share, unit = answer.ByteSize() / base.stat().st_size, "of the FP32 model (no compiler is here to ask)"
    if share > 0.55:
        hint = "eight bits bring more kernels, so this small network does not profit: how many bytes has a half?"
        return wrong(yours=f"{share:.0%} {unit}", expected="at most 55 %", hint=hint)
    try:
        logits = _logits(answer)
    except Exception as problem:  # onnxruntime's own exceptions
        told = str(problem).splitlines()[0][:120]
        hint = "onnxruntime on this CPU cannot run it: which other type has two bytes?"
        return wrong(yours=told, expected="a model that runs here too", hint=hint)
    same = float(np.mean(logits.argmax(1) == _logits(base.read_bytes()).argmax(1)))
    if same < 0.98:
        hint = "weights that are taken away are bytes saved, and answers lost."
        return wrong(yours=f"{same:.0%} same digits", expected="at least 98 %", hint=hint)
    return right("Half the bytes, the same digits.")


def _sides(answer):
    """The types of the sum's two inputs as the network itself says them, how many casts it has, and the sum's name.

    [] without a sum. A weakly typed TensorRT (8.6) builds a mixed sum too, and converts as it likes: its engine
    cannot tell.
    """
    trt = tl.trt
    builder = trt.Builder(tl.compat.shared_log())
    network = tl.compat.create_network(builder)
    try:
        _kept = answer(network)  # arrays that it returns must outlive the network
    except Exception:  # the build that follows says what it was
        return [], 0, ""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    casts = sum(layer.type == trt.LayerType.CAST for layer in layers)
    sums = [layer for layer in layers if layer.type == trt.LayerType.ELEMENTWISE]
    if not sums:
        return [], casts, ""
    return [sums[0].get_input(i).dtype.name for i in range(2)], casts, sums[0].name


@exercise("08.3")
def mended(answer):
    expected = "a network that builds: half FP16 and full FP32, both 4x4, one output in FP32"
    sides, casts, name = _sides(answer)
    if sides and set(sides) != {"FLOAT"}:
        hint = "convert the FP16 side: then no digit is lost." if casts else "the sum still gets two types: add_cast."
        return wrong(yours=f"a sum of {' and '.join(sides)}", expected="a sum of FLOAT and FLOAT", hint=hint)
    try:
        # 8.6 may take FP16 for a sum of two FP32 tensors where FP16 is permitted: there the sum is held in FP32
        report = tl.build(answer, cache=False, configure=tl.compat.hold_in_fp32([name]))
    except Exception as problem:
        text = str(problem)
        types = "type" in text.lower()
        hint = "the sum still gets two types: add_cast." if types else "end with network.mark_output(tensor)."
        return wrong(yours=text.splitlines()[0], expected=expected, hint=hint)
    inputs = {t["name"]: t["dtype"] for t in report.inputs}
    if inputs != {"half": "float16", "full": "float32"}:
        return wrong(yours=inputs, expected=expected, hint="keep the inputs as they are, convert after them.")
    if [t["dtype"] for t in report.outputs] != ["float32"]:
        made = [t["dtype"] for t in report.outputs]
        return wrong(yours=made, expected=expected, hint="convert the FP16 side: then no digit is lost.")
    session = tl.Session(report)
    half, full = np.full((4, 4), 0.5, np.float16), np.full((4, 4), 1 + 2**-20, np.float32)
    got = next(iter(session.infer({"half": half, "full": full}).values()))
    if not np.array_equal(got, half.astype(np.float32) + full):
        return wrong(yours=float(got[0, 0]), expected="the sum, computed in FP32", hint="which side was converted?")
    return right("Types are yours to say: the builder converts nothing for you.")
