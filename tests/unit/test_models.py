"""The models: what is in the data sets and files, how accurate they are, and that training gives the same bits."""

import hashlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from trt_lessons import models
from trt_lessons.errors import CacheError, ModelFileError
from trt_lessons.models import _onnx, digits, strips


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def numbers():
    return digits.data()


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def assert_portable(model):
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
    assert model.ir_version <= 9
    assert not model.functions and not model.metadata_props and not model.graph.metadata_props
    assert all(not node.domain and node.op_type != "Gelu" and not node.metadata_props for node in model.graph.node)
    names = [node.name for node in model.graph.node]
    assert all(names) and len(set(names)) == len(names)


def test_the_room_imports_without_heavy_packages():
    code = (
        "import sys, trt_lessons.models as m; assert 'digits' in dir(m);"
        "print([name for name in ('torch', 'sklearn', 'onnxruntime', 'onnx') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_data_loads_without_torch():
    code = "import sys; from trt_lessons.models import digits; digits.data(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_an_unknown_model_is_an_attribute_error():
    with pytest.raises(AttributeError, match="resnet51"):
        _ = models.resnet51


# --- digits ---


def test_digits_data(numbers):
    assert numbers.train_images.shape == (1347, 1, 32, 32) and numbers.test_images.shape == (450, 1, 32, 32)
    assert numbers.train_images.dtype == numbers.test_images.dtype == np.float32
    assert numbers.train_labels.dtype == numbers.test_labels.dtype == np.int64
    assert numbers.train_images.min() == 0 and numbers.train_images.max() == 1
    assert set(numbers.test_labels) == set(range(10))
    train, test = digits.split()
    assert not set(train) & set(test) and len({*train, *test}) == 1797


def test_the_split_never_moves():
    test = digits.split()[1].astype("<i8")
    assert hashlib.sha256(test.tobytes()).hexdigest()[:16] == "4a46f4da12fa29af"


def test_enlarge_is_bilinear():
    picture = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    expected = [[0, 0.25, 0.75, 1], [0.5, 0.75, 1.25, 1.5], [1.5, 1.75, 2.25, 2.5], [2, 2.25, 2.75, 3]]
    np.testing.assert_allclose(digits.enlarge(picture, 4)[0], expected)


def test_digits_accuracy_of_the_shipped_file(numbers):
    logits = session(digits.onnx_path()).run(None, {"images": numbers.test_images})[0]
    assert logits.shape == (450, 10)
    assert digits.accuracy(logits, numbers.test_labels) >= 0.99


def test_digits_file_is_portable_and_dynamic():
    model = onnx.load(digits.onnx_path())
    assert_portable(model)
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, shape) == ("images", ["batch", 1, 32, 32])
    assert model.graph.output[0].name == "logits"
    run = session(digits.onnx_path())
    assert run.run(None, {"images": np.zeros((3, 1, 32, 32), np.float32)})[0].shape == (3, 10)


def test_layers_describe_the_file():
    ops = {"conv": "Conv", "norm": "BatchNormalization", "relu": "Relu", "add": "Add", "linear": "Gemm"}
    ops |= {"pool": "GlobalAveragePool", "flatten": "Flatten"}
    nodes = {node.name: node for node in onnx.load(digits.onnx_path()).graph.node}
    assert list(nodes) == [layer.name for layer in digits.LAYERS]
    for layer in digits.LAYERS:
        node = nodes[layer.name]
        assert node.op_type == ops[layer.kind]
        assert list(node.input[: len(layer.inputs)]) == list(layer.inputs)
        if layer.kind == "conv":
            attributes = {item.name: list(item.ints) for item in node.attribute}
            settings = layer.settings
            assert attributes["kernel_shape"] == [settings["kernel"]] * 2
            assert attributes["strides"] == [settings["stride"]] * 2
            assert attributes["pads"] == [settings["padding"]] * 4
            assert digits.weights()[f"{layer.name}.weight"].shape[0] == settings["channels"]


