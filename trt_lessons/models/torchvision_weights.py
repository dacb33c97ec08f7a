"""torchvision's models with their trained weights, where there is a network to fetch them."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelFileError
from . import _onnx


def pretrained(name: str = "resnet18", size: int = 224) -> Path:
    """ONNX path of a trained torchvision classifier: "images" [batch, 3, size, size] to "logits".

    Opset 17, dynamic batch, kept in the cache folder. ModelFileError when torchvision is missing, does not
    know the name, or cannot download; the workbook's other models need none of this.
    """
    path = _onnx.cache_folder() / f"torchvision_{name}_{size}.onnx"
    if path.is_file():
        return path
    module = _fetch(name)
    import torch

    dynamic = {"images": {0: "batch"}, "logits": {0: "batch"}}
    example = torch.zeros(2, 3, size, size)
    model = _onnx.from_torch(module.eval(), example, "images", "logits", dynamic, keep_norms=False)
    return _onnx.save(_onnx.tidy(model, name), path)


def _fetch(name: str):
    try:
        from torchvision import models
    except Exception as error:
        raise ModelFileError(
            f"torchvision's {name} cannot be used: torchvision is not installed.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cure="pip install torchvision (the version that belongs to your torch), or use a model that "
            "needs none: models.digits, models.strips, models.resnet50 (random weights).",
        ) from error
    if name not in models.list_models():
        raise ModelFileError(
            f"torchvision has no model {name!r}.", cure="torchvision.models.list_models() names them all."
        )
    try:
        return models.get_model(name, weights="DEFAULT")
    except Exception as error:
        raise ModelFileError(
            f"The weights of {name} could not be downloaded.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cure="Try again with a network, put the file into torch's hub cache by hand, or use a model "
            "of the workbook: models.digits, models.strips, models.resnet50 (random weights).",
        ) from error
