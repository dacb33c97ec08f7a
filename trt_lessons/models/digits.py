"""Digits: 1,797 real handwritten digits and a residual CNN that reads them. Introduced in lesson 02.

The pictures are scikit-learn's `load_digits` (8x8 pixels, 17 grey levels), enlarged to 32x32 by bilinear
interpolation; nothing is downloaded. 450 of them, always the same, are held out for testing. The network has
1.25 million parameters and 0.32 billion multiply-adds a picture: enough work for a large GPU at batch 256.

The shipped file, data/models/digits.onnx, is opset 17 with a dynamic batch; its batch norms are kept as nodes
of their own, so that a learner can see TensorRT fuse them. Train it again with

    python -m trt_lessons.models.digits --train

which takes a few minutes on two cores and gives the same bits on the same processor with the same PyTorch.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _onnx

if TYPE_CHECKING:
    import torch

SIZE = 32
CLASSES = 10
HELD_OUT = 450
# (name, input channels, output channels, stride); a stride or a new width needs a 1x1 convolution as skip
BLOCKS = (
    ("block1", 64, 64, 1),
    ("block2", 64, 64, 1),
    ("block3", 64, 128, 2),
    ("block4", 128, 128, 1),
    ("block5", 128, 192, 2),
)
# (epochs, picture size, highest learning rate): cheap epochs on small pictures first, then the real size
SCHEDULE = ((10, 16, 2e-3), (6, 32, 1.5e-3))
BATCH = 32


class Digits(NamedTuple):
    """Images float32 [n, 1, size, size] in 0..1 as the network wants them; labels int64 [n]."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


class Layer(NamedTuple):
    """One layer of the network as plain data.

    kind: "conv", "norm", "relu", "add", "pool", "flatten" or "linear". inputs: names of the layers it reads
    ("images" is the network's input). settings: for conv: channels, kernel, stride, padding.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, int]


def _conv(name: str, source: str, channels: int, kernel: int, stride: int) -> Layer:
    settings = {"channels": channels, "kernel": kernel, "stride": stride, "padding": kernel // 2}
    return Layer(name, "conv", (source,), settings)


def _block_layers(name: str, source: str, narrow: int, wide: int, stride: int) -> list[Layer]:
    layers = [
        _conv(f"{name}.conv1", source, wide, 3, stride),
        Layer(f"{name}.norm1", "norm", (f"{name}.conv1",), {}),
        Layer(f"{name}.relu1", "relu", (f"{name}.norm1",), {}),
        _conv(f"{name}.conv2", f"{name}.relu1", wide, 3, 1),
        Layer(f"{name}.norm2", "norm", (f"{name}.conv2",), {}),
    ]
    skip = source
    if stride != 1 or narrow != wide:
        layers.append(_conv(f"{name}.skip_conv", source, wide, 1, stride))
        layers.append(Layer(f"{name}.skip_norm", "norm", (f"{name}.skip_conv",), {}))
        skip = f"{name}.skip_norm"
    layers.append(Layer(f"{name}.add", "add", (f"{name}.norm2", skip), {}))
    layers.append(Layer(f"{name}.relu2", "relu", (f"{name}.add",), {}))
    return layers


def _layers() -> tuple[Layer, ...]:
    layers = [
        _conv("stem.conv", "images", BLOCKS[0][1], 3, 1),
        Layer("stem.norm", "norm", ("stem.conv",), {}),
        Layer("stem.relu", "relu", ("stem.norm",), {}),
    ]
    for name, narrow, wide, stride in BLOCKS:
        layers += _block_layers(name, layers[-1].name, narrow, wide, stride)
    layers.append(Layer("pool", "pool", (layers[-1].name,), {}))
    layers.append(Layer("flatten", "flatten", ("pool",), {}))
    layers.append(Layer("classifier", "linear", ("flatten",), {"channels": CLASSES}))
    return tuple(layers)


LAYERS: tuple[Layer, ...] = _layers()


def enlarge(pictures: np.ndarray, size: int) -> np.ndarray:
    """Bilinear enlargement (or reduction) of [n, h, w] to float32 [n, size, size], half-pixel centres."""
    rows, columns = _weights_1d(pictures.shape[1], size), _weights_1d(pictures.shape[2], size)
    return np.matmul(np.matmul(rows, pictures.astype(np.float32)), columns.T)


def _weights_1d(old: int, new: int) -> np.ndarray:
    """float32 [new, old]: how much each old pixel counts in each new one."""
    where = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    left = np.minimum(where.astype(int), old - 2)
    matrix = np.zeros((new, old), np.float32)
    matrix[np.arange(new), left] = 1 - (where - left)
    matrix[np.arange(new), left + 1] += where - left
    return matrix


def split() -> tuple[np.ndarray, np.ndarray]:
    """Indices into scikit-learn's 1,797 pictures: (1,347 for training, 450 held out), always the same."""
    order = np.random.RandomState(0).permutation(1797)
    return np.sort(order[HELD_OUT:]), np.sort(order[:HELD_OUT])