def test_layers_and_weights_alone_rebuild_the_network(numbers):
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    weights = {name: torch.from_numpy(value) for name, value in digits.weights().items()}
    values = {"images": torch.from_numpy(numbers.test_images[:5])}
    for layer in digits.LAYERS:
        x = values[layer.inputs[0]]
        if layer.kind == "conv":
            stride, padding = layer.settings["stride"], layer.settings["padding"]
            y = functional.conv2d(x, weights[f"{layer.name}.weight"], None, stride, padding)
        elif layer.kind == "norm":
            scale, shift = digits.scale_and_shift(digits.weights(), layer.name)
            y = x * torch.from_numpy(scale)[:, None, None] + torch.from_numpy(shift)[:, None, None]
        elif layer.kind == "linear":
            y = functional.linear(x, weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"])
        else:
            y = {
                "relu": lambda a: a.relu(),
                "add": lambda a, b=layer.inputs[-1]: a + values[b],
                "pool": lambda a: a.mean((2, 3), keepdim=True),
                "flatten": lambda a: a.flatten(1),
            }[layer.kind](x)
        values[layer.name] = y
    expected = session(digits.onnx_path()).run(None, {"images": numbers.test_images[:5]})[0]
    np.testing.assert_allclose(values["classifier"].numpy(), expected, atol=1e-4)


def test_trained_module_is_the_shipped_file(numbers, tmp_path):
    torch = pytest.importorskip("torch")
    module = digits.trained()
    with torch.no_grad():
        logits = module(torch.from_numpy(numbers.test_images[:20])).numpy()
    expected = session(digits.onnx_path()).run(None, {"images": numbers.test_images[:20]})[0]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert digits.export(module, tmp_path / "again.onnx").read_bytes() == digits.onnx_path().read_bytes()


def test_the_newer_exporter_gives_the_same_answers_at_opset_17(numbers, tmp_path):
    pytest.importorskip("torch")
    path = digits.export(digits.trained(), tmp_path / "dynamo.onnx", exporter="dynamo")
    assert_portable(onnx.load(path))
    images = {"images": numbers.test_images[:7]}
    expected = session(digits.onnx_path()).run(None, images)[0]
    np.testing.assert_allclose(session(path).run(None, images)[0], expected, atol=1e-4)


def test_an_unknown_exporter_is_refused(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match="torchscript"):
        digits.export(digits.network(), tmp_path / "x.onnx", exporter="caffe")


def test_digits_training_gives_the_same_bits(tmp_path):
    torch = pytest.importorskip("torch")
    short = {"schedule": ((1, 16, 2e-3),), "limit": 64}
    before = torch.get_num_threads(), torch.random.get_rng_state()
    first, second = (digits.train(**short).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], value) for name, value in digits.train(1, **short).state_dict().items())
    assert torch.get_num_threads() == before[0] and torch.equal(torch.random.get_rng_state(), before[1])


# --- strips ---


def read(images):
    return strips.decode(session(strips.onnx_path()).run(None, {"strip": images})[0])


def test_strips_are_the_same_every_time_and_split_apart():
    images, texts = strips.make(6, 5, seed=4)
    again, texts_again = strips.make(6, 5, seed=4)
    other, _ = strips.make(6, 5, seed=5)
    train, _ = strips.make(6, 5, seed=4, split="train")
    assert images.shape == (6, 1, 16, 80) and images.dtype == np.float32 and 0 <= images.min() <= images.max() <= 1
    assert np.array_equal(images, again) and texts == texts_again and all(len(text) == 5 for text in texts)
    assert not np.array_equal(images, other) and not np.array_equal(images, train)
    with pytest.raises(ValueError, match="1 to 16"):
        strips.make(1, 17)
    with pytest.raises(KeyError):
        strips.make(1, 1, split="validation")


@pytest.mark.parametrize(("length", "least"), [(1, 0.99), (4, 0.98), (16, 0.95)])
def test_strip_reader_accuracy(length, least):
    images, texts = strips.make(400, length, seed=1)
    right = np.mean([a == b for a, b in zip(read(images), texts, strict=True)])
    assert right >= least


@pytest.mark.parametrize("length", [1, 3, 8])
def test_padding_does_not_change_the_answer(length):
    images, _ = strips.make(100, length, seed=2)
    expected = read(images)
    for width in (images.shape[-1] + 16, strips.MAX_WIDTH):
        assert read(strips.pad(images, width)) == expected
    for extra in (1, 2, 3, 10):  # widths that no strip of whole digits has: at most one doubtful digit may turn
        answers = zip(read(strips.pad(images, images.shape[-1] + extra)), expected, strict=True)
        assert sum(a != b for a, b in answers) <= 1
    with pytest.raises(ValueError, match="do not fit"):
        strips.pad(images, images.shape[-1] - 1)


def test_strip_network_takes_every_width():
    run = session(strips.onnx_path())
    for width in (16, 17, 18, 19, 64, 255, 256):
        logits = run.run(None, {"strip": np.zeros((2, 1, 16, width), np.float32)})[0]
        assert logits.shape == (2, strips.steps(width), 11)
        assert strips.decode(logits) == ["", ""]


def test_strip_file_is_portable_and_small():
    model = onnx.load(strips.onnx_path())
    assert_portable(model)
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, shape) == ("strip", ["batch", 1, 16, "width"])
    assert not {"Shape", "NonZero", "Loop", "If", "Einsum"} & {node.op_type for node in model.graph.node}
    assert sum(path.stat().st_size for path in _onnx.SHIPPED.glob("*.onnx")) <= 12e6


def test_decode():
    steps = [10, 3, 3, 10, 3, 1, 10, 10]
    assert strips.decode(np.eye(11)[[steps]]) == ["331"]


