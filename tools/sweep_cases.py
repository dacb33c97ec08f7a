"""The 24 cases of the live sweep: models beside a cases.json, `python tools/sweep_cases.py FOLDER`.

Digits at four batches and strips at two, in FP32, TF32 and FP16; ResNet-50's shape at three batches in TF32 and FP16.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from trt_lessons.models import digits, random_weights, strips


def main(folder: Path) -> None:
    """Write the models and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(digits.onnx_path(), folder / "digits.onnx")
    shutil.copy(strips.onnx_path(), folder / "strips.onnx")
    shutil.copy(random_weights.resnet50(), folder / "resnet50.onnx")
    kinds = ("fp32", "tf32", "fp16")
    rows = [{"model": "digits.onnx", "precision": k, "batch": n} for k in kinds for n in (1, 8, 64, 256)]
    for precision in kinds:
        for batch in (1, 64):
            rows.append({"model": "strips.onnx", "precision": precision, "shapes": {"strip": [batch, 1, 16, 128]}})
    rows += [{"model": "resnet50.onnx", "precision": k, "batch": n} for k in kinds[1:] for n in (1, 8, 32)]
    (folder / "cases.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
