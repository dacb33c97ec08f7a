"""A model that somebody brings, with its data: read, checked, and cut into batches. Introduced in lesson 06.

    mine = subject.read("model.onnx", "inputs.npz")

The .npz holds one array for each input of the model, named like it, one row a sample along the first axis. An array
with one axis more than the input is a list of whole inputs. "labels" is optional: the right class of each row.
"""

from __future__ import annotations

import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..engines.source import Source
from ..errors import ModelFileError, ShapeError
from ..files import sha256
from ..interpreter.tensorrt.reading.rewriting import narrowed
from ..precision.graphs import lift_constants
from .inspect import shape_inputs

Batch = dict[str, np.ndarray]
Shape = tuple[Any, ...]  # of an int or a name for each axis
ROWS, CALIBRATION_ROWS = 256, 128


@dataclass
class Subject:
    """A model and the inputs to judge it by.

    batches: list of {input: array} to compare and time with; calibration: others, for scales, [] where there are no
    real inputs. labels: for each batch. shipped: it is the lesson's own network, which has recordings. note: what was
    done to the model before (`folding`), for the report. file: the file's name; real: the inputs are somebody's, not
    random numbers.
    """

    name: str
    model: onnx.ModelProto
    sha256: str
    batches: list[Batch]
    calibration: list[Batch] = field(default_factory=list)
    labels: list[np.ndarray] | None = None
    data: str = ""
    shipped: bool = False
    given: dict[str, tuple[Shape, Shape, Shape]] = field(default_factory=dict)
    command: str = "trt-lessons run 06"
    note: str = ""
    file: str = ""
    real: bool = True

    def __post_init__(self) -> None:
        self.file = self.file or self.name

    @property
    def rows(self) -> int:
        """Length of the first axis of the batch that is timed; 1 where its inputs have no axis."""
        return next((len(array) for array in self.batches[0].values() if array.ndim), 1)

    @cached_property
    def shape_inputs(self) -> list[str]:
        """Names of the inputs that hold a shape."""
        return shape_inputs(self.model.graph, set(inputs_of(self.model)))

    @property
    def profiles(self) -> dict[str, tuple[Shape, Shape, Shape]]:
        """(min, opt, max) of each dynamic input: from the data, the first axis from 1; opt is the timed batch.

        Of an input that holds a shape: of its values.
        """
        found = {}
        for name, (_, shape) in inputs_of(self.model).items():
            if name in self.given:
                found[name] = self.given[name]
                continue
            if name in self.shape_inputs:
                values = [np.ravel(batch[name]) for batch in self.batches]
                three = (np.min(values, axis=0), values[0], np.max(values, axis=0))
                found[name] = tuple(tuple(int(n) for n in one) for one in three)
                continue
            if all(isinstance(size, int) for size in shape):
                continue
            seen = np.array([batch[name].shape for batch in self.batches])
            low = [int(n) for n in seen.min(0)]
            if shape and not isinstance(shape[0], int):
                low[0] = min(1, low[0])
            found[name] = (tuple(low), self.batches[0][name].shape, tuple(int(n) for n in seen.max(0)))
        return found

    def accuracy(self, outputs: list[Batch]) -> float | None:
        """Share of rows whose largest entry of the first output is at the label; None without labels."""
        if self.labels is None:
            return None
        first = self.model.graph.output[0].name
        guesses = [np.argmax(found[first], axis=-1) for found in outputs]
        for guess, truth in zip(guesses, self.labels, strict=True):
            if guess.shape != truth.shape:
                raise ShapeError(
                    f"{first!r} has {guess.shape} answers for labels of shape {truth.shape}",
                    cure="labels are class numbers, one a row; leave them out for a model that is no classifier",
                )
        right = sum(int(np.sum(guess == truth)) for guess, truth in zip(guesses, self.labels, strict=True))
        return right / sum(truth.size for truth in self.labels)


