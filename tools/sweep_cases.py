"""The 24 cases of the live sweep: models beside a cases.json, `python tools/sweep_cases.py FOLDER`.

Each case starts TensorRT's builder in a process of its own, 10 to 16 s on an H100 or H200, whatever it then builds.
So that 24 end in about 240 s on two cards, the networks are small, they are built at level 1 and measured for a
second: digits and a tower of convolutions in FP32, TF32 and FP16, strips in FP32 and FP16, and ResNet-50's shape at
level 0. ResNet-50 comes first: what takes longest must not start last. A shared timing cache would save little, since
it holds times by shape and precision, and no two cases share these; and each build's seconds would depend on the order.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import onnx

from trt_lessons.models import digits, random_weights, strips


def main(folder: Path) -> None:
    """Write the models and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(digits.onnx_path(), folder / "digits.onnx")
    shutil.copy(strips.onnx_path(), folder / "strips.onnx")
    shutil.copy(random_weights.resnet50(), folder / "resnet50.onnx")
    onnx.save(random_weights.tower("n"), folder / "tower.onnx")
    rows = [{"model": "resnet50.onnx", "precision": kind, "batch": 8, "level": 0} for kind in ("fp16", "tf32")]
    for kind in ("fp16", "fp32"):
        for batch in (1, 64):
            rows.append({"model": "strips.onnx", "precision": kind, "shapes": {"strip": [batch, 1, 16, 128]}})
    for model in ("digits.onnx", "tower.onnx"):
        rows += [{"model": model, "precision": k, "batch": n} for k in ("fp16", "tf32", "fp32") for n in (1, 8, 64)]
    rows = [{"level": 1, "seconds": 1, **row} for row in rows]
    (folder / "cases.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
