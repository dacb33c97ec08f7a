"""Checks of lesson 06, bring your own model."""

import numpy as np
from onnx import TensorProto, helper, parser

import trt_lessons as tl
from trt_lessons import precision
from trt_lessons.advice import search
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


def _puzzle():
    """A model with every kind of axis: named, unnamed, fixed; and a weight that is listed as an input."""
    kinds = [("picture", ["batch", 3, None, 8]), ("fixed", [3, 3]), ("mask", [2, "words"]), ("weight", [3, 3])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in kinds]
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3, 3], [0.0] * 9)
    nodes = [helper.make_node("Relu", [name], [f"{name}_out"]) for name in ("picture", "mask")]
    nodes.append(helper.make_node("Add", ["fixed", "weight"], ["fixed_out"]))
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, shape) for name, shape in kinds[:3]]
    graph = helper.make_graph(nodes, "puzzle", inputs, outputs, [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@exercise("06.1")
def open_axes(answer):
    got = answer(_puzzle())
    if not isinstance(got, dict):
        hint = "return the dict." if got is None else "return a dict: name -> list of axis numbers."
        return wrong(yours=got, expected="a dict from names to lists of numbers", hint=hint)
    got = {name: list(axes) for name, axes in got.items()}
    expected = "the open axes of a model with three inputs and a weight"
    if got == {"picture": [0, 2], "mask": [1]}:
        return right("Each of these axes needs min, opt and max in a profile.")
    if got.get("picture") == [0]:
        hint = "an open axis need not have a name: one without a number is open as well."
    elif any(not axes for axes in got.values()):
        hint = "leave out inputs that have no open axis."
    elif {"fixed", "weight"} & set(got):
        hint = "an axis with a number in `dim_value` is fixed."
    elif any(not isinstance(axis, int) for axes in got.values() for axis in axes):
        hint = "give the numbers of the axes, counted from 0, not their names."
    else:
        hint = "go through all inputs and number the axes from 0."
    return wrong(yours=got, expected=expected, hint=hint)


def _pair():
    """A model of two inputs, three open axes: y [n, 4] = a [n, 4] + the mean of b [n, m]."""
    return parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        pair (float[n, 4] a, float[n, m] b) => (float[n, 4] y) { s = ReduceMean<axes=[1]>(b)  y = Add(a, s) }""")


SIZES = [(4, 9), (2, 3), (8, 5), (2, 3)]  # (n, m) of each batch
RANGES = {"a": [(2, 4), (2, 4), (8, 4)], "b": [(2, 3), (2, 3), (8, 9)]}


@exercise("06.2", points=2)
def build_for(answer):
    batches = [{"a": np.zeros((n, 4), np.float32), "b": np.ones((n, m), np.float32)} for n, m in SIZES]
    expected = "a report whose one profile has min, opt and max of each input"
    got = answer(_pair(), batches)
    if not isinstance(got, tl.BuildReport):
        return wrong(yours=type(got).__name__, expected=expected, hint="return what tl.build returns.")
    engine = got.engine()
    if engine.num_optimization_profiles != 1:
        hint = "one dict of ranges makes one profile; a list of dicts makes several."
        return wrong(yours=f"{engine.num_optimization_profiles} profiles", expected=expected, hint=hint)
    for name, wanted in RANGES.items():
        mine = [tuple(shape) for shape in engine.get_tensor_profile_shape(name, 0)]
        for kind, a, b in zip(("min", "opt", "max"), mine, wanted, strict=True):
            if a != b:
                return wrong(yours=f"{kind} {a} for {name}", expected=expected, hint=_range_hint(kind, a, b))
    return right("Every batch fits, and the kernels are chosen for the shape that comes most often.")


def _range_hint(kind, mine, wanted):
    """What is wrong with a min, an opt or a max."""
    if kind == "opt":
        return "opt is the shape that most batches have, whole: neither the largest nor a middle that never comes."
    fits = all(a <= b if kind == "min" else a >= b for a, b in zip(mine, wanted, strict=True))
    return (
        "no batch is so extreme: the range shall be as narrow as the data." if fits
        else "a batch does not fit: look at each axis by itself, over all batches."
    )  # fmt: skip


SHARE = 0.75  # of the error of INT8 everywhere


@exercise("06.3", points=2)
def keep_float(answer):
    expected = "a list of at most two names of nodes"
    if isinstance(answer, str) or not all(isinstance(name, str) for name in answer):
        return wrong(yours=answer, expected=expected, hint="give a list of names, even for one node.")
    base = precision.read(digits.onnx_path())
    known = [node.name for node in precision.fold_batch_norms(base).graph.node if node.op_type in ("Conv", "Gemm")]
    names = set(answer)
    if names - set(known):
        hint = "only the candidates can be kept: convolutions and the last layer."
        return wrong(yours=answer, expected=expected, hint=hint)
    if len(names) > 2:
        return wrong(yours=f"{len(names)} nodes", expected=expected, hint="two are enough: which two matter most?")
    data = digits.data()
    images = {"images": data.test_images[:256]}
    exact = tl.baselines.ort(base, images).output()
    calibration = [{"images": data.train_images[:64]}]
    engines = [_built(*search.int8(base, calibration, keep=sorted(keep))) for keep in ((), names)]
    errors = [float(np.abs(search.answers(one, [images])[0]["logits"] - exact).mean()) for one in engines]
    share = errors[1] / errors[0]
    if share > SHARE:
        hint = "measure each candidate alone and sort." if names else "keep one node at a time and compare the errors."
        return wrong(yours=f"{share:.2f} of the error", expected=f"{SHARE} of it, or less", hint=hint)
    if tl.backend.is_gpu():
        mine, half = (_ms(one, images) for one in (engines[1], _built("fp16", precision.to_fp16(base))))
        if mine >= half:
            hint = "what you keep costs all that INT8 gains: keep smaller layers."
            return wrong(yours=f"{mine:.3f} ms, FP16 {half:.3f} ms", expected="faster than FP16", hint=hint)
    return right(f"{share:.2f} of the error is left, and {len(known) - len(names)} of {len(known)} layers are INT8.")


def _built(asked, graph):
    """The engine of a graph for 256 pictures, at the search's level."""
    shape = (256, 1, 32, 32)
    ranges = {"images": ((1, *shape[1:]), shape, shape)}
    return tl.build(graph, precision=asked, profiles=ranges, level=search.LEVEL, progress=False)


def _ms(report, images):
    """Median ms of a batch, launched as a graph, without copies."""
    with tl.Session(report) as session:
        return tl.measure(session, images, graph=True, transfers=False, duration_s=0.5).median()
