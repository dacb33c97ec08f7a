"""Every figure: drawn from sample data, described in words, origin in its corner, opaque, nothing outside.

TRT_LESSONS_GALLERY=<folder> keeps the pictures, to be looked at.
"""

from __future__ import annotations

import html
import io
import os
from pathlib import Path

import numpy as np
import pytest

from trt_lessons import plots, precision
from trt_lessons.errors import LessonError
from trt_lessons.plots import inside
from trt_lessons.records.measurement import Measurement
from trt_lessons.records.provenance import Provenance

H200 = Provenance("NVIDIA H200", "570", "12.9", "8.6.0", utc="2026-11-22T13:00:00Z")
NOTE = "recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-22"


def sample(compute=0.6, batch=8, h2d=0.2, d2h=0.01, enqueue=0.5, seed=0):
    rng = np.random.default_rng(seed)
    n = 800
    series = {
        "compute": compute * (1 + rng.gamma(2, 0.01, n)),
        "enqueue": enqueue * (1 + rng.gamma(2, 0.02, n)),
    }
    series["h2d"], series["d2h"] = np.full(n, h2d), np.full(n, d2h)
    series["latency"] = series["h2d"] + series["compute"] + series["d2h"]
    events = []
    for q in range(8):
        start = q * compute
        events.append(
            [
                start,
                start + h2d,
                start + compute,
                start + 2 * compute,
                start + 2 * compute,
                start + 2 * compute + d2h,
            ]
        )
    options = {"runner": "TensorRT", "transfers": True, "streams": 1}
    return Measurement(series, batch / compute * 1000, batch, 0.5, options, H200, "recorded", events=events)


def steady(compute):
    found = sample(compute)
    found.series["compute"] = compute * (1 + np.random.default_rng(6).gamma(2, 0.002, 800))
    return found


def engines():
    return {
        "FP32": sample(2.19, seed=1),
        "TF32": sample(1.43, seed=2),
        "FP16": sample(0.97, seed=3),
        "INT8": sample(0.71, seed=4),
        "INT8, naive Q/DQ": sample(1.31, seed=5),
    }


LAYERS = [
    "conv1",
    "bn1",
    "relu1",
    "pool1",
    "block1.conv1",
    "block1.bn1",
    "block1.relu",
    "block1.conv2",
    "block1.bn2",
    "block1.add",
    "block1.relu2",
    "dropout",
    "mean",
    "flatten",
    "fc",
    "softmax",
]
ENGINE = [
    ("conv1 + relu1", LAYERS[:3]),
    ("pool1", ["pool1"]),
    ("block1.conv1 + block1.relu", LAYERS[4:7]),
    ("block1.conv2 + block1.add + block1.relu2", LAYERS[7:11]),
    ("mean", ["mean"]),
    ("fc", ["flatten", "fc"]),
    ("softmax", ["softmax"]),
    ("Reformatting CopyNode for Input Tensor 0", []),
]
STEPS = [
    ("Load the model", "PyTorch to ONNX"),
    ("Create builder and network", "parse the ONNX file"),
    ("Build and optimize", "kernels are tried and timed; a plan comes out"),
    ("Create the context", "addresses of inputs and outputs"),
    ("Execute", "asynchronously, on a stream"),
    ("Process results, clean up", "copy out, synchronize, free in order"),
]
OBJECTS = [
    ("Logger", None, "hears everything; made first, dies last"),
    ("Builder", "Logger", "knows this GPU"),
    ("NetworkDefinition", "Builder", "layers and tensors"),
    ("BuilderConfig", "Builder", "precision, memory"),
    ("Runtime", "Logger", "loads plans"),
    ("ICudaEngine", "Runtime", "weights on the GPU"),
    ("IExecutionContext", "ICudaEngine", "activations, one a stream"),
]


def batches(scale):
    return {b: sample(scale * (0.3 + 0.02 * b), b) for b in (1, 2, 4, 8, 16, 32, 64)}


def widths(base, slope, low=1, high=16):
    return {32 * i: base + slope * i for i in range(low, high + 1)}


