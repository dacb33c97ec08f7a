"""Optimization profiles, checked before TensorRT sees them: the range of each dynamic input.

Introduced in lesson 05.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import BuildError

Shape = tuple[int, ...]
Profile = Mapping[str, Sequence[Sequence[int]]]


def show(shape: Sequence[int]) -> str:
    """A shape as text, "8x1x32x32"; "scalar" for none."""
    return "x".join(str(n) for n in shape) or "scalar"


def read(given: Profile | Sequence[Profile] | None) -> list[dict[str, tuple[Shape, Shape, Shape]]]:
    profiles = [] if given is None else [given] if isinstance(given, Mapping) else list(given)
    return [{name: _three(name, shapes) for name, shapes in profile.items()} for profile in profiles]


def _three(name: str, shapes: Any) -> tuple[Shape, Shape, Shape]:
    shapes = list(shapes)
    if shapes and all(isinstance(n, int) for n in shapes):
        shapes = [shapes] * 3  # one shape: all three
    three = tuple(tuple(int(n) for n in shape) for shape in shapes)
    wrong = ""
    if len(three) != 3:
        wrong = f"it has {len(three)} shapes"
    elif len({len(s) for s in three}) != 1:
        wrong = "its three shapes differ in rank"
    elif any(not (a <= b <= c) for a, b, c in zip(*three, strict=True)):
        wrong = "min <= opt <= max does not hold in every dimension"
    if wrong:
        raise BuildError(
            f"the profile of {name!r} is not usable: {three}",
            why=wrong,
            cure="give (min, opt, max), three shapes",
        )
    return three  # type: ignore[return-value]


def check(model: str, inputs: Sequence[Any], profiles: Sequence[Mapping[str, Any]]) -> None:
    """BuildError where a dynamic input has no range, before TensorRT says so less plainly."""
    dynamic = {t.name: tuple(t.shape) for t in inputs if -1 in tuple(t.shape) or t.is_shape_tensor}
    known = {t.name: None if t.is_shape_tensor else tuple(t.shape) for t in inputs}
    for number, profile in enumerate(profiles or [{}]):
        missing = [n for n in dynamic if n not in profile]
        if missing:
            which = ", ".join(f"{n!r} {show(dynamic[n])}" for n in missing)
            example = {n: _example(dynamic[n], known[n] is None) for n in missing[:1]}
            raise BuildError(
                f"{model} has dynamic inputs without a range: {which}",
                why="a -1, and an input whose numbers are a shape, are decided at run time: TensorRT wants their limits"
                if not profiles
                else f"profile {number} does not name them, and each profile must name every dynamic input",
                cure=f"give profiles={example}, that is min, opt and max",
            )
        for name, shapes in profile.items():
            _check_range(name, shapes, known)


def _example(shape: Shape, holds_shape: bool) -> tuple[Shape, ...]:
    """A range as one might give it: of sizes, or of the numbers in an input that holds a shape."""
    if holds_shape:
        return tuple((k,) * (abs(shape[0]) if shape else 1) for k in (1, 8, 32))
    return tuple(tuple(k if d < 0 else d for d in shape) for k in (1, 8, 32))


def _check_range(name: str, shapes: Sequence[Shape], known: Mapping[str, Shape | None]) -> None:
    if name not in known:
        raise BuildError(
            f"a profile names {name!r}, which is no input",
            why=f"inputs are {', '.join(known)}",
            cure="check the spelling",
        )
    want = known[name]
    for shape in shapes if want is not None else ():  # a shape tensor's range is one of values
        if len(want) != len(shape):
            raise BuildError(
                f"the profile of {name!r} has rank {len(shape)}, the input {show(want)} rank {len(want)}",
                cure="give as many dimensions as the input has",
            )
        if any(w not in (-1, s) for w, s in zip(want, shape, strict=True)):
            raise BuildError(
                f"the profile of {name!r} says {show(shape)}, the input is {show(want)}",
                why="only dimensions of -1 are free",
                cure="repeat the fixed dimensions as they are",
            )


def add(builder: Any, config: Any, inputs: Sequence[Any], shapes: Mapping[str, Any], lines: Callable) -> None:
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        if tensor.name in shapes:
            set_range = profile.set_shape_input if tensor.is_shape_tensor else profile.set_shape
            set_range(tensor.name, *shapes[tensor.name])
    if config.add_optimization_profile(profile) < 0:
        raise BuildError(
            "TensorRT refuses this optimization profile",
            why=lines(),
            cure="compare its ranges with the inputs of the network",
        )