def inputs_of(model: onnx.ModelProto) -> dict[str, tuple[np.dtype, Shape]]:
    """Name -> (dtype, shape) of the inputs that must be fed; a free axis has its name, "?" without one."""
    weights = {item.name for item in model.graph.initializer}
    return {value.name: typed(value) for value in model.graph.input if value.name not in weights}


def typed(value: onnx.ValueInfoProto) -> tuple[np.dtype, Shape]:
    """(dtype, shape) of a graph's input or output."""
    kind = value.type.tensor_type
    shape = tuple(d.dim_value if d.dim_value > 0 else d.dim_param or "?" for d in kind.shape.dim)  # -1, 0: open too
    return onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), shape


def read(
    model: Any = None, data: Any = None, *, batch: int | None = None, profiles: dict[str, Any] | None = None
) -> Subject:
    """A Subject from an ONNX file and an .npz file; without a model the workbook's digits network.

    batch: rows of the timed batch (256, or all there are). Without data a model gets 8 random rows, enough for an
    error and a time, not for calibration. profiles: {input: (min, opt, max)}, in place of what the data says, and the
    sizes of random inputs where the model leaves more than the batch open. ModelFileError and ShapeError say what
    does not fit.
    """
    if batch is not None and batch < 1:
        raise ShapeError(f"A batch of {batch} rows cannot be made.", cure="Give a number of 1 or more.")
    source = model if isinstance(model, Source) else Source(_digits_path() if model is None else model, None)
    proto = source.own()
    wide = _mended(proto) if model is not None else []
    if not inputs_of(proto):
        raise ModelFileError(
            f"{source.name} has no inputs, so that its answers never change.",
            cure="Was it exported whole? A model to be measured reads something.",
        )
    found = Subject(source.name, proto, source.sha256 or "", [], file=source.path.name if source.path else source.name)
    found.given = _checked(profiles or {}, inputs_of(proto), found.shape_inputs)
    found.note = f"FLOAT64 became FP32, as TensorRT has none ({', '.join(wide[:5])})." if wide else ""
    if data is not None:
        found.data = _fill(found, _load(Path(data), inputs_of(proto), wide), batch or ROWS)
        found.data += f" from {Path(data).name}, sha256 {sha256(Path(data).read_bytes())}"
    elif model is None:
        found.data, found.shipped = _fill_digits(found, batch or ROWS), batch in (None, ROWS)
    else:
        found.data, found.real = _fill_random(found, batch or 8), False
    named = source.path if model is not None else None
    words = [("model", named), ("data", data), ("batch", batch), *_profile_words(found.given)]
    found.command += "".join(f" --{word} {shlex.quote(str(value))}" for word, value in words if value is not None)
    return found


def _mended(model: onnx.ModelProto) -> list[str]:
    """In place, what TensorRT's parser reads it as: the names whose FLOAT64 became FP32 are returned.

    Constants become weights, weights are no inputs, an axis of 0 or less is open.
    """
    lift_constants(model)
    graph, weights = model.graph, {item.name for item in model.graph.initializer}
    fed = [value for value in graph.input if value.name not in weights]
    if len(fed) < len(graph.input):
        kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in fed]
        del graph.input[:]
        graph.input.extend(kept)
        model.ir_version = max(model.ir_version, 4)  # from 4 on weights need not be listed as inputs
    opened = False
    for value in graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_value") and dimension.dim_value <= 0:
                dimension.Clear()
                opened = True
    if opened:  # what the file says of the others was made from those
        del graph.value_info[:]
        for value in graph.output:
            for dimension in value.type.tensor_type.shape.dim:
                dimension.Clear()
    return narrowed(model)


def _profile_words(given: dict[str, Any]) -> list[tuple[str, str]]:
    """The options that give these profiles again."""
    sizes = {name: ["x".join(map(str, shape)) for shape in three] for name, three in given.items()}
    return [("profile", f"{name}={':'.join(three)}") for name, three in sizes.items()]