SERVICE = [
    ("PyTorch, FP32", 1.31, "1.31 ms, 98.0 %, lesson 00", True),
    ("TensorRT, FP32", 0.512, "0.512 ms, 98.0 %, 2.31 MB, lesson 02", False),
    ("FP16, CUDA graph", 0.204, "0.204 ms, 98.0 %, 1.16 MB, lesson 04_3", False),
    ("mine", None, "not recorded on a GPU yet, 97.8 %, lesson 05", False),
]


FIGURES = {
    "scoreboard": lambda: plots.scoreboard(SERVICE, mark="FP16, CUDA graph", note=NOTE),
    "scoreboard_empty": lambda: plots.scoreboard(SERVICE[3:], mark="mine"),
    "latency_distribution": lambda: plots.latency_distribution(engines()),
    "latency_distribution_one": lambda: plots.latency_distribution({"FP16": sample()}),
    "latency_distribution_wide": lambda: plots.latency_distribution({"GPU": sample(0.05), "CPU": sample(3.0)}),
    "where_time_goes": lambda: plots.where_time_goes(sample()),
    "where_time_goes_small": lambda: plots.where_time_goes(sample(h2d=0.01, enqueue=0.02)),
    "timeline": lambda: plots.timeline(sample(h2d=0.35, d2h=0.15)),
    "batch_scaling": lambda: plots.batch_scaling({"FP32": batches(2), "FP16": batches(1), "FP16, graph": batches(0.8)}),
    "batch_scaling_one": lambda: plots.batch_scaling(batches(1)),
    "latency_over_shape": lambda: plots.latency_over_shape(
        {
            "static 512": dict.fromkeys(range(32, 513, 32), 0.5),
            "wide": widths(0.12, 0.026),
            "narrow": widths(0.1, 0.024, 1, 4),
            "three profiles": widths(0.1, 0.0243),
        },
        {"wide": (32, 256, 512), "narrow": (32, 96, 128), "three: long": (288, 416, 512)},
        note=NOTE,
    ),
    "precision": lambda: plots.precision(
        [
            ("FP32", 2.19, 0, 11.2e6),
            ("TF32", 1.43, 8e-4, 11.2e6),
            ("FP16", engines()["FP16"], 3.9e-3, 5.7e6),
            {"name": "INT8", "latency": 0.71, "error": 0.041, "size": 3.1e6},
        ],
        note=NOTE,
    ),
    "build_time_vs_level": lambda: plots.build_time_vs_level(
        [(0, 16.0, 0.813), (1, 22, 0.76), (2, 31, 0.72), (3, 70, 0.69), (4, 140, 0.685), (5, 320, 0.68)],
        note=NOTE,
    ),
    "accuracy_vs_latency": lambda: plots.accuracy_vs_latency(
        [
            ("FP32", 2.19, 0.9911),
            ("TF32", 1.43, 0.9911),
            ("FP16", 0.97, 0.9911),
            ("INT8", 0.71, 0.9889),
            ("INT8, naive", 1.31, 0.9822),
        ],
        note=NOTE,
    ),
    "roofline": lambda: plots.roofline(
        [
            ("ResNet-50 FP16, batch 8", 62, 110),
            ("ResNet-50 FP32, batch 8", 31, 33, "TF32"),
            ("BERT FP16", 240, 310),
            ("softmax", 0.8, 2.3),
        ],
        4100,
        {"FP16": 690, "TF32": 360},
        note=NOTE,
    ),
    "layer_times": lambda: plots.layer_times(
        {f"block{i}.conv{j} + block{i}.relu{j}": 0.08 / (i + j) for i in range(1, 7) for j in (1, 2, 3)},
        whole_ms=0.41,
        note=NOTE,
    ),
    "dots": lambda: plots.dots({"first builder": 8075, "plan": 3266.0, "context": 3.9, "runtime": 0.02}, note=NOTE),
    "ranges": lambda: plots.ranges(
        {
            name: [precision.Range(f"n{i}", "Conv", 9.0 + i + top * (i == 11), 0) for i in range(45)]
            for name, top in (("rewritten", 2e5), ("as trained", 0))
        }
    ),
    "fusion": lambda: plots.fusion(LAYERS, ENGINE, note=NOTE),
    "bars": lambda: plots.bars(
        {"build": 35800, "deserialize": 61, "first inference": 4.4, "inference": 0.586},
        log=True,
        note=NOTE,
        title="Cold start: the build is nearly everything",
    ),
    "lines": lambda: plots.lines(
        {
            "without a graph": {1: 0.57, 2: 0.57, 4: 0.58, 8: 0.59, 16: 0.75, 32: 1.2},
            "with a graph": {1: 0.21, 2: 0.24, 4: 0.33, 8: 0.5, 16: 0.73, 32: 1.19},
        },
        xlabel="batch",
        ylabel="latency, median ms",
        title="Below batch 16 the host is the limit",
        note=NOTE,
        log_x=True,
    ),
    "ablation": lambda: plots.ablation(
        [
            ("everything on", 0.586),
            ("level 0", 0.813),
            ("no FP16", 1.03),
            ("no timing cache", 0.586),
            ("2:4 sparsity", 0.55),
            ("workspace 8 MiB", 0.64),
        ],
        note=NOTE,
    ),
    "compare": lambda: plots.compare(
        [
            ("digits_fp32", 0.31, 0.12),
            ("digits_fp16", 0.16, 0.08),
            ("resnet50_fp16_b8", 1.9, 0.586),
            ("bert_b1", 2.2, 0.9),
        ],
        mine="NVIDIA L4, TensorRT 11.4.0, 2026-11-25",
        theirs="NVIDIA H200, TensorRT 8.6.0, 2026-11-22",
    ),
    "compare_many": lambda: plots.compare(
        [(f"lesson {i}, batch {2**i}, CUDA graph", 0.01 * 1.3**i, 0.03 * 1.25**i) for i in range(30)],
        mine="NVIDIA GeForce RTX 5090 Laptop GPU, TensorRT 10.16.1, 2026-11-25",
        theirs="NVIDIA H200, TensorRT 8.6.0, 2026-11-22",
    ),
    "latency_distribution_far": lambda: plots.latency_distribution(
        {"GPU": sample(0.05), "CPU": sample(30.0)} | {"another GPU": sample(0.06, seed=3)}
    ),
    "latency_distribution_own_scales": lambda: plots.latency_distribution({"FP32": steady(1.03), "INT8": steady(0.35)}),
    "timeline_thin": lambda: plots.timeline(
        [("in", q, q, q + 1) for q in range(5)] + [("out", 0, 0.1, 0.105)], note=NOTE
    ),
    "accuracy_all_alike": lambda: plots.accuracy_vs_latency(
        [("FP32", 3.47, 0.998), ("TF32", 1.03, 0.998), ("FP16", 0.5, 0.998), ("INT8", 0.36, 0.998)], note=NOTE
    ),
    "lines_different_ends": lambda: plots.lines(
        {"long": {1: 1, 2: 2, 4: 3}, "short": {1: 3, 2: 2}}, xlabel="batch", ylabel="ms", title="Two ends", note=NOTE
    ),
    "digits": lambda: plots.digits(digit_images(), [i % 10 for i in range(19)] + [4], [i % 10 for i in range(20)]),
    "flow_chart": lambda: plots.flow_chart(STEPS, title="Inference in six steps"),
    "flow_chart_four": lambda: plots.flow_chart([s[0] for s in STEPS[:4]], title="Four steps", columns=4),
    "ownership": lambda: plots.ownership(OBJECTS),
}


