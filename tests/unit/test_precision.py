"""FP16, BF16, INT8 and FP8 graphs: valid, portable, accurate; naive and right placement; overflow and its cures."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import models, precision
from trt_lessons.errors import ModelFileError, PrecisionError
from trt_lessons.models import digits, strips
from trt_lessons.precision.graphs import cpu_session

KEEP = ["block2.norm1", "block2.relu1", "block2.conv2"]


@pytest.fixture(scope="module")
def numbers():
    return digits.data()


@pytest.fixture(scope="module")
def base():
    return precision.read(digits.onnx_path())


@pytest.fixture(scope="module")
def int8(base, numbers):
    return precision.quantize(base, numbers.train_images, images=100)


def run(model, inputs, basic=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if basic:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if isinstance(inputs, np.ndarray):
        inputs = {session.get_inputs()[0].name: inputs}
    return session.run(None, inputs)[0]


@pytest.fixture(scope="module")
def reference(base, numbers):
    return run(base, numbers.test_images)


def accuracy(model, numbers, images=450, **options):
    return digits.accuracy(run(model, numbers.test_images[:images], **options), numbers.test_labels[:images])


def assert_valid(model, opset):
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", opset)]
    assert not model.functions
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)


# --- FP16 and BF16 ---


def test_fp16_keeps_the_accuracy_and_halves_the_file(base, numbers, reference):
    half = precision.to_fp16(base)
    assert_valid(half, 17)
    assert half.ir_version <= 9 and precision.kinds(half) == {"fp16"} and precision.kinds(base) == {"fp32"}
    assert len(half.SerializeToString()) < 0.51 * len(base.SerializeToString())
    assert abs(accuracy(half, numbers) - digits.accuracy(reference, numbers.test_labels)) <= 0.005
    logits = run(precision.as_computed(half), numbers.test_images[:100])
    assert precision.compare(logits, reference[:100]).relative < 0.005


def test_fp16_inputs_and_outputs_when_asked(base, numbers, reference):
    half = precision.to_fp16(base, float_io=False)
    assert_valid(half, 17)
    kinds = [value.type.tensor_type.elem_type for value in (*half.graph.input, *half.graph.output)]
    assert kinds == [TensorProto.FLOAT16, TensorProto.FLOAT16]
    assert not any(node.op_type == "Cast" for node in half.graph.node)
    logits = run(half, numbers.test_images[:9].astype(np.float16))
    assert logits.dtype == np.float16
    np.testing.assert_allclose(logits, reference[:9], atol=0.05)


@pytest.mark.parametrize("keep", [["stem.conv"], ["classifier"], ["block1.add", "block3.conv1"]])
def test_nodes_kept_in_fp32(base, numbers, reference, keep):
    half = precision.to_fp16(base, keep=keep)
    assert_valid(half, 17)
    assert precision.kinds(half) == {"fp16", "fp32"}
    logits = run(half, numbers.test_images[:9])
    np.testing.assert_allclose(logits, reference[:9], atol=0.05)


def test_keeping_everything_changes_nothing(base, numbers, reference):
    same = precision.to_fp16(base, keep=[node.name for node in base.graph.node])
    assert precision.kinds(same) == {"fp32"}
    np.testing.assert_array_equal(run(same, numbers.test_images[:9]), run(base, numbers.test_images[:9]))
    assert np.allclose(reference[:9], run(same, numbers.test_images[:9]), atol=1e-4)


def test_keeping_an_unknown_node_is_refused(base):
    with pytest.raises(PrecisionError, match=r"block9"):
        precision.to_fp16(base, keep=["block9"])


def test_a_kept_output_node_with_fp16_outputs(base, numbers, reference):
    half = precision.to_fp16(base, keep=["classifier"], float_io=False)
    assert_valid(half, 17)
    logits = run(half, numbers.test_images[:9].astype(np.float16))
    np.testing.assert_allclose(logits, reference[:9], atol=0.05)


def test_bf16(base, numbers, reference):
    brain = precision.to_bf16(base)
    assert_valid(brain, 22)
    assert precision.kinds(brain) == {"bf16"}
    logits = run(precision.as_computed(brain), numbers.test_images[:100])
    assert 1e-4 < precision.compare(logits, reference[:100]).relative < 0.05
    assert precision.kinds(precision.as_computed(brain)) == {"fp32"}


def test_strips_and_bert_in_fp16(tmp_path, monkeypatch):
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path))
    images, _ = strips.make(50, 6, seed=9)
    model = precision.read(strips.onnx_path())
    half = precision.to_fp16(model)
    assert_valid(half, 17)
    right = np.mean(np.array(strips.decode(run(model, images))) == strips.decode(run(half, images)))
    assert right >= 0.98
    bert = precision.read(models.bert(layers=1, hidden=64, heads=2, words=50))
    half = precision.to_fp16(bert)
    assert_valid(half, 17)
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
    assert precision.kinds(half) == {"fp16"}
    tokens = np.arange(40).reshape(2, 20)
    np.testing.assert_allclose(run(half, tokens), run(bert, tokens), atol=0.05)


def test_a_weight_beyond_fp16_keeps_its_node_in_fp32():
    weight = numpy_helper.from_array(np.array([[1e6]], np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="big")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for half in (precision.to_fp16(model), precision.to_fp16(model, keep=["big"])):
        assert run(half, np.ones((1, 1), np.float32)) == 1e6
    assert precision.kept(precision.to_fp16(model)) == ["big stays FP32: w holds 1e+06, FP16 ends at 65504"]


def made(nodes, inputs, weights=(), opset=17):
    """A model whose output is y."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights]
    graph = helper.make_graph(nodes, "g", values, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_a_mask_is_clamped_and_rows_masked_whole_stay_finite():
    nodes = [
        helper.make_node("Sub", ["one", "mask"], ["gone"]),
        helper.make_node("Mul", ["gone", "low"], ["far"]),
        helper.make_node("Add", ["x", "far"], ["s"]),
        helper.make_node("Softmax", ["s"], ["y"], axis=-1),
    ]
    low = np.finfo(np.float32).min
    model = made(nodes, {"x": [2, 4], "mask": [2, 4]}, [("one", np.float32(1)), ("low", low)])
    half = precision.to_fp16(model)
    assert precision.kept(half) == ["low is clamped: -3.40282e+38 becomes -65504"]
    feed = {"x": np.ones((2, 4), np.float32), "mask": np.array([[1, 1, 0, 0], [0, 0, 0, 0]], np.float32)}
    assert np.allclose(cpu_session(half).run(None, feed)[0], cpu_session(model).run(None, feed)[0], atol=1e-3)


def test_infinities_stay_infinities():
    nodes = [helper.make_node("Where", ["allowed", "x", "no"], ["y"])]
    weights = [("allowed", np.array([True, False])), ("no", np.float32(-np.inf))]
    half = precision.to_fp16(made(nodes, {"x": [1, 2]}, weights))
    assert np.array_equal(cpu_session(half).run(None, {"x": np.ones((1, 2), np.float32)})[0], [[1, -np.inf]])


@pytest.mark.parametrize("what", ["Resize", "If", "Upsampled twice", "custom"])
def test_what_an_op_defines_as_float32_stays(what):
    weights = [("scales", np.array([1, 1, 2, 2], np.float32)), ("yes", np.array(True))]
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")
    if what == "If":
        body = helper.make_graph(
            [helper.make_node("Add", ["x", "x"], ["t"])],
            "b",
            [],
            [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)],
        )
        nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    elif what == "custom":
        nodes = [helper.make_node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft")]
    elif what == "Resize":
        nodes = [resize]
    else:
        first = helper.make_node("Resize", ["x", "", "scales"], ["r"], mode="linear")
        nodes = [first, helper.make_node("Resize", ["r", "", "scales"], ["y"], mode="linear")]
    model = made(nodes, {"x": [1, 1, 3, 3]}, weights)
    if what == "custom":
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    half = precision.to_fp16(model)
    x = np.random.default_rng(0).random((1, 1, 3, 3)).astype(np.float32)
    assert np.allclose(cpu_session(half).run(None, {"x": x})[0], cpu_session(model).run(None, {"x": x})[0], atol=1e-2)


# --- INT8 and FP8 ---


def test_int8_accuracy(int8, numbers, reference):
    assert_valid(int8, 17)
    assert int8.ir_version <= 9 and precision.kinds(int8) == {"int8", "fp32"}
    assert abs(accuracy(int8, numbers) - digits.accuracy(reference, numbers.test_labels)) <= 0.005


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_other_calibration_methods(base, numbers, reference, method):
    model = precision.quantize(base, numbers.train_images, images=50, method=method)
    assert_valid(model, 17)
    logits = run(model, numbers.test_images[:100])
    assert precision.compare(logits, reference[:100]).relative < 0.06
    assert digits.accuracy(logits, numbers.test_labels[:100]) >= 0.98


def test_int8_follows_tensorrts_rules(int8):
    weights = {item.name: item for item in int8.graph.initializer}
    makers = {name: node for node in int8.graph.node for name in node.output}
    for node in int8.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert len(node.input) == 3
            assert weights[node.input[1]].data_type == TensorProto.FLOAT
            assert (numpy_helper.to_array(weights[node.input[1]]) > 0).all()
            assert weights[node.input[2]].data_type == TensorProto.INT8
            assert not numpy_helper.to_array(weights[node.input[2]]).any()
            if numpy_helper.to_array(weights[node.input[1]]).ndim:  # a scale a channel: weights only, axis K
                assert "weight" in node.input[1]
                assert [item.i for item in node.attribute if item.name == "axis"] == [0]
        elif node.op_type in ("Conv", "Gemm"):
            assert all(makers[name].op_type == "DequantizeLinear" for name in node.input[:2])
        elif node.op_type == "Add":
            made_by = sorted(makers[name].op_type for name in node.input)
            assert made_by == ["Conv", "DequantizeLinear"]
        elif node.op_type in ("Relu", "GlobalAveragePool"):
            assert makers[node.input[0]].op_type != "DequantizeLinear"
    assert not any(node.op_type == "BatchNormalization" for node in int8.graph.node)
    quantized = [node.input[0] for node in int8.graph.node if node.op_type == "QuantizeLinear"]
    assert len(set(quantized)) == len(quantized)


def test_naive_placement_cuts_what_would_fuse(base, numbers, int8):
    naive = precision.quantize(base, numbers.train_images, images=50, placement="everywhere")
    assert_valid(naive, 17)
    makers = {name: node for node in naive.graph.node for name in node.output}
    relu = next(node for node in naive.graph.node if node.op_type == "Relu")
    assert makers[relu.input[0]].op_type == "DequantizeLinear"

    def pairs(model):
        return sum(node.op_type == "QuantizeLinear" for node in model.graph.node)

    assert pairs(naive) > 1.5 * pairs(int8)
    assert accuracy(naive, numbers, images=100) >= 0.97


def test_activations_without_weights(base, numbers):
    half_done = precision.quantize(base, numbers.train_images, images=20, placement="activations")
    assert_valid(half_done, 17)
    makers = {name: node.op_type for node in half_done.graph.node for name in node.output}
    for node in half_done.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert [makers.get(name) for name in node.input[:2]] == ["DequantizeLinear", None]
    assert accuracy(half_done, numbers, images=50) >= 0.97


def test_quantized_convolutions_name_their_kernel(base, numbers):
    bare = precision.read(base)
    for node in bare.graph.node:
        for item in [item for item in node.attribute if item.name == "kernel_shape"]:
            node.attribute.remove(item)
    eight = precision.quantize(bare, numbers.train_images, images=4)
    shapes = [item.ints for n in eight.graph.node for item in n.attribute if item.name == "kernel_shape"]
    assert len(shapes) == sum(node.op_type == "Conv" for node in base.graph.node)
    assert {tuple(shape) for shape in shapes} == {(3, 3), (1, 1)}


def test_scales_come_from_the_data(base, numbers):
    one = precision.quantize(base, numbers.train_images, images=20)
    values = {item.name: numpy_helper.to_array(item) for item in one.graph.initializer}
    np.testing.assert_allclose(values["images.scale"], numbers.train_images[:20].max() / 127, rtol=1e-6)
    as_dicts = ({"images": numbers.train_images[start : start + 7]} for start in range(0, 70, 7))
    same = precision.quantize(base, as_dicts, images=20)
    assert same.SerializeToString(deterministic=True) == one.SerializeToString(deterministic=True)
    wide, narrow = (
        precision.quantize(base, numbers.train_images, images=20, method=name) for name in ("minmax", "percentile")
    )

    def scales(model):
        items = model.graph.initializer
        return {i.name: float(numpy_helper.to_array(i)) for i in items if i.name.endswith("relu1.scale")}

    assert all(scales(narrow)[name] <= wider for name, wider in scales(wide).items())


def test_int8_for_matrix_products_and_kept_nodes():
    images, _ = strips.make(60, 4, seed=1, split="train")
    model = precision.read(strips.onnx_path())
    eight = precision.quantize(model, images, keep=["conv1"])
    assert_valid(eight, 17)
    makers = {name: node for node in eight.graph.node for name in node.output}
    nodes = {node.name: node for node in eight.graph.node}
    assert list(nodes["conv1"].input[:1]) == ["strip"]
    weights = {item.name: item for item in eight.graph.initializer}
    for node in eight.graph.node:
        if node.op_type == "MatMul":
            pair = [makers[name] for name in node.input]
            assert [item.op_type for item in pair] == ["DequantizeLinear"] * 2
            scale = numpy_helper.to_array(weights[pair[1].input[1]])
            assert scale.ndim == (1 if node.name.startswith(("attention.query", "classifier")) else scale.ndim)
    test, texts = strips.make(200, 4, seed=1)
    assert strips.accuracy(run(eight, test), texts) >= 0.95


def test_int8_with_fp16_for_the_rest(int8, numbers, reference):
    mixed = precision.to_fp16(int8)
    assert_valid(mixed, 19)
    assert precision.kinds(mixed) == {"int8", "fp16"}
    logits = run(precision.as_computed(mixed), numbers.test_images[:60])
    assert precision.compare(logits, reference[:60]).relative < 0.04


def test_fp8(base, numbers, reference):
    model = precision.to_fp8(base, numbers.train_images, images=50)
    assert_valid(model, 19)
    assert model.ir_version == 9 and precision.kinds(model) == {"fp8", "fp32"}
    logits = run(model, numbers.test_images[:60], basic=True)
    assert precision.compare(logits, reference[:60]).relative < 0.15
    assert digits.accuracy(logits, numbers.test_labels[:60]) >= 0.98


def test_quantizing_badly_is_refused(base, int8, numbers):
    with pytest.raises(PrecisionError, match="already"):
        precision.quantize(int8, numbers.train_images)
    with pytest.raises(PrecisionError, match="no calibration data"):
        precision.quantize(base, numbers.train_images[:0])
    with pytest.raises(PrecisionError, match="no calibration data"):
        precision.quantize(base, [])
    with pytest.raises(ValueError, match="everywhere"):
        precision.quantize(base, numbers.train_images, placement="somewhere")
    with pytest.raises(ValueError, match="minmax"):
        precision.quantize(base, numbers.train_images, method="guess")


def test_folding_batch_norms_keeps_the_function(base, numbers):
    folded = precision.fold_batch_norms(base)
    assert_valid(folded, 17)
    assert not any(node.op_type == "BatchNormalization" for node in folded.graph.node)
    images = numbers.test_images[:20]
    np.testing.assert_allclose(run(folded, images), run(base, images), atol=1e-4)


# --- overflow ---


def test_overflow_is_found_and_cured(numbers, reference):
    images, expected = numbers.test_images[:16], reference[:16]
    broken = precision.overflow_model()
    np.testing.assert_allclose(run(broken, images), expected, atol=1e-4)
    half = precision.to_fp16(broken)
    assert not np.isfinite(run(precision.as_computed(half), images)).any()
    first = next(item for item in precision.ranges(half, {"images": images}) if item.not_finite)
    assert first.node == precision.OVERFLOW_AT
    assert all(item.not_finite == 0 for item in precision.ranges(broken, {"images": images}))
    back = precision.rescale(broken, precision.OVERFLOW_AT, precision.OVERFLOW_CURED_BY, 1 / precision.OVERFLOW_FACTOR)
    for cured in (precision.to_fp16(broken, keep=KEEP), precision.to_fp16(back)):
        assert precision.compare(run(precision.as_computed(cured), images), expected).relative < 0.005


def test_rescaling_unknown_nodes_is_refused(base):
    with pytest.raises(PrecisionError, match=r"stem\.relu"):
        precision.rescale(base, "stem.relu", "block1.conv1", 2)


# --- facts ---


def test_compare_states_what_it_measures():
    reference = np.array([1.0, -4.0])
    assert precision.compare(np.array([1.5, -4.0]), reference) == (0.5, 0.125)
    assert precision.compare(reference, reference) == (0, 0)
    assert precision.compare(np.array([np.nan, 0]), reference) == (np.inf, np.inf)
    assert precision.compare(np.zeros(2), np.zeros(2)) == (0, 0)
    assert precision.compare(np.ones(1), np.zeros(1)) == (1, np.inf)
    assert precision.compare(np.zeros(0), np.zeros(0)) == (0, 0)
    with pytest.raises(ValueError, match="shapes"):
        precision.compare(np.zeros(2), np.zeros(3))


def test_nothing_is_changed_in_place(base, numbers):
    def sha():
        return hashlib.sha256(base.SerializeToString(deterministic=True)).hexdigest()

    before = sha()
    precision.to_fp16(base)
    precision.to_bf16(base)
    precision.fold_batch_norms(base)
    precision.quantize(base, numbers.train_images[:4])
    precision.to_fp8(base, numbers.train_images[:4])
    precision.ranges(base, {"images": numbers.train_images[:2]})
    assert sha() == before


def test_models_are_read_from_path_bytes_and_proto(base):
    path = digits.onnx_path()
    for model in (path, str(path), path.read_bytes(), base):
        assert precision.kinds(model) == {"fp32"}
    with pytest.raises(ModelFileError):
        precision.read(b"no model")