def _checked(
    profiles: dict[str, Any], inputs: dict[str, tuple[np.dtype, Shape]], shapes: Sequence[str]
) -> dict[str, Any]:
    """Profiles of inputs that are there, with as many axes as they have, min <= opt <= max; ShapeError else.

    shapes: inputs that hold a shape, whose profile is one of values.
    """
    for name, ranges in profiles.items():
        if name not in inputs:
            raise ShapeError(f"The model has no input {name!r}.", cure=f"Its inputs: {', '.join(inputs)}.")
        shape = ("?",) * int(np.prod(inputs[name][1], dtype=int)) if name in shapes else inputs[name][1]
        fits = all(len(size) == len(shape) for size in ranges) and all(
            low <= best <= high and (not isinstance(want, int) or low == want == high)
            for low, best, high, want in zip(*ranges, shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"The profile {ranges} does not fit {name} {list(shape)}.",
                cure="As many sizes as the input has axes, min <= opt <= max, fixed axes as they are.",
            )
    return profiles


def _digits_path() -> Path:
    from ..models import digits

    return digits.onnx_path()


def _fill_digits(mine: Subject, rows: int) -> str:
    from ..models import digits

    data = digits.data()
    mine.batches = _cut({"images": data.test_images}, rows)
    mine.labels = [part["labels"] for part in _cut({"labels": data.test_labels}, rows)]
    mine.calibration = _cut({"images": data.train_images[:CALIBRATION_ROWS]}, 64)
    return f"{len(data.test_labels)} held-out digits; calibration with {CALIBRATION_ROWS} of the training set"


def _fill_random(mine: Subject, rows: int) -> str:
    """One batch of random numbers, always the same; whole numbers are 0 or 1, which suits masks and word numbers."""
    random, batch = np.random.Generator(np.random.PCG64(0)), {}
    for name, (dtype, shape) in inputs_of(mine.model).items():
        if name in mine.shape_inputs:
            batch[name] = _shape_given(mine, name, dtype, shape)
            continue
        if name in mine.given:
            shape = mine.given[name][1]
        if any(not isinstance(size, int) for size in shape[1:]):
            raise ShapeError(
                f"{mine.name} leaves more than the batch open: {name} {list(shape)}",
                why="without inputs of yours nobody knows which sizes you will use",
                cure="give real inputs, --data inputs.npz (trt-lessons inspect --template writes one to fill), "
                "or the sizes: --profile NAME=MIN:OPT:MAX",
            )
        size = (rows if not isinstance(shape[0], int) else shape[0], *shape[1:]) if shape else ()
        numbers = random.standard_normal(size) if dtype.kind == "f" else random.integers(0, 2, size)
        batch[name] = np.asarray(numbers).astype(dtype)
    mine.batches = [batch]
    return "random numbers, always the same (no --data was given), so no calibration"


def _shape_given(mine: Subject, name: str, dtype: np.dtype, shape: Shape) -> np.ndarray:
    """The values of an input that holds a shape, from its profile; ShapeError without one."""
    if name not in mine.given:
        raise ShapeError(
            f"{name} holds a shape, and random numbers are none.",
            why="its values say how large something is",
            cure="give real inputs, --data inputs.npz, or its values: --profile NAME=MIN:OPT:MAX",
        )
    return np.asarray(mine.given[name][1], dtype).reshape(shape)


def _load(path: Path, wanted: dict[str, tuple[np.dtype, Shape]], wide: Sequence[str] = ()) -> Batch:
    """The arrays of an .npz file, checked against the model's inputs; those named in `wide` may be FLOAT64."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        missing = not path.exists()
        raise ModelFileError(
            f"there is no file {path}" if missing else f"{path} is not a whole .npz file",
            why="" if missing else str(error).splitlines()[0],
            cure="write it with np.savez(path, input_name=array, ...)",
        ) from None
    unknown, missing = sorted(set(arrays) - set(wanted) - {"labels"}), sorted(set(wanted) - set(arrays))
    if unknown or missing:
        lacks = (
            f"lacks {', '.join(missing)}" if missing else f"holds {', '.join(unknown)}, which the model does not read"
        )
        raise ShapeError(
            f"{path.name} does not fit the model: it {lacks}",
            why=f"the file holds {', '.join(sorted(arrays)) or 'nothing'}; the inputs are {', '.join(wanted)}",
            cure="name the arrays like the inputs: np.savez(path, " + ", ".join(f"{n}=..." for n in wanted) + ")",
        )
    for name in set(wide) & set(arrays):
        arrays[name] = arrays[name].astype(np.float32)
    for name, (dtype, shape) in wanted.items():
        _check(path.name, name, arrays[name], dtype, shape)
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or min(counts.values()) < 2:
        raise ShapeError(
            f"{path.name} has rows: {', '.join(f'{n} {c}' for n, c in counts.items())}",
            why="every array has one row a sample; some are for calibration and the others to judge by",
            cure="give the same number of rows everywhere, two at least (a hundred is better)",
        )
    return arrays


def _check(file: str, name: str, array: np.ndarray, dtype: np.dtype, shape: Shape) -> None:
    if array.dtype != dtype:
        cure = f"save array.astype(np.{dtype})"
        raise ShapeError(f"{name} in {file} is {array.dtype}, the model reads {dtype}", cure=cure)
    tail = array.shape[len(array.shape) - len(shape) :] if array.ndim > len(shape) else array.shape
    free_rows = array.ndim == len(shape)  # rows along the first axis: cut into batches later
    fits = array.ndim - len(shape) in (0, 1) and all(
        not isinstance(want, int) or want == has or (free_rows and axis == 0)
        for axis, (want, has) in enumerate(zip(shape, tail, strict=True))
    )
    if not fits or array.ndim == 0:
        raise ShapeError(
            f"{name} in {file} has shape {list(array.shape)}, the model reads {list(shape)}",
            cure="one row a sample along the first axis, or a list of whole inputs with one axis more",
        )


def _fill(mine: Subject, arrays: Batch, rows: int) -> str:
    """Cut the arrays in two, the first part to calibrate with, and both into batches. Returns what was done."""
    inputs = inputs_of(mine.model)
    more = {arrays[name].ndim - len(shape) for name, (_, shape) in inputs.items()}
    whole = more == {1}
    fixed = {shape[0] for _, shape in inputs.values() if shape and isinstance(shape[0], int)}
    if len(more) > 1 or (not whole and len(fixed) > 1):
        raise ShapeError(
            f"The inputs of {mine.name} cannot be cut into batches together.",
            why="some arrays are lists of whole inputs, others not" if len(more) > 1 else "their first axes differ",
            cure="give every array as a list of whole inputs: one axis more than the input",
        )
    step = 1 if whole else min(fixed, default=0)
    count = len(next(iter(arrays.values())))
    if step and count < 2 * step:
        raise ShapeError(
            f"{count} rows are too few for {mine.name}, which reads {step} at a time",
            cure=f"give {2 * step} rows at least: half calibrate, half judge",
        )
    unit = step or 1
    split = min(count // 2, max(CALIBRATION_ROWS, unit)) // unit * unit
    end = count // unit * unit
    parts = _cut({name: array[split:end] for name, array in arrays.items()}, step or rows)
    before = _cut({name: arrays[name][:split] for name in inputs}, step or min(rows, 64))
    if whole:
        parts, before = ([{n: np.asarray(a[0]) for n, a in part.items()} for part in side] for side in (parts, before))
    mine.labels = [part.pop("labels") for part in parts] if "labels" in arrays else None
    mine.batches, mine.calibration = parts, before
    return f"{end - split} rows; calibration with {split} others,"


def _cut(arrays: Batch, rows: int) -> list[Batch]:
    count = len(next(iter(arrays.values())))
    return [{n: a[start : start + rows] for n, a in arrays.items()} for start in range(0, count, rows)]