def data(size: int = SIZE) -> Digits:
    """The data set, ready for the network: see Digits. Needs scikit-learn, not PyTorch."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = enlarge(raw.images / 16.0, size)[:, np.newaxis]
    train, test = split()
    labels = raw.target.astype(np.int64)
    return Digits(images[train], labels[train], images[test], labels[test])


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """The 450 held-out pictures as scikit-learn has them: float32 [450, 64] from 0 to 1, and their labels [450]."""
    from sklearn.datasets import load_digits

    found, labels = load_digits(return_X_y=True)
    held_out = split()[1]
    return (found[held_out] / 16).astype(np.float32), labels[held_out]


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of logits [n, 10] whose largest entry is at the label [n]."""
    return float(np.mean(np.argmax(logits, axis=1) == labels))


def network() -> torch.nn.Module:
    """The untrained network: float32 [n, 1, h, w] to logits [n, 10]. Any h and w; trained for 32x32."""
    from torch import nn

    class Add(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    class Block(nn.Module):
        def __init__(self, narrow: int, wide: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
            self.norm1, self.relu1 = nn.BatchNorm2d(wide), nn.ReLU()
            self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
            self.norm2, self.relu2 = nn.BatchNorm2d(wide), nn.ReLU()
            self.has_skip = stride != 1 or narrow != wide
            if self.has_skip:
                self.skip_conv = nn.Conv2d(narrow, wide, 1, stride, bias=False)
                self.skip_norm = nn.BatchNorm2d(wide)
            self.add = Add()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
            skip = self.skip_norm(self.skip_conv(x)) if self.has_skip else x
            return self.relu2(self.add(y, skip))

    parts: dict[str, nn.Module] = {
        "stem": nn.Sequential(),
        **{name: Block(narrow, wide, stride) for name, narrow, wide, stride in BLOCKS},
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": nn.Linear(BLOCKS[-1][2], CLASSES),
    }
    parts["stem"].add_module("conv", nn.Conv2d(1, BLOCKS[0][1], 3, 1, 1, bias=False))
    parts["stem"].add_module("norm", nn.BatchNorm2d(BLOCKS[0][1]))
    parts["stem"].add_module("relu", nn.ReLU())
    model = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    return model


def onnx_path() -> Path:
    """The shipped, trained network: input "images" [batch, 1, 32, 32], output "logits" [batch, 10]."""
    return _onnx.shipped("digits.onnx")


def fixed(batch: int) -> Any:
    """The shipped network as an ONNX ModelProto of this batch and no other."""
    import onnx

    model = onnx.load(onnx_path())
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch  # a number in place of the name
    return model


def up_to(tensor: str) -> Any:
    """The shipped network from its input to this tensor, such as "block1.relu2", as an ONNX ModelProto."""
    import onnx

    known = onnx.shape_inference.infer_shapes(onnx.load(onnx_path()))
    return onnx.utils.Extractor(known).extract_model(["images"], [tensor])


def weights(path: str | Path | None = None) -> dict[str, np.ndarray]:
    """Every weight of an ONNX file of this network by its torch name, such as "block1.conv1.weight"."""
    import onnx.numpy_helper

    model = _onnx.load(path or onnx_path())
    return {item.name: onnx.numpy_helper.to_array(item).copy() for item in model.graph.initializer}


def scale_and_shift(all_weights: dict[str, np.ndarray], norm: str) -> tuple[np.ndarray, np.ndarray]:
    """A batch norm (such as "stem.norm") as it runs: y = scale * x + shift, both float32 [channels]."""
    mean, variance = all_weights[f"{norm}.running_mean"], all_weights[f"{norm}.running_var"]
    scale = all_weights[f"{norm}.weight"] / np.sqrt(variance + 1e-5)
    return scale.astype(np.float32), (all_weights[f"{norm}.bias"] - mean * scale).astype(np.float32)


def norms(all_weights: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(shift, scale) of every batch norm, by name: `scale_and_shift`'s, in the order of TensorRT's `add_scale`."""
    return {layer.name: scale_and_shift(all_weights, layer.name)[::-1] for layer in LAYERS if layer.kind == "norm"}


def answers(images: np.ndarray) -> np.ndarray:
    """PyTorch's logits [n, 10], float32, of images [n, 1, h, w], on the CPU."""
    import torch

    with torch.no_grad():
        return trained()(torch.from_numpy(images)).numpy()


def trained() -> torch.nn.Module:
    """The network in eval mode with the shipped weights, read back from the ONNX file."""
    import torch

    model = network()
    state = {name: torch.from_numpy(value) for name, value in weights().items()}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
    model.load_state_dict(state)
    return model.eval()


def export(module: torch.nn.Module, path: str | Path, exporter: str = "torchscript") -> Path:
    """Export to ONNX, opset 17, dynamic batch, and return the path.

    exporter: "torchscript" (what the shipped file uses) or "dynamo" (PyTorch's newer one). The module is
    exported in eval mode; "torchscript" keeps the batch norms as nodes of their own, "dynamo" folds them into
    the convolutions.
    """
    import torch

    if exporter not in ("torchscript", "dynamo"):
        raise ValueError(f'exporter is "torchscript" or "dynamo", not {exporter!r}')
    module = module.eval().to(memory_format=torch.contiguous_format)
    example = torch.zeros(2, 1, SIZE, SIZE)
    if exporter == "torchscript":
        dynamic = {"images": {0: "batch"}, "logits": {0: "batch"}}
        model = _onnx.from_torch(module, example, "images", "logits", dynamic, keep_norms=True)
    else:
        model = _onnx.from_torch_dynamo(module, example, "images", "logits", {0: "batch"})
    return _onnx.save(_onnx.tidy(model, "digits"), path)


def _augment(images: torch.Tensor, size: int) -> torch.Tensor:
    """Random turn, size, slant and shift of [n, 1, h, w], sampled at size x size."""
    import torch
    from torch.nn import functional

    n = len(images)
    turn, slant = (torch.rand(n) - 0.5) * 0.35, (torch.rand(n) - 0.5) * 0.3
    zoom, stretch = 1 + (torch.rand(n) - 0.5) * 0.24, 1 + (torch.rand(n) - 0.5) * 0.16
    shift = (torch.rand(n, 2) - 0.5) * 0.2
    across, down = zoom * stretch, zoom / stretch
    grid = torch.stack(
        [
            torch.stack([across * torch.cos(turn), slant - torch.sin(turn), shift[:, 0]], 1),
            torch.stack([torch.sin(turn), down * torch.cos(turn), shift[:, 1]], 1),
        ],
        1,
    )
    where = functional.affine_grid(grid, [n, 1, size, size], align_corners=False)
    return functional.grid_sample(images, where, align_corners=False)


def one_cycle(step: int, steps: int) -> float:
    """Learning rate as a share of the highest: up over the first fifth of `steps`, then down a cosine."""
    done = (step + 1) / steps
    return done / 0.2 if done < 0.2 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.2) / 0.8)


def train(seed: int = 0, schedule: tuple = SCHEDULE, limit: int | None = None, log: Any = None) -> torch.nn.Module:
    """Train from scratch; the same seed gives the same bits on the same processor.

    schedule: (epochs, picture size, highest learning rate) a phase. limit: use that many training pictures
    only.
    log: a function for one line an epoch.
    """
    import torch

    with reproducible(seed):
        return _train(torch, schedule, limit, log or (lambda line: None))


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """PyTorch on two threads, deterministic, seeded; everything as before at the end."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def _train(torch: Any, schedule: tuple, limit: int | None, log: Any) -> torch.nn.Module:
    numbers = data(SIZE)
    images = torch.from_numpy(numbers.train_images[:limit])
    labels = torch.from_numpy(numbers.train_labels[:limit])
    model = network().to(memory_format=torch.channels_last)
    for epochs, size, rate in schedule:
        steps = epochs * -(-len(images) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
        plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step, n=steps: one_cycle(step, n))
        for epoch in range(epochs):
            model.train()
            total = 0.0
            for batch in torch.randperm(len(images)).split(BATCH):
                pictures = _augment(images[batch], size).contiguous(memory_format=torch.channels_last)
                loss = torch.nn.functional.cross_entropy(model(pictures), labels[batch], label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                plan.step()
                total += loss.item() * len(batch)
            log(f"size {size} epoch {epoch + 1}/{epochs} loss {total / len(images):.4f}")
    return model.eval()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trt_lessons.models.digits", description="The digits network.")
    parser.add_argument("--train", action="store_true", help="train from scratch and write the ONNX file")
    parser.add_argument("--output", default=str(_onnx.SHIPPED / "digits.onnx"), help="where to write it")
    arguments = parser.parse_args()
    if arguments.train:
        print("wrote", export(train(log=lambda line: print(line, flush=True)), arguments.output))
    import onnxruntime

    numbers = data()
    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    right = accuracy(session.run(None, {"images": numbers.test_images})[0], numbers.test_labels)
    print(f"accuracy on {HELD_OUT} held-out pictures: {right:.4f}")


if __name__ == "__main__":
    _main()
