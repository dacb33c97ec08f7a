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
from trt_lessons.errors import BuildError, CacheError, LessonError, ModelFileError, ShapeError


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
    assert cli.main(["report", str(path)]) == 2
    said = capsys.readouterr().err
    assert "Scaler" in said and "cure: TensorRT has no trees" in said
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


# --- inputs and models of every kind, from the file to the report ---


def product(folder, shape=("n", 8), kind=TensorProto.FLOAT, made=np.float32, listed=False, **more):
    """A model of one product whose weight may be listed as an input too, as old exporters did."""
    nodes, random = [helper.make_node("MatMul", ["x", "w"], ["y"])], np.random.default_rng(0)
    inputs = [value("x", list(shape), kind)] + ([value("w", [8, 4], kind)] if listed else [])
    weights = [("w", random.standard_normal((8, 4)).astype(made))]
    return saved(folder, nodes, inputs, [value("y", [shape[0], 4], kind)], weights, **more)


def reported(path, tmp_path, capsys, *options):
    """`trt-lessons report --json` on a model: (exit status, what was found, what was said instead)."""
    status = cli.main(["report", str(path), "--json", "--reports", str(tmp_path / "out"), *options])
    told = capsys.readouterr()
    return status, json.loads(told.out) if status == 0 else None, told.err


def with_template(path, tmp_path, capsys):
    assert cli.main(["inspect", str(path), "--template", str(tmp_path / "in.npz")]) == 0
    capsys.readouterr()
    return reported(path, tmp_path, capsys, "--data", str(tmp_path / "in.npz"))


ROWS = {
    "float64": {"kind": TensorProto.DOUBLE, "made": np.float64},
    "an axis of 0": {"shape": (0, 8)},
    "an axis of -1": {"shape": (-1, 8)},
    "an axis without a name": {"shape": (None, 8)},
    "weights listed as inputs": {"listed": True},
    "opset 7": {"listed": True, "opset": 7},
    "opset 21": {"opset": 21},
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_precision_of_every_kind_of_input(kind, tmp_path, capsys):
    status, told, said = with_template(product(tmp_path, **ROWS[kind]), tmp_path, capsys)
    assert status == 0, said
    assert [row["name"] for row in told["rows"] if row["refused"]] == [], told["rows"]
    assert told["chosen"] and ("FLOAT64 became FP32" in told["why"]) == (kind == "float64")


def test_float64_rows_may_be_float32_as_well(tmp_path):
    path = product(tmp_path, kind=TensorProto.DOUBLE, made=np.float64)
    for dtype in (np.float32, np.float64):
        np.savez(tmp_path / "x.npz", x=np.ones((4, 8), dtype))
        assert subject.read(path, tmp_path / "x.npz").batches[0]["x"].dtype == np.float32


def test_a_recurrent_network_in_half(tmp_path, capsys):
    random = np.random.default_rng(0)
    weights = [
        ("w", random.standard_normal((1, 32, 4)).astype("f")),
        ("r", random.standard_normal((1, 32, 8)).astype("f")),
    ]
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=8)]
    path = saved(tmp_path, nodes, [value("x", ["t", "b", 4])], [value("y", ["t", 1, "b", 8])], weights)
    status, told, said = with_template(path, tmp_path, capsys)
    assert status == 0, said
    assert told["rows"][2]["name"] == "FP16" and told["rows"][2]["refused"] is None


def test_the_values_of_a_shape_come_from_data_or_a_profile(tmp_path, capsys):
    nodes = [helper.make_node("Reshape", ["x", "sizes"], ["y"])]
    inputs = [value("x", [4, 6]), value("sizes", [2], TensorProto.INT64)]
    path = saved(tmp_path, nodes, inputs, [value("y", ["a", "b"])])
    status, _, said = reported(path, tmp_path, capsys)
    assert status == 2 and "sizes holds a shape" in said and "--profile" in said
    status, told, said = reported(path, tmp_path, capsys, "--profile", "sizes=3x8")
    assert status == 0 and "--profile sizes=3x8:3x8:3x8" in told["command"], said
    random = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=random.standard_normal((4, 4, 6)).astype("f"), sizes=np.array([[2, 12], [3, 8]] * 2))
    mine = subject.read(path, tmp_path / "d.npz")
    assert mine.profiles["sizes"] == ((2, 8), (2, 12), (3, 12))
    assert reported(path, tmp_path, capsys, "--data", str(tmp_path / "d.npz"))[0] == 0


def test_an_input_that_is_an_output_as_well(tmp_path, capsys):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = saved(tmp_path, nodes, [value("x", ["n", 8])], [value("y", ["n", 8]), value("x", ["n", 8])])
    assert with_template(path, tmp_path, capsys)[0] == 0


def test_an_empty_past_by_a_profile(decoder, tmp_path, capsys):
    profiles = ["--profile", "ids=2x3", "--profile", "past=2x0x4"]
    status, told, said = reported(decoder, tmp_path, capsys, *profiles)
    assert status == 0 and told["chosen"], said


@pytest.mark.parametrize("case", ["no input", "half already", "weights beside it gone", "weights beside it short"])
def test_what_cannot_be_measured_is_one_refusal(case, tmp_path, capsys):
    if case == "no input":
        nodes, two = [helper.make_node("Add", ["a", "b"], ["y"])], np.ones(2, "f")
        path, words = saved(tmp_path, nodes, [], [value("y", [2])], [("a", two), ("b", two)]), "has no inputs"
    elif case == "half already":
        path, words = product(tmp_path, kind=TensorProto.FLOAT16, made=np.float16), "holds fp16 already"
    else:
        model, path = onnx.load(product(tmp_path)), tmp_path / "beside.onnx"
        onnx.save(model, path, save_as_external_data=True, location="beside.bin", size_threshold=0)
        words = "keeps its weights in beside.bin" if "gone" in case else "External data length"
        (tmp_path / "beside.bin").unlink() if "gone" in case else (tmp_path / "beside.bin").write_bytes(b"1")
    before = sorted(tmp_path.iterdir())
    status, _, said = reported(path, tmp_path, capsys)
    assert status == 2 and words in said and said.count("trt-lessons:") == 1 and "Traceback" not in said
    assert sorted(tmp_path.iterdir()) == before, "nothing is left behind"


def test_a_failed_build_says_tensorrts_first_words():
    problem = BuildError("TensorRT found no way (mine)", why="TensorRT said:\n    4: Internal Error (y: no)\n    more")
    assert search._reason(problem) == "TensorRT found no way (mine): 4: Internal Error (y: no)"
