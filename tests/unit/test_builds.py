"""The helpers of lesson 03: exports, builds with one thing changed, plugins in Python."""

from __future__ import annotations

import numpy as np
import pytest

from trt_lessons import backend, compat, models
from trt_lessons.measuring import builds


@pytest.mark.parametrize(("newer", "asked", "given"), [(False, 17, 17), (False, 20, 20), (True, 20, 20)])
def test_an_export_says_its_opset(tmp_path, capfd, newer, asked, given) -> None:
    pytest.importorskip("torch")
    module, batch = models.centred()
    file = tmp_path / "m.onnx"
    made = models.export_onnx(module, batch, file, newer=newer, opset=asked, open_batch=True)
    assert models.opset(made) == given and file.exists()
    assert [v.name for v in (*made.graph.input, *made.graph.output)] == ["picture", "scores"]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert capfd.readouterr() == ("", "")


def test_the_parser_is_asked_as_it_is(tmp_path) -> None:
    pytest.importorskip("torch")
    module, batch = models.centred()
    made = models.export_onnx(module, batch, tmp_path / "m.onnx")
    assert builds.away(made, module, batch) < 1e-4
    made.graph.node[0].domain = "mine"
    assert builds.away(made, module, batch) == "refused"


def test_an_attempt_is_measured() -> None:
    found = builds.attempt(level=0)
    assert found["seconds"] > 0 and found["ms"] > 0 and found["size"] > 0 and len(found["sha256"]) == 64
    assert builds.table({"level 0": found}).count("\n") == 1


def test_gain_is_of_the_builds_after_the_first() -> None:
    rows = {"no cache": [{"seconds": s} for s in (2, 2, 2)], "shared": [{"seconds": s} for s in (9, 1, 1)]}
    assert builds.gain(rows) == 2


def test_a_plugin_in_python_is_told_where_there_is_none() -> None:
    class Mine(compat.plugin_base()):
        pass

    told = compat.register_plugin(Mine)
    if compat.plugins_in_python():
        assert told == "Mine is registered: True"
    else:
        assert "takes no plugin in Python" in told and Mine.__bases__ == (object,)


def test_the_wordy_model_reshapes() -> None:
    import onnx.reference

    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert np.array_equal(onnx.reference.ReferenceEvaluator(models.wordy()).run(None, {"x": x})[0], x.reshape(2, 12))


@pytest.mark.skipif(not compat.is_interpreter(), reason="its times are the interpreter's")
def test_little_is_the_same_each_time() -> None:
    kept = builds.little(compat.create_network(backend.trt.Builder(compat.shared_log())))
    again = builds.little(compat.create_network(backend.trt.Builder(compat.shared_log())))
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))