def digit_images():
    """Rings and strokes: something to look at."""
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    ring = np.exp(-30 * (np.hypot(x, y * 0.7) - 0.5) ** 2)
    stroke = np.exp(-40 * (x - 0.2 * y) ** 2)
    return np.stack([ring, stroke] * 10)[:, None]


@pytest.mark.parametrize("name", FIGURES)
def test_figure(name, recwarn):
    fig = FIGURES[name]()
    assert len(plots.alt(fig)) > 40 and fig.title
    assert repr(fig)[9:-1] in plots.__all__, "the text form holds no numbers: nbval compares it"
    picture = fig.png()
    folder = os.environ.get("TRT_LESSONS_GALLERY")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(picture)
    pixels = read(picture)
    assert pixels.shape[2] == 3 or (pixels[..., 3] == 1).all(), "the background is opaque"
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])[:, :3]
    assert (edge > 0.99).all(), "something touches the border of the picture"
    grey = pixels[..., :3].mean(axis=2)
    assert 0.0005 < (grey < 0.9).mean() < 0.75
    inside_the_figure(fig)
    shown = [str(w.message) for w in recwarn if w.category is not ResourceWarning]  # of a kernel that another test ran
    assert shown == [], "warnings would show in the notebook"


def read(picture):
    from matplotlib.image import imread

    return imread(io.BytesIO(picture), format="png")


