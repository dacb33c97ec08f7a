"""Digit strips: 1 to 16 real digits side by side, and a network that reads a strip of any width. Lesson 05.

A strip is 16 pixels high and 16 pixels wide for each digit. The digits come from the same 1,347 training and
450 held-out pictures as in `digits`, drawn a little smaller or larger, with uneven gaps, sometimes touching.

The network is convolutions over the picture, which leave one step every 4 pixels, then one self-attention
layer over the steps, then eleven scores a step: ten digits and "nothing here". `decode` reads the steps from
left to right, drops repeats, then drops the nothings. Background added on the right, up to the width of a longer
strip, does not change the answer.

    python -m trt_lessons.models.strips --train

trains it again in a few minutes on two cores: the same bits on the same processor with the same PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _onnx
from . import digits as _digits

if TYPE_CHECKING:
    import torch

HEIGHT = 16
WIDTH_PER_DIGIT = 16
PIXELS_PER_STEP = 4
MAX_LENGTH = 16
MAX_WIDTH = WIDTH_PER_DIGIT * MAX_LENGTH
BLANK = 10
CLASSES = 11
CHANNELS = 192
_CLOSEST = 12  # pixels between the centres of two neighbours, at least
_IGNORE = -100
STEPS, DIGITS_A_STEP, RATE = 1600, 320, 2e-3


def steps(width: int) -> int:
    """How many steps the network makes of a strip `width` pixels wide."""
    return (width + 3) // 4


def make(n: int, length: int, seed: int = 0, split: str = "test") -> tuple[np.ndarray, list[str]]:
    """`n` strips of `length` digits: images float32 [n, 1, 16, 16 * length] in 0..1, and what they say.

    split: "test" draws from the 450 held-out pictures, "train" from the other 1,347. The same seed, the same
    strips.
    """
    if not 1 <= length <= MAX_LENGTH:
        raise ValueError(f"length is 1 to {MAX_LENGTH}, not {length}")
    rng = np.random.RandomState([seed, length, {"train": 1, "test": 2}[split]])
    pictures, labels = _pictures(split)
    chosen = rng.randint(len(labels), size=(n, length))
    glyphs = _boxes(pictures[chosen.ravel()], rng).reshape(n, length, HEIGHT, HEIGHT)
    images, _ = _lay_out(glyphs, WIDTH_PER_DIGIT * length, rng)
    return images, ["".join(str(labels[index]) for index in row) for row in chosen]


def pad(images: np.ndarray, width: int) -> np.ndarray:
    """Background added on the right until [n, 1, 16, w] is [n, 1, 16, width]."""
    extra = width - images.shape[-1]
    if extra < 0:
        raise ValueError(f"strips {images.shape[-1]} pixels wide do not fit into {width}")
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, extra)))


def mixed_lengths(n: int, seed: int = 0) -> np.ndarray:
    """`n` lengths as a real load might bring them, int64 in 1..16: most are short, a few are long."""
    rng = np.random.RandomState(seed)
    return np.clip(np.rint(rng.lognormal(mean=1.4, sigma=0.6, size=n)), 1, MAX_LENGTH).astype(np.int64)


def shape(n: int, length: int) -> tuple[int, int, int, int]:
    """The input's shape for `n` strips of `length` digits: [n, 1, 16, 16 * length]."""
    return n, 1, HEIGHT, WIDTH_PER_DIGIT * length


def ranges(low: int, opt: int, high: int, batch: int = 128) -> dict[str, list[tuple[int, int, int, int]]]:
    """A profile for `tl.build`: 1 to `batch` strips, `low` to `high` pixels wide, best at `batch` strips of `opt`."""
    return {"strip": [(1, 1, HEIGHT, low), (batch, 1, HEIGHT, opt), (batch, 1, HEIGHT, high)]}


def fixed(batch: int, width: int) -> Any:
    """The shipped network as an ONNX ModelProto whose input is [batch, 1, 16, width] and nothing else."""
    import onnx

    model = onnx.load(onnx_path())
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    for dimension, size in zip(sizes, (batch, 1, HEIGHT, width), strict=True):
        dimension.dim_value = size  # a number in place of the name
    return model


