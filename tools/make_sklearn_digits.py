#!/usr/bin/env python3
"""Makes data/models/digits_sklearn.onnx, lesson 03's model from another framework.

    pip install skl2onnx==1.20.0
    python tools/make_sklearn_digits.py

A scikit-learn MLPClassifier on the digits' 64 pixels, trained on the workbook's 1,347 training pictures and
converted by skl2onnx, scikit-learn's own converter, with its defaults but for `zipmap`; the open size gets
the name "batch". Otherwise it is as the converter wrote it: its `label` output uses an op of the domain
ai.onnx.ml, which TensorRT's parser does not know.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "data" / "models" / "digits_sklearn.onnx"


def make(target: Path) -> float:
    """Train, convert, write; returns the accuracy on the held-out pictures."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    from trt_lessons.models import _onnx, digits

    raw, (train, test) = load_digits(), digits.split()
    pixels = (raw.data / 16).astype("float32")
    network = MLPClassifier((48,), max_iter=1000, random_state=0).fit(pixels[train], raw.target[train])
    model = skl2onnx.convert_sklearn(
        network,
        "digits_sklearn",
        [("pixels", FloatTensorType([None, 64]))],
        options={id(network): {"zipmap": False}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    model.ir_version = _onnx.IR_VERSION
    for tensor in [*model.graph.input, *model.graph.output]:
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    _onnx.save(model, target)
    return float(network.score(pixels[test], raw.target[test]))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=TARGET)
    target = parser.parse_args().output
    print(f"accuracy on the held-out pictures: {make(target):.4f}; wrote {target.name}, {target.stat().st_size} bytes")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
