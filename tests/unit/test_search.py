"""The measured search and the models that people bring: what is read, what is refused, what is chosen."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import precision, recordings
from trt_lessons.advice import report, search
from trt_lessons.advice.search import Row, choose
from trt_lessons.advice.subject import inputs_of, read
from trt_lessons.engines.layers import Row as TableRow
from trt_lessons.engines.layers import Table
from trt_lessons.errors import DtypeError, LessonError, MeasureError, ModelFileError, PrecisionError, ShapeError
from trt_lessons.records.codec import encode
from trt_lessons.records.measurement import Measurement
from trt_lessons.records.provenance import Provenance


@pytest.fixture(autouse=True)
def _lesson() -> None:
    recordings._current["lesson"] = "06_your_own_model"


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's model: a transformer's encoder, as torch ships and exports it, opset 17."""
    import torch

    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval()
    out = io.BytesIO()
    names = {"input_names": ["words"], "output_names": ["meanings"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = {"words": {0: "batch"}, "meanings": {0: "batch"}}
        example = torch.zeros(2, 6, 16)
        torch.onnx.export(module, (example,), out, dynamo=False, opset_version=17, dynamic_axes=dynamic, **names)
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    path.write_bytes(out.getvalue())
    return path


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Inputs for it: 30 rows."""
    path = tmp_path / "words.npz"
    np.savez(path, words=np.random.default_rng(1).standard_normal((30, 6, 16)).astype(np.float32))
    return path


def linear(path: Path, shape: list, *, dtype: int = TensorProto.FLOAT, classes: int = 3) -> Path:
    """A small classifier of one matrix product; its first input has this shape."""
    weight = numpy_helper.from_array(np.eye(shape[-1], classes, dtype=np.float32), "weight")
    inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape[:-1], classes])]
    nodes = [helper.make_node("Cast", ["x"], ["f"], name="cast", to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("MatMul", ["f", "weight"], ["y"], name="product"))
    graph = helper.make_graph(nodes, "linear", inputs, outputs, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


# --- what somebody brings ---


def test_the_lessons_own_network() -> None:
    mine = read()
    assert (mine.name, mine.shipped, mine.rows, len(mine.batches)) == ("digits", True, 256, 2)
    assert mine.profiles == {"images": ((1, 1, 32, 32), (256, 1, 32, 32), (256, 1, 32, 32))}
    assert sum(len(part["images"]) for part in mine.calibration) == 128
    assert sum(map(len, mine.labels)) == 450 and len(mine.sha256) == 64
    assert not read(batch=32).shipped, "another batch has no recording"


def test_rows_are_cut_in_two(encoder: Path, words: Path) -> None:
    mine = read(encoder, words)
    rows = np.load(words)["words"]
    assert np.array_equal(mine.calibration[0]["words"], rows[:15])
    assert np.array_equal(mine.batches[0]["words"], rows[15:])
    assert mine.command == f"trt-lessons run 06 --model {encoder} --data {words}"
    assert [len(part["words"]) for part in read(encoder, words, batch=8).batches] == [8, 7]


def test_a_fixed_batch_is_kept(tmp_path: Path) -> None:
    model = linear(tmp_path / "fixed.onnx", [4, 3])
    np.savez(tmp_path / "x.npz", x=np.ones((11, 3), np.float32), labels=np.zeros(11, np.int64))
    mine = read(model, tmp_path / "x.npz")
    assert [part["x"].shape for part in mine.batches + mine.calibration] == [(4, 3)] * 2
    assert mine.profiles == {} and [part.shape for part in mine.labels] == [(4,)]
    np.savez(tmp_path / "few.npz", x=np.ones((7, 3), np.float32))
    with pytest.raises(ShapeError, match="reads 4 at a time"):
        read(model, tmp_path / "few.npz")


def test_a_list_of_whole_inputs(tmp_path: Path) -> None:
    model = linear(tmp_path / "open.onnx", ["rows", 3])
    np.savez(tmp_path / "x.npz", x=np.ones((6, 5, 3), np.float32))
    mine = read(model, tmp_path / "x.npz")
    assert [part["x"].shape for part in mine.batches] == [(5, 3)] * 3
    assert mine.profiles == {"x": ((1, 3), (5, 3), (5, 3))}


def test_without_data_there_are_random_rows_and_no_calibration(encoder: Path) -> None:
    mine, again = read(encoder), read(encoder)
    assert mine.batches[0]["words"].shape == (8, 6, 16) and mine.calibration == []
    assert np.array_equal(mine.batches[0]["words"], again.batches[0]["words"])
    with pytest.raises(PrecisionError, match="no real inputs"):
        search.calibration(mine)


def test_whole_numbers_are_made_for_whole_inputs(tmp_path: Path) -> None:
    mine = read(linear(tmp_path / "ids.onnx", ["n", 3], dtype=TensorProto.INT64))
    assert mine.batches[0]["x"].dtype == np.int64 and set(np.unique(mine.batches[0]["x"])) <= {0, 1}


def test_weights_listed_as_inputs_are_none(tmp_path: Path) -> None:
    model = onnx.load(linear(tmp_path / "old.onnx", ["n", 3]))
    model.graph.input.append(helper.make_tensor_value_info("weight", TensorProto.FLOAT, [3, 3]))
    assert list(inputs_of(model)) == ["x"] and inputs_of(model)["x"][1] == ("n", 3)


def test_whole_numbers_are_given_in_the_engines_type() -> None:
    class Session:
        inputs = {"x": np.zeros(1, np.int32), "y": np.zeros(1, np.float32)}

    batch = {"x": np.array([3, -1]), "y": np.ones(2, np.float32)}
    assert {n: a.dtype.name for n, a in search.fed(Session, batch).items()} == {"x": "int32", "y": "float32"}
    with pytest.raises(DtypeError, match="beyond int32"):
        search.fed(Session, {"x": np.array([2**40])})


def two(path: Path, first: list, second: list) -> Path:
    """A sum of two inputs of these shapes."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("a", first), ("b", second))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 3])]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"], name="sum")], "two", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_inputs_whose_first_axes_differ(tmp_path: Path) -> None:
    model = two(tmp_path / "two.onnx", [4, 3], [1, 3])
    np.savez(tmp_path / "rows.npz", a=np.ones((8, 3), np.float32), b=np.ones((8, 3), np.float32))
    with pytest.raises(ShapeError, match="their first axes differ"):
        read(model, tmp_path / "rows.npz")
    np.savez(tmp_path / "mixed.npz", a=np.ones((8, 4, 3), np.float32), b=np.ones((8, 3), np.float32))
    with pytest.raises(ShapeError, match="some arrays are lists"):
        read(model, tmp_path / "mixed.npz")
    np.savez(tmp_path / "whole.npz", a=np.ones((8, 4, 3), np.float32), b=np.ones((8, 1, 3), np.float32))
    found = search.search(read(model, tmp_path / "whole.npz"), say=lambda line: None)
    assert [batch["a"].shape for batch in found.subject.batches] == [(4, 3)] * 4
    refused = {row.name: row.refused for row in found.rows if row.refused}
    assert set(refused) == {"FP16", "BF16", "INT8", "FP8"} and "nothing to quantize" in refused["INT8"]