def load(lengths: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    """A strip of each length: images float32 [1, 1, 16, 16 * length] in the order of `lengths`, and what they say."""
    made: list[Any] = [None] * len(lengths)
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        for place, image, text in zip(places, *make(len(places), int(length)), strict=True):
            made[place] = image[None], text
    return [image for image, _ in made], [text for _, text in made]


def ink_columns(network: Any, trt: Any) -> np.ndarray:
    """Fill an empty TensorRT network: input "columns" float32 [width], output "where" int32 [1, n], those above 0.5.

    How many there are, only a run can tell. trt: the TensorRT module. Returns the constant 0.5, of which the network
    keeps no copy: hold it until the build is over.
    """
    columns, half = network.add_input("columns", trt.float32, (-1,)), np.array([0.5], np.float32)
    limit = network.add_constant((1,), half).get_output(0)
    ink = network.add_elementwise(columns, limit, trt.ElementWiseOperation.GREATER).get_output(0)
    where = network.add_non_zero(ink).get_output(0)
    where.name = "where"
    network.mark_output(where)
    if not hasattr(trt, "int64"):  # before 10 an output is FLOAT unless declared
        where.dtype = trt.int32
    return half


def decode(logits: np.ndarray) -> list[str]:
    """The text in each row of logits [n, steps, 11]: best class a step, repeats dropped, then blanks."""
    texts = []
    for row in np.argmax(logits, axis=2):
        first = np.concatenate([[True], row[1:] != row[:-1]])
        texts.append("".join(str(label) for label in row[first & (row != BLANK)]))
    return texts


def accuracy(logits: np.ndarray, texts: list[str]) -> float:
    """Share of strips read without any mistake."""
    return float(np.mean([read == text for read, text in zip(decode(logits), texts, strict=True)]))


def onnx_path() -> Path:
    """The shipped network: input "strip" [batch, 1, 16, width], output "logits" [batch, steps, 11]."""
    return _onnx.shipped("strips.onnx")


def _pictures(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures float32 [n, 8, 8] in 0..1 and labels of one side of the split."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    indices = _digits.split()[0 if split == "train" else 1]
    return (raw.images[indices] / 16.0).astype(np.float32), raw.target[indices]


def _boxes(pictures: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Each picture at 13 to 16 pixels, somewhere in a box of 16x16: float32 [n, 16, 16]."""
    sizes = rng.randint(13, HEIGHT + 1, size=len(pictures))
    down = rng.randint(0, HEIGHT + 1 - sizes)
    boxes = np.zeros((len(pictures), HEIGHT, HEIGHT), np.float32)
    for size in np.unique(sizes):
        left = (HEIGHT - size) // 2
        for top in range(HEIGHT + 1 - size):
            rows = np.flatnonzero((sizes == size) & (down == top))
            boxes[rows, top : top + size, left : left + size] = _digits.enlarge(pictures[rows], size)
    return boxes


def _lay_out(boxes: np.ndarray, width: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Paste boxes [n, length, 16, 16] side by side: images [n, 1, 16, width] and centres [n, length]."""
    n, length = boxes.shape[:2]
    pitch = rng.randint(_CLOSEST, WIDTH_PER_DIGIT + 1, size=(n, length))
    left = np.cumsum(pitch, axis=1) - pitch
    left += (rng.rand(n, 1) * (WIDTH_PER_DIGIT * (length - 1) - left[:, -1:] + 1)).astype(int)
    images = np.zeros((n, HEIGHT, width), np.float32)
    rows, columns = np.arange(n)[:, None], np.arange(HEIGHT)[None]
    for place in range(length):
        where = left[:, place, None] + columns
        before = images[rows, :, where]
        images[rows, :, where] = np.maximum(before, boxes[:, place].transpose(0, 2, 1))
    return images[:, None], left + HEIGHT / 2


def network() -> torch.nn.Module:
    """The untrained network: float32 [n, 1, 16, width] to logits [n, steps(width), 11]."""
    import torch
    from torch import nn

    class Attention(nn.Module):
        """Every step looks at every other step; one head, so that no shape has to be computed."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(channels)
            self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)
            self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)
            self.factor = channels**-0.5
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(x)
            scores = torch.softmax(self.query(y) * self.factor @ self.key(y).transpose(1, 2), dim=2)
            return x + self.out(scores @ self.value(y))

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(1, 48, 3, 1, 1, bias=False), nn.BatchNorm2d(48)
            self.conv2, self.norm2 = nn.Conv2d(48, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)
            self.conv3, self.norm3 = nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
            self.conv4, self.norm4 = nn.Conv2d(64, 128, 3, 2, 1, bias=False), nn.BatchNorm2d(128)
            self.conv5, self.norm5 = nn.Conv2d(128, 128, 3, 1, 1, bias=False), nn.BatchNorm2d(128)
            self.column, self.norm6 = (
                nn.Conv2d(128, CHANNELS, (4, 3), 1, (0, 1), bias=False),
                nn.BatchNorm2d(CHANNELS),
            )
            self.relu1, self.relu2, self.relu3, self.relu4, self.relu5, self.relu6 = (nn.ReLU() for _ in range(6))
            self.attention = Attention(CHANNELS)
            self.classifier = nn.Linear(CHANNELS, CLASSES)

        def forward(self, strip: torch.Tensor) -> torch.Tensor:
            x = self.relu1(self.norm1(self.conv1(strip)))
            x = self.relu2(self.norm2(self.conv2(x)))
            x = x + self.relu3(self.norm3(self.conv3(x)))
            x = self.relu4(self.norm4(self.conv4(x)))
            x = x + self.relu5(self.norm5(self.conv5(x)))
            x = self.relu6(self.norm6(self.column(x)))
            return self.classifier(self.attention(x.squeeze(2).transpose(1, 2)))

    return Reader()


def trained() -> torch.nn.Module:
    """`network()` with the shipped weights; batch norms are folded into the convolutions, as in the ONNX file."""
    import torch
    from onnx import numpy_helper
    from torch import nn

    module = network()
    stored = {item.name: numpy_helper.to_array(item) for item in _onnx.load(onnx_path()).graph.initializer}
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        if isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(torch.empty(layer.out_channels))
    for name, weight in module.named_parameters():
        owner = name.removesuffix(".weight")
        found = stored[name] if name in stored else stored[f"{owner}.matmul.weight"].T
        weight.data.copy_(torch.from_numpy(found.copy()))
    return module.eval()


def export(module: torch.nn.Module, path: str | Path) -> Path:
    """Export to ONNX, opset 17, dynamic batch and width, batch norms folded into the convolutions."""
    import torch

    dynamic = {"strip": {0: "batch", 3: "width"}, "logits": {0: "batch", 1: "steps"}}
    module = module.eval().to(memory_format=torch.contiguous_format)
    example = torch.zeros(2, 1, HEIGHT, 4 * WIDTH_PER_DIGIT)
    model = _onnx.from_torch(module, example, "strip", "logits", dynamic, keep_norms=False)
    return _onnx.save(_onnx.tidy(model, "strips"), path)


def _targets(centres: np.ndarray, labels: np.ndarray, width: int) -> np.ndarray:
    """What each step should say, int64 [n, steps]: the digit it is nearest to, ignore, or blank."""
    n, length = labels.shape
    where = np.arange(steps(width)) * PIXELS_PER_STEP
    targets = np.full((n, len(where)), BLANK)
    for place in range(length):
        targets[np.abs(where - centres[:, place, None]) < PIXELS_PER_STEP] = _IGNORE
    nearest = np.rint(centres / PIXELS_PER_STEP).astype(int)
    targets[np.arange(n)[:, None], nearest] = labels
    return targets


def _batch(pictures: Any, labels: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, ...]:
    """A training batch of one random length, with random background on the right: images, targets, labels."""
    length = int(rng.randint(1, 11))
    n = max(1, DIGITS_A_STEP // (length + 2))
    chosen = rng.randint(len(labels), size=n * length)
    small = _digits._augment(pictures[chosen], 8)[:, 0].numpy()
    boxes = _boxes(small, rng).reshape(n, length, HEIGHT, HEIGHT)
    extra = int(rng.choice([0, rng.randint(0, 32), rng.randint(0, 200)], p=[0.4, 0.35, 0.25]))
    says = labels[chosen].reshape(n, length)
    images, centres = _lay_out(boxes, WIDTH_PER_DIGIT * length + extra, rng)
    return images, _targets(centres, says, images.shape[-1]), says


def _loss(logits: torch.Tensor, targets: np.ndarray, says: np.ndarray, whole: bool) -> torch.Tensor:
    """Cross-entropy a step; with `whole`, also CTC: the probability that the strip as a whole is read right."""
    import torch
    from torch.nn import functional

    wanted = torch.from_numpy(targets).flatten()
    loss = functional.cross_entropy(logits.flatten(0, 1), wanted, ignore_index=_IGNORE, label_smoothing=0.05)
    if whole:
        n, length = says.shape
        chances = functional.log_softmax(logits, dim=2).transpose(0, 1)
        sizes = torch.full((n,), logits.shape[1]), torch.full((n,), length)
        loss = loss + 0.3 * functional.ctc_loss(chances, torch.from_numpy(says), *sizes, blank=BLANK)
    return loss


def train(seed: int = 0, batches: int = STEPS, log: Any = None) -> torch.nn.Module:
    """Train from scratch; the same seed, the same bits on the same processor. log: called with each line."""
    import torch

    log = log or (lambda line: None)
    pictures, labels = _pictures("train")
    with _digits.reproducible(seed):
        rng = np.random.RandomState(seed)
        sources = torch.from_numpy(pictures[:, None])
        model = network().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
        plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _digits.one_cycle(step, batches))
        total = 0.0
        for number in range(1, batches + 1):
            images, targets, says = _batch(sources, labels, rng)
            strips = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
            loss = _loss(model(strips), targets, says, whole=number > batches // 3)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            plan.step()
            total += loss.item()
            if number % 100 == 0:
                log(f"batch {number}/{batches} loss {total / 100:.4f}")
                total = 0.0
    return model.eval()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trt_lessons.models.strips", description="The strip reader.")
    parser.add_argument("--train", action="store_true", help="train from scratch and write the ONNX file")
    parser.add_argument("--output", default=str(_onnx.SHIPPED / "strips.onnx"), help="where to write it")
    arguments = parser.parse_args()
    if arguments.train:
        print("wrote", export(train(log=lambda line: print(line, flush=True)), arguments.output))
    import onnxruntime

    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    for length in (1, 2, 4, 8, 12, 16):
        images, texts = make(1000, length, seed=1)
        right = accuracy(session.run(None, {"strip": images})[0], texts)
        print(f"length {length:2}: {right:.3f} of 1000 held-out strips read without a mistake", flush=True)


if __name__ == "__main__":
    _main()
