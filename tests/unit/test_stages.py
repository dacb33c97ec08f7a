"""Where a report's time goes: the stages add up, and little is spent outside the user's model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import cli
from trt_lessons.advice import report
from trt_lessons.measuring.stages import Stages

SHARE, TRIES = 0.10, 3


def test_a_stage_inside_another_counts_for_itself() -> None:
    now = [0.0]
    spent = Stages(clock=lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    wait(1)
    with spent("build"):
        wait(2)
        with spent("run"):
            wait(4)
        wait(8)
    wait(16)
    assert spent.seconds() == {"build": 10.0, "run": 4.0, "measure": 0.0, "other": 17.0, "total": 31.0}


def test_an_error_ends_a_stage() -> None:
    now = [0.0]
    spent = Stages(-5.0, clock=lambda: now[0])
    with pytest.raises(ValueError), spent("build"):
        now[0] = 3.0
        raise ValueError
    now[0] = 4.0
    assert spent.seconds() == {"build": 3.0, "run": 0.0, "measure": 0.0, "other": 6.0, "total": 9.0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network of four convolutions over pictures of 96 x 96, and 32 of them: a second of work or two."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    nodes, weights, channels = [], [], 3
    for i in range(4):
        weights.append(numpy_helper.from_array(random.normal(0, 0.1, (48, channels, 3, 3)).astype("f"), f"w{i}"))
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"h{i}"], f"conv{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"x{i + 1}"]))
        channels = 48
    nodes.append(helper.make_node("GlobalAveragePool", ["x4"], ["y"]))
    ends = [("x0", ["n", 3, 96, 96]), ("y", ["n", 48, 1, 1])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "cnn.onnx")
    np.savez(folder / "x.npz", x0=random.standard_normal((32, 3, 96, 96)).astype("f"))
    return folder / "cnn.onnx", folder / "x.npz"


def test_a_report_is_spent_on_the_users_model(
    pictures: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most a tenth outside building, running and measuring, imports aside (the test below looks after those).

    A share, so that a loaded machine slows both sides; the best of three, because a pause of the machine may fall on
    either.
    """
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "cache"))
    shares = []
    for _ in range(TRIES):
        found, _ = report.of(*pictures, where=tmp_path, say=lambda line: None)
        told = found.spent.seconds()
        shares.append(told["other"] / told["total"])
        if shares[-1] <= SHARE:
            break
    assert min(shares) <= SHARE, told
    assert all(told[name] > 0 for name in ("build", "run", "measure", "other"))
    assert sum(told.values()) == pytest.approx(2 * told["total"])


def test_the_command_counts_from_the_start_of_the_process(
    pictures: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "cache"))
    model, data = map(str, pictures)
    assert cli.main(["report", model, "--data", data, "--reports", str(tmp_path), "--json"]) == 0
    out = capsys.readouterr()
    told = json.loads(out.out)
    assert [row["name"] for row in told["rows"]] == ["FP32", "TF32", "FP16", "BF16", "INT8", "FP8"]
    assert told["headline"].startswith("cnn.onnx: ") and Path(told["report"]).name == "cnn.html"
    assert told["command"] == f"trt-lessons report {model} --data {data} --limit 2" and "FP32" in out.err
    assert told["seconds"]["total"] > 1, "with what this process did before"


def test_a_report_imports_nothing_heavy(tmp_path: Path) -> None:
    """Neither torch nor matplotlib nor SciPy: each costs a small model more than its engines do."""
    heavy = ("torch", "matplotlib", "scipy", "pandas", "onnx_graphsurgeon", "modelopt")
    code = "import sys; from trt_lessons.advice import commands, inspect, report, search; import onnxruntime;"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