# --- what is refused, with its reason and its cure ---


@pytest.mark.parametrize(
    ("arrays", "words_of_it"),
    [
        ({"x": np.ones((4, 6, 16), np.float32)}, "lacks words"),
        ({"words": np.ones((4, 6, 16), np.float32), "more": np.ones(4)}, "holds more"),
        ({"words": np.ones((4, 6, 16))}, "is float64, the model reads float32"),
        ({"words": np.ones((4, 5, 16), np.float32)}, r"shape \[4, 5, 16\], the model reads \['batch', 6, 16\]"),
        ({"words": np.ones((4, 16), np.float32)}, r"has shape \[4, 16\]"),
        ({"words": np.ones((1, 6, 16), np.float32)}, "rows: words 1"),
        ({"words": np.ones((4, 6, 16), np.float32), "labels": np.zeros(3)}, "words 4, labels 3"),
        ({}, "lacks words"),
    ],
)
def test_wrong_data(encoder: Path, tmp_path: Path, arrays: dict, words_of_it: str) -> None:
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ShapeError, match=words_of_it) as problem:
        read(encoder, tmp_path / "wrong.npz")
    assert "cure:" in str(problem.value)


def test_damaged_and_missing_files(encoder: Path, words: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        read(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="there is no file"):
        read(encoder, tmp_path / "none.npz")
    for file, arguments in (("half.onnx", [encoder]), ("half.npz", [words])):
        whole = arguments[0].read_bytes()
        (tmp_path / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelFileError, match="is not a whole"):
            read(tmp_path / file) if file.endswith("onnx") else read(encoder, tmp_path / file)
    (tmp_path / "text.npz").write_text("not a zip")
    with pytest.raises(ModelFileError, match="is not a whole"):
        read(encoder, tmp_path / "text.npz")


def test_open_sizes_need_data(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="leaves more than the batch open"):
        read(linear(tmp_path / "wide.onnx", ["n", "words", 3]))


def test_no_batch_of_nothing() -> None:
    with pytest.raises(ShapeError, match="A batch of 0"):
        read(batch=0)


# --- the search ---


def test_somebody_elses_model(encoder: Path, words: Path) -> None:
    lines: list[str] = []
    found = search.search(read(encoder, words), say=lines.append)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["FP32", "TF32", "FP16", "BF16", "INT8", "FP8"] and len(lines) == 6
    assert rows["FP32"].error == 0 < rows["FP16"].error < rows["BF16"].error < rows["FP8"].error < 0.2
    assert not any(row.refused for row in found.rows), [row.refused for row in found.rows]
    assert rows["FP16"].weights < 0.6 * rows["FP32"].weights
    assert rows["INT8"].weights < rows["FP16"].weights
    assert all(row.time is None and row.plan is None for row in found.rows), "no time without a GPU is TensorRT's"
    assert "need a GPU" in found.why and "need a GPU" in found.note and found.against_onnxruntime < 1e-5
    assert found.command.endswith("--limit 2") and "no time" in found.table()


def test_a_rehearsal_times_nothing_of_yours(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_REHEARSE", "1")
    found = search.search(read(encoder), limit=0, say=lambda line: None)
    assert all(row.time is None for row in found.rows) and found.chosen.name == "FP32"
    refused = {row.name: row.refused for row in found.rows if row.refused}
    assert set(refused) == {"INT8", "FP8"} and "no real inputs" in refused["INT8"]


def test_labels_make_it_accuracy(tmp_path: Path) -> None:
    model = linear(tmp_path / "three.onnx", ["n", 3])
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, labels=x.argmax(1))
    found = search.search(read(model, tmp_path / "x.npz"), say=lambda line: None)
    assert found.rows[0].accuracy == 1.0 and found.limit == 0.5 and "points of accuracy" in found.why
    np.savez(tmp_path / "wrong.npz", x=x, labels=np.zeros((40, 2), np.int64))
    with pytest.raises(ShapeError, match="answers for labels of shape"):
        search.search(read(model, tmp_path / "wrong.npz"), say=lambda line: None)


def test_only_fp32_models_are_searched(tmp_path: Path) -> None:
    model = linear(tmp_path / "x.onnx", ["n", 3])
    onnx.save(precision.to_fp16(model), tmp_path / "half.onnx")
    with pytest.raises(PrecisionError, match="holds fp16 already"):
        search.search(read(tmp_path / "half.onnx"))


def test_a_limit_is_a_number_of_zero_or_more(encoder: Path) -> None:
    for limit in (-1, float("nan")):
        with pytest.raises(MeasureError, match="is no limit"):
            search.search(read(encoder), limit)


def test_a_network_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    model = onnx.load(linear(tmp_path / "x.onnx", ["n", 3]))
    model.graph.node[1].op_type, model.graph.node[1].domain = "NobodyKnows", "nobody"
    model.opset_import.append(helper.make_opsetid("nobody", 1))
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(LessonError, match="NobodyKnows"):
        search.search(read(tmp_path / "odd.onnx"), say=lambda line: None)


def test_without_a_gpu_the_lessons_network_has_recorded_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FP16 was built on the GPU of the recording, TF32 was not: that one has an error and no time."""
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.delenv("TRT_LESSONS_REHEARSE", raising=False)
    where = Provenance("NVIDIA H200", None, None, "8.6.0", utc="2026-11-22T10:00:00Z", run="r")
    shapes = {"images": [256, 1, 32, 32], "logits": [256, 10]}
    options = {"runner": "TensorRT", "transfers": False, "graph": True, "streams": 1, "shapes": shapes, "depth": 2}
    values = {"plan sizes": {"FP32": 5_000_000, "FP16": 2_600_000}}
    for name, ms in (("FP32", 3.5), ("FP16", 0.5)):
        series = {"compute": np.full(20, ms), "enqueue": np.full(20, 0.01), "latency": np.full(20, ms)}
        values[f"{name}, batch 256"] = Measurement(series, 256 / ms, 256, 1.0, options, where, name=name)
    layers = Table([TableRow("conv + relu", "conv", "FP16", ["conv", "relu"])]).to_dict()
    values["chosen engine"] = {"precision": "FP16", "layers": layers, "ms": {"conv + relu": 0.3}}
    for name, value in values.items():
        file = tmp_path / "nvidia-h200_trt8.6.0" / "06_your_own_model.json"
        recordings.write(file, "06_your_own_model", name, encode(value), where)
    few = {name: make for name, make in search.variants(read()).items() if name in ("FP32", "TF32", "FP16")}
    monkeypatch.setattr(search, "variants", lambda mine: few)
    mine = read()
    mine.batches, mine.labels = [{"images": mine.batches[0]["images"]}], mine.labels[:1]
    found = search.search(mine, say=lambda line: None)
    assert [row.ms for row in found.rows] == [3.5, None, 0.5] and found.chosen.name == "FP16"
    assert [row.plan for row in found.rows] == [5_000_000, None, 2_600_000]
    assert found.note == "recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-22" and "7.00 times FP32" in found.why
    text = report.html(found, report.profile(found))
    assert "Layers of the FP16 engine: 1<" in text and "1 in FP16" in text and "conv + relu: 0.300 ms" in text
    assert text.count("recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-22") >= 4 and "needs a GPU" in text


# --- the choice ---


class Time:
    """Stands for a Measurement."""

    note = "measured somewhere"

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def median(self) -> float:
        return self.ms


def rows_of(*facts: tuple) -> list[Row]:
    """Rows (name, error, ms or None), weights getting smaller."""
    return [
        Row(name, error, weights=100 - i, time=None if ms is None else Time(ms))
        for i, (name, error, ms) in enumerate(facts)
    ]


@pytest.mark.parametrize(
    ("facts", "limit", "name", "word"),
    [
        ([("FP32", 0, 3.0), ("FP16", 0.001, 0.5), ("INT8", 0.03, 0.3)], 2.0, "FP16", "the fastest"),
        ([("FP32", 0, 3.0), ("FP16", 0.001, 0.5), ("INT8", 0.03, 0.3)], 3.0, "INT8", "10.00 times FP32"),
        ([("FP32", 0, 3.0), ("FP16", 0.001, 0.305), ("INT8", 0.01, 0.3)], 2.0, "FP16", "equally fast"),
        ([("FP32", 0, 0.2), ("FP16", 0.001, 0.5)], 2.0, "FP32", "the fastest"),
        ([("FP32", 0, None), ("FP16", 0.001, None), ("INT8", 0.03, None)], 2.0, "FP16", "need a GPU"),
        ([("FP32", 0, 3.0), ("FP16", float("inf"), 0.5)], 2.0, "FP32", "the fastest"),
        ([("FP32", 0, 3.0), ("FP16", 0.001, None)], 2.0, "FP32", "the fastest"),
    ],
)
def test_choose(facts: list, limit: float, name: str, word: str) -> None:
    rows = rows_of(*facts)
    chosen, why = choose(rows, limit)
    assert chosen.name == name and word in why and chosen.fits


def test_a_refused_row_is_never_chosen() -> None:
    rows = rows_of(("FP32", 0, 3.0), ("BF16", 0, 0.1))
    rows[1].refused = "TensorRT 8.6 cannot compute BF16"
    assert choose(rows, 5.0)[0].name == "FP32"
    assert search.in_words(rows[1]) == ["not built: TensorRT 8.6 cannot compute BF16"]


def test_a_gain_of_accuracy_is_within_every_limit() -> None:
    rows = rows_of(("FP32", 0, 3.0), ("FP16", 0.5, 0.5), ("INT8", 0.5, 0.4))
    for row, accuracy in zip(rows, (0.95, 0.96, 0.94), strict=True):
        row.accuracy = accuracy
    assert choose(rows, 0.0)[0].name == "FP16" and choose(rows, 1.0)[0].name == "INT8"
    assert search.lost(rows[2], rows[0]) == 1.0


def test_difference_of_whole_numbers_is_a_share() -> None:
    mine, theirs = {"y": np.array([1, 2, 3, 5])}, {"y": np.array([1, 2, 3, 4])}
    assert search.difference([mine], [theirs]) == 0.25


def test_weight_bytes() -> None:
    base = read().model
    count = sum(int(np.prod(item.dims)) for item in base.graph.initializer)
    assert search.weight_bytes(base) == 4 * count
    assert search.weight_bytes(precision.to_fp16(base)) == 2 * count


def test_choices_by_points_and_by_error() -> None:
    class Time:
        def __init__(self, ms: float) -> None:
            self.median = lambda: ms

    rows = [
        search.Row("FP32", 0.0, 0.99, time=Time(3)),
        search.Row("FP16", 0.001, 0.99, time=Time(2)),
        search.Row("INT8", 0.02, 0.99, time=Time(1)),
    ]
    assert search.choices(rows, (0, 5)) == {0: "INT8", 5: "INT8"}
    assert search.choices(rows, (0.01, 1, 2), of_error=True) == {0.01: "FP32", 1: "FP16", 2: "INT8"}
    assert not any(row.fits for row in rows), "the rows' own verdicts stay"


def test_int8_keeps_what_it_is_told() -> None:
    from trt_lessons.models import digits

    base = search.precision.read(digits.onnx_path())
    names = search.quantizable(base)
    assert names[0] == "stem.conv" and len(names) == 14
    images = digits.data().train_images[:4]
    _, graph = search.int8(base, [{"images": images}], keep=["classifier"])
    feeds = {name for node in graph.graph.node if node.name == "classifier" for name in node.input}
    assert not any(node.op_type == "DequantizeLinear" and set(node.output) & feeds for node in graph.graph.node)