def inside_the_figure(fig):
    """No text is cut by the border, and no two texts of one axes lie over each other."""
    from matplotlib.text import Text

    renderer = fig.canvas.get_renderer()
    width, height = fig.bbox.width, fig.bbox.height
    unseen = {id(t) for axes in fig.axes for axis in (axes.xaxis, axes.yaxis) for t in out_of_view(axis)}
    texts = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in unseen]
    boxes = [(t.get_text(), Text.get_window_extent(t, renderer)) for t in texts]
    for text, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, f"cut: {text!r}"
    for i, (text, box) in enumerate(boxes):
        for other, second in boxes[i + 1 :]:
            wide = min(box.x1, second.x1) - max(box.x0, second.x0)
            tall = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert wide <= 2 or tall <= 3, f"{text!r} lies over {other!r}"


def out_of_view(axis):
    """Labels of ticks beyond the axis' limits: they exist and are never drawn."""
    low, high = sorted(axis.get_view_interval())
    pad = 1e-9 * (high - low)
    for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
        if not low - pad <= tick.get_loc() <= high + pad or not axis.axes.axison:
            yield tick.label1


def test_notebook_form():
    fig = plots.where_time_goes(sample())
    data, about = fig._repr_mimebundle_()
    assert data["text/plain"] == "<Figure: where_time_goes>"
    assert about["image/png"]["alt"] == plots.alt(fig) and NOTE in plots.alt(fig)
    assert data["image/png"].startswith("iVBORw0KGgo")


def test_a_watched_notebook_gets_the_alternative_text_as_html(monkeypatch):
    fig = plots.bars({'a "b" <c>': 2.0, "d": 1.0}, note=NOTE)
    assert "text/html" not in fig._repr_mimebundle_()[0]  # stored notebooks hold each picture once
    monkeypatch.setattr("trt_lessons.progressbar.in_notebook", lambda: True)
    data, _ = fig._repr_mimebundle_()
    assert f'alt="{html.escape(plots.alt(fig))}"' in data["text/html"]
    assert f'src="data:image/png;base64,{data["image/png"]}"' in data["text/html"]


def test_same_data_same_picture():
    assert FIGURES["timeline"]().png() == FIGURES["timeline"]().png()


def test_origin_is_found_in_what_is_drawn():
    assert plots.note_of(engines()) == NOTE
    assert plots.note_of([sample(), "x"], "y") == f"{NOTE}; y"
    live = sample()
    live.source = "interpreter"
    assert plots.note_of(live, sample()) == f"onnxruntime on this CPU, not TensorRT; {NOTE}"
    assert plots.note_of(None) == ""


def test_saved_picture_holds_its_description(tmp_path):
    from PIL import Image

    path = plots.save(FIGURES["bars"](), tmp_path / "bars.png")
    assert "build: 35,800 ms" in Image.open(path).text["Description"]


