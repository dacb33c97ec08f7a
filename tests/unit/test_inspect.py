"""`trt-lessons inspect` and `report`: what is told of anybody's model, templates, refusals in words."""

import json
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import cli
from trt_lessons.advice import inspect, reference, search, subject
from trt_lessons.engines import source
from trt_lessons.errors import CacheError, LessonError, ModelFileError, ShapeError


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def saved(folder, nodes, inputs, outputs, weights=(), opset=17, name="mine.onnx", domains=()):
    """A model's path."""
    weights = [numpy_helper.from_array(np.asarray(array), word) for word, array in weights]
    graph = helper.make_graph(nodes, "main_graph", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / name)
    return folder / name


@pytest.fixture
def decoder(tmp_path):
    """Embedding, a past that grows, a shape of its own: two inputs whose first axes differ."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Concat", ["past", "words"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "w"], ["y"], name="head"),
    ]
    random = np.random.default_rng(0)
    weights = [("table", random.standard_normal((9, 4)).astype(np.float32))]
    weights += [("w", random.standard_normal((4, 5)).astype(np.float32))]
    inputs = [value("ids", ["batch", "seq"], TensorProto.INT64), value("past", ["batch", "past_len", 4])]
    return saved(tmp_path, nodes, inputs, [value("y", ["batch", "total", 5])], weights)


def test_look_tells_what_a_model_is(decoder):
    told = inspect.look(decoder)
    assert told.name == "mine.onnx" and told.verdict == "parsed" and told.opset == {"ai.onnx": 17}
    assert told.inputs[1] == {"name": "past", "dtype": "float32", "shape": ["batch", "past_len", 4]}
    assert told.ops == {"Gather": 1, "Concat": 1, "MatMul": 1} and told.parameters == 56
    assert any("ids" in text and "--data" in text for text in told.remarks)
    assert any("--template" in text for text in told.next)
    assert "mine.onnx" in str(told) and "past  float32 [batch, past_len, 4]" in str(told)


def test_a_template_runs_and_is_never_overwritten(decoder, tmp_path):
    shapes = inspect.template(decoder, tmp_path / "inputs.npz")
    assert shapes["ids"][0] == 16 and shapes["past"][2] == 4
    mine = subject.read(decoder, tmp_path / "inputs.npz")
    assert search.onnxruntime_answers(mine.model, mine.batches)[0]["y"].shape[-1] == 5
    with pytest.raises(CacheError, match="overwritten"):
        inspect.template(decoder, tmp_path / "inputs.npz")


def test_a_report_from_the_command(decoder, tmp_path, capsys):
    inspect.template(decoder, tmp_path / "inputs.npz")
    start = time.perf_counter()
    assert cli.main(["report", str(decoder), "--data", str(tmp_path / "inputs.npz"), "--reports", str(tmp_path)]) == 0
    assert "report:" in capsys.readouterr().out and time.perf_counter() - start < 60
    text = (tmp_path / "mine.html").read_text()
    assert (
        "mine" in text and "main_graph" not in text.partition("Layers of")[0] and ".." not in text.partition("<h2>")[0]
    )


def test_nvidias_parser_is_asked_about_a_large_file_on_demand(decoder, capsys, monkeypatch):
    monkeypatch.setattr(inspect, "LARGE", 10)
    monkeypatch.setattr(inspect, "nvidia_word", lambda model: "NVIDIA's parser: asked")
    assert cli.main(["inspect", str(decoder)]) == 0
    assert "--nvidia asks it" in capsys.readouterr().out
    assert cli.main(["inspect", str(decoder), "--nvidia"]) == 0
    assert "NVIDIA's parser: asked" in capsys.readouterr().out


def test_inspect_as_json(decoder, capsys):
    assert cli.main(["inspect", str(decoder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][0]["dtype"] == "int64"


@pytest.mark.parametrize("content", [b"", bytes(400), b"this is text, not a model " * 20])
@pytest.mark.parametrize("command", ["inspect", "report"])
def test_what_is_no_model_ends_in_words(tmp_path, capsys, content, command):
    (tmp_path / "bad.onnx").write_bytes(content)
    assert cli.main([command, str(tmp_path / "bad.onnx")]) == 2
    said = capsys.readouterr().err
    assert "cure:" in said and "Traceback" not in said and list(tmp_path.iterdir()) == [tmp_path / "bad.onnx"]


def test_a_missing_file(tmp_path, capsys):
    assert cli.main(["inspect", str(tmp_path / "no.onnx")]) == 2
    assert "no.onnx" in capsys.readouterr().err


def test_text_and_trees_are_refused_in_words(tmp_path, capsys):
    nodes = [helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[1.0], offset=[0.0])]
    path = saved(tmp_path, nodes, [value("x", ["n", 4])], [value("y", ["n", 4])], domains=["ai.onnx.ml"])
    assert any("ai.onnx.ml" in text for text in inspect.look(path).remarks)
    assert cli.main(["report", str(path)]) == 2 and "Scaler" in capsys.readouterr().err
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    text = [value("x", [1], TensorProto.STRING)], [value("y", [1], TensorProto.STRING)]
    told = inspect.look(saved(tmp_path, nodes, *text, name="text.onnx"))
    assert any("string" in remark for remark in told.remarks)


@pytest.mark.parametrize("axis", [-1, 0])
def test_an_axis_of_minus_one_or_nought_is_open(tmp_path, axis):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = saved(tmp_path, nodes, [value("x", [axis, 3])], [value("y", [axis, 3])])
    mine = subject.read(path)
    assert inspect.look(path).inputs[0]["shape"] == ["?", 3] and mine.batches[0]["x"].shape == (8, 3)


def test_profiles_by_hand(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = saved(tmp_path, nodes, [value("x", ["n", 3, "h", "w"])], [value("y", None)])
    ranges = inspect.shapes_of(["x=1x3x8x8:2x3x16x16:4x3x32x32"])
    mine = subject.read(path, profiles=ranges)
    assert mine.profiles == ranges and mine.batches[0]["x"].shape == (2, 3, 16, 16)
    assert inspect.shapes_of(["x=1x3"]) == {"x": ((1, 3),) * 3}
    for word in ("x", "x=1xa", "x=1:2", "=1x3", "x=1x2:3:4"):
        with pytest.raises(LessonError, match="not understood"):
            inspect.shapes_of([word])
    for bad in ({"z": ((1,),) * 3}, {"x": ((1, 3, 8, 8), (1, 3, 4, 4), (1, 3, 8, 8))}, {"x": ((1, 4, 8, 8),) * 3}):
        with pytest.raises(ShapeError):
            subject.read(path, profiles=bad)


def test_a_model_of_control_flow_says_so(tmp_path):
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "b", [], [value("t", [2])])
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    path = saved(tmp_path, nodes, [value("x", [2])], [value("y", [2])], [("yes", np.array(True))])
    assert any("control flow" in text for text in inspect.look(path).remarks)


def test_an_input_that_holds_a_shape_is_named(tmp_path):
    nodes = [
        helper.make_node("Cast", ["s"], ["t"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["x", "t"], ["y"]),
    ]
    inputs = [value("x", [2, 3]), value("s", [2], TensorProto.INT32)]
    told = inspect.look(saved(tmp_path, nodes, inputs, [value("y", None)]))
    assert any(text.startswith("s holds a shape") for text in told.remarks)


OUTPUTS = {
    "zero everywhere": np.zeros((4, 3), np.float32),
    "constant": np.full((4, 3), 7, np.float32),
    "below FP16": np.array([[1e-6, 2e-6]], np.float32),
    "infinite or NaN": np.full((4, 3), np.nan, np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("words", OUTPUTS)
def test_a_reference_that_says_nothing_is_found(words):
    mine = subject.Subject("m", onnx.ModelProto(), "", [])
    assert words in reference.doubts([{"y": OUTPUTS[words]}], mine)[0]
    fine = {"y": OUTPUTS[words], "z": np.arange(6, dtype=np.float32)}
    assert reference.doubts([fine], mine) == [] and len(reference.remarks([fine])) == 1


def test_accuracy_at_chance_is_found():
    graph = helper.make_graph([], "g", [], [value("y", ["n", 2])])
    labels = [np.array([0, 1] * 50)]
    mine = subject.Subject("m", helper.make_model(graph), "", [], labels=labels)
    guess = np.random.default_rng(0).random((100, 2)).astype(np.float32)
    assert "most frequent" in reference.doubts([{"y": guess}], mine)[0]
    assert reference.doubts([{"y": np.eye(2, dtype=np.float32)[labels[0]]}], mine) == []


def test_nothing_is_chosen_on_a_reference_that_says_nothing(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="m")]
    weights = [("w", np.zeros((4, 2), np.float32))]
    path = saved(tmp_path, nodes, [value("x", ["n", 4])], [value("y", ["n", 2])], weights)
    found = search.search(subject.read(path), say=lambda line: None)
    assert found.doubts and found.why.startswith("Nothing is chosen") and found.chosen.name == "FP32"


def test_a_missing_part_of_a_model(tmp_path):
    weights = [("w", np.ones((64, 64), np.float32))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = saved(tmp_path, nodes, [value("x", [1, 64])], [value("y", [1, 64])], weights)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelFileError, match=r"weights\.bin"):
        inspect.look(path)


def test_a_large_weight_is_looked_at_without_its_numbers(decoder, monkeypatch):
    """The verdict is the same, a refusal as well; the caller's own model keeps its numbers."""
    whole = inspect.look(decoder)
    monkeypatch.setattr(source, "LEFT_OUT", 1)
    seen = []
    monkeypatch.setattr(inspect, "left_out", lambda model: seen.append(source.left_out(model)) or seen[-1])
    assert inspect.look(decoder) == whole and not any(t.raw_data for t in seen[0].graph.initializer)
    mine = onnx.load(decoder)
    assert inspect.look(mine).verdict == "parsed" and all(t.raw_data for t in mine.graph.initializer)


def test_a_refusal_does_not_need_the_numbers(tmp_path, monkeypatch):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mine", ["h"], ["y"], domain="my.own")]
    weights = [("w", np.ones((4, 4), np.float32))]
    path = saved(tmp_path, nodes, [value("x", ["n", 4])], [value("y", ["n", 4])], weights, domains=["my.own"])
    whole = inspect.look(path)
    monkeypatch.setattr(source, "LEFT_OUT", 1)
    assert inspect.look(path) == whole and whole.verdict == "refused" and "Mine" in whole.errors[0]


def test_a_weight_that_is_cut_short_is_damage(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(source, "LARGE", 1)  # the checker gets a large model without its weights
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = saved(tmp_path, nodes, [value("x", ["n", 64])], [value("y", ["n", 64])], [("w", np.ones((64, 64), "f"))])
    model = onnx.load(path)
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:8000]
    path.write_bytes(model.SerializeToString())
    assert cli.main(["inspect", str(path)]) == 2
    assert "'w' of [64, 64] is cut short" in capsys.readouterr().err