def test_mixed_lengths_are_skewed_and_in_range():
    lengths = strips.mixed_lengths(2000, seed=3)
    assert lengths.min() == 1 and lengths.max() == 16
    assert np.median(lengths) <= 5 and np.mean(lengths > 8) < 0.2
    assert np.array_equal(lengths, strips.mixed_lengths(2000, seed=3))


def test_strip_training_gives_the_same_bits():
    torch = pytest.importorskip("torch")
    first, second = (strips.train(batches=2).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- random weights, pretrained ---


def test_resnet50():
    path = models.resnet50(2)
    assert_portable(onnx.load(path))
    assert path == models.resnet50(2) and path != models.resnet50()
    images = np.random.default_rng(0).random((2, 3, 224, 224), np.float32)
    logits = session(path).run(None, {"images": images})[0]
    assert logits.shape == (2, 1000) and 0.1 < np.abs(logits).max() < 1000


def test_random_weights_are_seeded():
    from trt_lessons.models import random_weights

    first, again = (random_weights._bert(1, 8, 1, 32, 2, 50, 0) for _ in range(2))
    assert first.SerializeToString() == again.SerializeToString()
    assert first.SerializeToString() != random_weights._bert(1, 8, 1, 32, 2, 50, 1).SerializeToString()


@pytest.mark.parametrize(("batch", "length"), [(None, None), (2, 24)])
def test_bert_like_encoder(batch, length):
    path = models.bert(batch, length, layers=2, hidden=96, heads=3, words=100)
    assert_portable(onnx.load(path))
    tokens = np.random.default_rng(0).integers(0, 100, (2, 24))
    encoded = session(path).run(None, {"tokens": tokens})[0]
    assert encoded.shape == (2, 24, 96) and np.isfinite(encoded).all()
    np.testing.assert_allclose(encoded.std(), 1, atol=0.05)
    if batch is None:
        alone = session(path).run(None, {"tokens": tokens[:1]})[0]
        np.testing.assert_allclose(alone, encoded[:1], atol=1e-4)


def test_a_cache_that_cannot_be_made_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="TRT_LESSONS_CACHE"):
        models.bert(1, 8, layers=1, hidden=32, heads=2, words=50)


def test_pretrained_without_torchvision_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModelFileError, match="torchvision"):
        models.pretrained("resnet18")


# --- files ---


def test_missing_and_damaged_files_are_named(tmp_path, monkeypatch):
    damaged = tmp_path / "cut.onnx"
    damaged.write_bytes(digits.onnx_path().read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match=r"cut\.onnx"):
        _onnx.load(damaged)
    with pytest.raises(ModelFileError, match="no ONNX file"):
        _onnx.load(tmp_path / "none.onnx")
    monkeypatch.setattr(_onnx, "SHIPPED", tmp_path)
    with pytest.raises(ModelFileError, match="git checkout"):
        digits.onnx_path()


def test_opset_18_is_brought_back_or_refused():
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", 1, [2, 3])
    axes = helper.make_tensor("axes", 7, [1], [1])
    for op, inputs in (("ReduceMean", ["x", "axes"]), ("Mish", ["x"])):
        node = helper.make_node(op, inputs, ["y"])
        graph = helper.make_graph([node], "g", [value], [onnx.ValueInfoProto(name="y")], [axes])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        if op == "Mish":
            with pytest.raises(ModelFileError, match="Mish"):
                _onnx.opset_18_to_17(model)
        else:
            back = _onnx.opset_18_to_17(model)
            result = onnxruntime.InferenceSession(back.SerializeToString()).run(None, {"x": np.eye(2, 3, dtype="f")})
            np.testing.assert_allclose(result[0], [[1 / 3], [1 / 3]])


def test_a_strip_network_of_fixed_size_takes_that_size_only(tmp_path):
    onnx.save(strips.fixed(2, 48), tmp_path / "fixed.onnx")
    own = session(tmp_path / "fixed.onnx")
    assert own.get_inputs()[0].shape == [2, 1, 16, 48]
    images, texts = strips.make(2, 3, seed=8)
    assert strips.decode(own.run(None, {"strip": images})[0]) == texts


def test_ranges_are_min_opt_max_of_the_input():
    assert strips.ranges(16, 64, 256, 8) == {"strip": [(1, 1, 16, 16), (8, 1, 16, 64), (8, 1, 16, 256)]}


def test_norms_are_shifts_and_scales() -> None:
    weights, norms = digits.weights(), digits.norms(digits.weights())
    assert list(norms) == [layer.name for layer in digits.LAYERS if layer.kind == "norm"]
    shift, scale = norms["stem.norm"]
    mean, bias = weights["stem.norm.running_mean"], weights["stem.norm.bias"]
    np.testing.assert_allclose(scale * mean + shift, bias, atol=1e-5)


def test_pytorch_answers_for_whole_batches(numbers) -> None:
    logits = digits.answers(numbers.test_images[:64])
    assert logits.shape == (64, 10) and logits.dtype == np.float32
    assert digits.accuracy(logits, numbers.test_labels[:64]) > 0.9
