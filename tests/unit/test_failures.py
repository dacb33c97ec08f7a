"""What lessons 07 and 07_2 need to cause failures: other processes, a broken folder, plain builds, host clocks."""

from __future__ import annotations

from pathlib import Path

import pytest

import trt_lessons as tl
from trt_lessons import doctor
from trt_lessons.errors import BackendError
from trt_lessons.measuring.timing import host_ms, per_second


def test_elsewhere_runs_a_program_and_survives_it(tmp_path: Path) -> None:
    done = tl.backend.elsewhere("import sys; print(sys.argv[1]); sys.exit(3)", tmp_path)
    assert (done.stdout.strip(), done.returncode) == (str(tmp_path), 3)
    (tmp_path / "first.py").write_text("print('mine')")
    assert tl.backend.elsewhere("-m first", front=tmp_path).stdout == "mine\n"


def test_a_plan_is_loaded_alone(tmp_path: Path) -> None:
    report = tl.build(tl.models.convolutions(), level=0, cache=False, timing_cache=False, progress=False)
    (tmp_path / "whole.plan").write_bytes(report.plan)
    (tmp_path / "half.plan").write_bytes(report.plan[: report.size // 2])
    assert tl.backend.load_alone(tmp_path / "whole.plan").endswith("Engine")
    assert "Engine" not in tl.backend.load_alone(tmp_path / "half.plan")


def test_the_end_of_a_process_is_said(tmp_path: Path) -> None:
    assert tl.backend.load_alone(tmp_path / "missing.plan") == "the process ended with 1"


def test_a_tool_that_is_not_there_is_named() -> None:
    with pytest.raises(BackendError, match="no command no-such-tool"):
        tl.backend.tool("no-such-tool")


def test_two_cudas_breaks_the_import_in_front_of_it_only(tmp_path: Path) -> None:
    site = doctor.two_cudas(tmp_path)
    assert "libcudart.so.99" in tl.backend.elsewhere("import tensorrt", front=site).stderr
    assert sorted(p.name for p in site.iterdir())[:1] == ["tensorrt"] and len(list(site.iterdir())) == 3


def test_fill_build_gives_what_tensorrt_gives() -> None:
    builder = tl.trt.Builder(tl.compat.shared_log())

    def relu(network: object) -> None:
        rows = network.add_input("rows", tl.trt.float32, (-1, 4))
        network.mark_output(network.add_activation(rows, tl.trt.ActivationType.RELU).get_output(0))

    profile = builder.create_optimization_profile()
    profile.set_shape("rows", (1, 4), (2, 4), (4, 4))
    assert tl.compat.fill_build(builder, relu) is None
    plan = tl.compat.fill_build(builder, relu, profile)
    assert plan is not None and tl.layers.products(plan) == []


def test_products_are_read_from_the_engine() -> None:
    model = tl.models.convolutions()
    options = {"level": 0, "cache": False, "timing_cache": False, "progress": False}
    assert tl.layers.products(tl.build(model, **options)) == ["FP32"] * 3
    assert tl.layers.products(tl.build(tl.precision.to_fp16(model), precision="fp16", **options).plan) == ["FP16"] * 3


def test_host_clocks() -> None:
    calls = []
    assert 0 <= host_ms(lambda: calls.append(1), lambda: calls.append(2), times=5) < 100
    assert calls == [1, 2] * 5
    assert per_second(lambda items: (x for x in items), range(10), rounds=3) > 10