def test_no_layers_are_no_error():
    assert plots.layer_times({}).axes[0].get_xlim() == (0, 1.45)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("block1.conv1 + block1.norm1 + block1.relu1", "block1: conv1 + norm1 + relu1"),
        ("/l1/conv/Conv + /l1/conv/Relu", "/l1/conv: Conv + Relu"),
        ("conv1 + conv2", "conv1 + conv2"),
        ("classifier", "classifier"),
        ("fc.weight + fc_quantize_w + a.fc + a.relu", "a: fc + relu"),
        ("before_the_classifier + (Unnamed Layer* 165) [ElementWise]", "before_the_classifier"),
        (
            "transpose_before_fc + fc + fc.bias + unsqueeze_node_after_fc.bias + (Unnamed Layer* 1) [ElementWise]",
            "fc + fc.bias",
        ),
        ("(Unnamed Layer* 1) [Shuffle]", "(Unnamed Layer* 1) [Shuffle]"),
        ("x" * 60, "x" * 22 + "\N{HORIZONTAL ELLIPSIS}" + "x" * 21),
    ],
)
def test_names_of_engine_layers(name: str, shown: str) -> None:
    assert inside._short(name, 44) == shown


def test_the_marked_bar_looks_different_and_must_be_there():
    fig = plots.bars({"before": 2.0, "after": 1.0, "least": 0.5}, mark="after", note=NOTE)
    colors = [patch.get_facecolor() for patch in fig.axes[0].patches]
    assert colors[0] == colors[2] != colors[1]
    with pytest.raises(LessonError, match="no bar is called 'afer'"):
        plots.bars({"before": 2.0, "after": 1.0}, mark="afer")


@pytest.mark.parametrize(
    ("rows", "mark", "title"),
    [
        (SERVICE, "FP16, CUDA graph", "FP16, CUDA graph: 0.204 ms, 6.4 times as fast as PyTorch"),
        (SERVICE, None, "FP16, CUDA graph: 0.204 ms, 6.4 times as fast as PyTorch"),
        (SERVICE, "mine", "FP16, CUDA graph: 0.204 ms, 6.4 times as fast as PyTorch"),
        (SERVICE, "PyTorch, FP32", "PyTorch, FP32: 1.31 ms"),
        (SERVICE[1:], None, "FP16, CUDA graph: 0.204 ms"),
        ([*SERVICE, ("slow", 2.62, "", False)], "slow", "slow: 2.62 ms, 2.0 times as slow as PyTorch"),
        ([*SERVICE, ("same", 1.32, "", False)], "same", "same: 1.32 ms, as PyTorch does"),
        (SERVICE[3:], "mine", "Reading 64 strips: not recorded on a GPU yet"),
    ],
)
def test_the_scoreboards_title_is_the_finding(rows, mark, title):
    assert plots.scoreboard(rows, mark=mark).title == title


def test_the_scoreboards_title_fits_with_the_longest_name():
    rows = [("PyTorch, FP32", 1.31, "", True), ("W" * 3 + "an engine with a long name" * 2, 0.106, "", False)]
    fig = plots.scoreboard(rows)
    box = fig._suptitle.get_window_extent(fig.canvas.get_renderer())
    assert "12 times as fast as PyTorch" in fig.title and box.x0 >= 0 and box.x1 <= fig.bbox.width


@pytest.mark.parametrize("name", FIGURES)
def test_an_alternative_text_is_one_sentence(name):
    assert len(plots.alt(FIGURES[name]())) <= 300


def test_what_stands_beside_a_bar_is_written_and_told():
    fig = plots.bars({"FP32": 2.0, "INT8": 0.5}, beside={"INT8": "error 1.8 %"}, note=NOTE)
    written = [text.get_text() for text in fig.axes[0].texts]
    assert any(text.endswith("ms, error 1.8 %") for text in written) and "error 1.8 %" in plots.alt(fig)
    assert not any("error" in text for text in written if "0.5" not in text)


def test_one_distribution_says_how_far_its_slow_queries_are():
    tight = plots.latency_distribution({"FP16": sample()}).title
    assert tight.startswith("99 of 100 queries take at most") or "1 query in 100 takes" in tight
    slow = sample()
    slow.series["compute"] = np.r_[slow.samples("compute"), [50.0] * len(slow.samples("compute"))]
    slow._stored.clear()
    assert "1 query in 100 takes" in plots.latency_distribution({"FP16": slow}).title
