"""Loops and conditionals of the layer API, and the rarer layers: fill, scatter, one-hot, cumulative, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trt_lessons import compat

from .networks import ON_GPU, build, close, engine_of, network, numbers, run, trt, trt_type

KEPT: list[np.ndarray] = []  # constants must outlive their networks
X = numbers(4, 3)
SUM, PROD = trt.ElementWiseOperation.SUM, trt.ElementWiseOperation.PROD


def since(name: str) -> Any:
    return pytest.mark.skipif(not compat.has(name), reason=f"this TensorRT has no {name}")


def on_8_6(reason: str, strict: bool = False) -> Any:
    """Expected to fail on TensorRT 8.6, with its words (live runs on H100 and H200)."""
    return pytest.mark.xfail(ON_GPU and compat.version() == (8, 6), reason=reason, strict=strict)


def constant(net: Any, values: Any, kind: type = np.float32) -> Any:
    KEPT.append(np.array(values, kind, order="C"))
    return net.add_constant(KEPT[-1].shape, KEPT[-1]).get_output(0)


def answer(define: Callable, **inputs: np.ndarray) -> np.ndarray:
    """The output of the network that `define(net, **tensors)` makes, for these inputs."""
    net = network()
    made = define(net, **{n: net.add_input(n, trt_type(a.dtype), a.shape) for n, a in inputs.items()})
    made.name = "y"
    net.mark_output(made)
    return run(engine_of(net), inputs)["y"]


def summed(net: Any, x: Any, limit: Callable, kind: Any = None, axis: int = 0) -> Any:
    """A loop that adds x to itself; `limit(loop, recurrence's output)` ends it."""
    loop = net.add_loop()
    turn = loop.add_recurrence(x)
    after = net.add_elementwise(turn.get_output(0), x, SUM).get_output(0)
    turn.set_input(1, after)
    limit(loop, turn.get_output(0))
    if kind is None:
        return loop.add_loop_output(turn.get_output(0), trt.LoopOutput.LAST_VALUE, 0).get_output(0)
    output = loop.add_loop_output(after, kind, axis)
    output.set_input(1, constant(net, 3, np.int32))
    return output.get_output(0)


def three(net: Any) -> Callable:
    return lambda loop, value: loop.add_trip_limit(constant(net, 3, np.int32), trt.TripLimit.COUNT)


def test_a_loop_of_three_turns() -> None:
    close(answer(lambda net, x: summed(net, x, three(net)), x=X), 4 * X, 1e-5)


TURNS = np.stack([2 * X, 3 * X, 4 * X])


NO_IMPLEMENTATION = "8.6.0 could not find any implementation for this loop (its ForeignNode) at level 0"


@pytest.mark.parametrize(
    ("kind", "axis", "wanted"),
    [
        ("CONCATENATE", 0, TURNS),
        pytest.param("CONCATENATE", 1, TURNS.swapaxes(0, 1), marks=on_8_6(NO_IMPLEMENTATION)),
        pytest.param("REVERSE", 0, TURNS[::-1], marks=on_8_6(NO_IMPLEMENTATION)),
    ],
)
def test_all_turns_of_a_loop(kind: str, axis: int, wanted: np.ndarray) -> None:
    found = answer(lambda net, x: summed(net, x, three(net), getattr(trt.LoopOutput, kind), axis), x=X)
    close(found, wanted, 1e-5)


def test_a_loop_while_something_holds() -> None:
    """While the sum of the value is below 50; x adds up to 12 each turn."""

    def below(net: Any) -> Callable:
        def limit(loop: Any, value: Any) -> None:
            total = net.add_reduce(value, trt.ReduceOperation.SUM, 1, False).get_output(0)
            less = net.add_elementwise(total, constant(net, 50), trt.ElementWiseOperation.LESS).get_output(0)
            loop.add_trip_limit(less, trt.TripLimit.WHILE)

        return limit

    x = np.full(4, 3, np.float32)
    close(answer(lambda net, x: summed(net, x, below(net)), x=x), x * 5, 1e-5)  # 12, 24, 36, 48, 60


@pytest.mark.parametrize("reverse", [False, True])
def test_an_iterator_goes_along_an_axis(reverse: bool) -> None:
    """Sums decay by half a row: the order of the rows shows in the result."""

    def define(net: Any, x: Any) -> Any:
        loop = net.add_loop()
        loop.add_trip_limit(constant(net, 4, np.int32), trt.TripLimit.COUNT)
        row = loop.add_iterator(x, 0, reverse).get_output(0)
        turn = loop.add_recurrence(constant(net, np.zeros(3)))
        half = net.add_elementwise(turn.get_output(0), constant(net, np.full(3, 0.5)), PROD).get_output(0)
        turn.set_input(1, net.add_elementwise(half, row, SUM).get_output(0))
        return loop.add_loop_output(turn.get_output(0), trt.LoopOutput.LAST_VALUE, 0).get_output(0)

    wanted = np.zeros(3, np.float32)
    for row in X[::-1] if reverse else X:
        wanted = wanted / 2 + row
    close(answer(define, x=X), wanted, 1e-5)


def test_a_loop_in_a_loop() -> None:
    """Outer: 2 turns of: inner: 3 turns of adding x."""

    def define(net: Any, x: Any) -> Any:
        outer = net.add_loop()
        outer.add_trip_limit(constant(net, 2, np.int32), trt.TripLimit.COUNT)
        turn = outer.add_recurrence(x)
        inner = net.add_loop()
        inner.add_trip_limit(constant(net, 3, np.int32), trt.TripLimit.COUNT)
        small = inner.add_recurrence(turn.get_output(0))
        small.set_input(1, net.add_elementwise(small.get_output(0), x, SUM).get_output(0))
        turn.set_input(1, inner.add_loop_output(small.get_output(0), trt.LoopOutput.LAST_VALUE, 0).get_output(0))
        return outer.add_loop_output(turn.get_output(0), trt.LoopOutput.LAST_VALUE, 0).get_output(0)

    close(answer(define, x=X), 7 * X, 1e-5)


def test_a_loop_without_a_limit_is_no_engine() -> None:
    net = network()
    made = summed(net, net.add_input("x", trt.float32, X.shape), lambda loop, value: None)
    net.mark_output(made)
    assert build(net) is None


def choice(net: Any, x: Any, other: Callable) -> Any:
    """exp(x) where the first element of x is above 0, else what `other` makes."""
    first = net.add_slice(x, (0, 0), (1, 1), (1, 1)).get_output(0)
    shuffle = net.add_shuffle(first)
    shuffle.reshape_dims = ()
    above = net.add_elementwise(shuffle.get_output(0), constant(net, 0), trt.ElementWiseOperation.GREATER).get_output(0)
    conditional = net.add_if_conditional()
    conditional.set_condition(above)
    inside = conditional.add_input(x).get_output(0)
    yes = net.add_unary(inside, trt.UnaryOperation.EXP).get_output(0)
    return conditional.add_output(yes, other(net, inside)).get_output(0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_conditional_takes_one_branch(sign: int) -> None:
    x = np.abs(X) * sign
    found = answer(
        lambda net, x: choice(net, x, lambda net, y: net.add_unary(y, trt.UnaryOperation.NEG).get_output(0)), x=x
    )
    close(found, np.exp(x) if sign > 0 else -x, 1e-5)


def test_branches_of_two_shapes_are_no_engine() -> None:
    net = network()
    x = net.add_input("x", trt.float32, X.shape)
    net.mark_output(choice(net, x, lambda net, y: net.add_slice(y, (0, 0), (2, 3), (1, 1)).get_output(0)))
    assert build(net) is None


def test_fill_counts() -> None:
    def define(net: Any, x: Any) -> Any:
        fill = net.add_fill((3,), trt.FillOperation.LINSPACE)
        fill.alpha, fill.beta = 2.0, 0.5
        return net.add_elementwise(x, fill.get_output(0), SUM).get_output(0)

    close(answer(define, x=np.zeros(3, np.float32)), np.array([2, 2.5, 3], np.float32), 1e-6)


def test_fill_counts_along_two_axes() -> None:
    def define(net: Any, x: Any) -> Any:
        fill = net.add_fill((4, 3), trt.FillOperation.LINSPACE)
        fill.set_input(1, constant(net, 1))
        fill.set_input(2, constant(net, [10, 1]))
        return net.add_elementwise(x, fill.get_output(0), SUM).get_output(0)

    wanted = 1 + 10 * np.arange(4)[:, None] + np.arange(3)
    close(answer(define, x=np.zeros((4, 3), np.float32)), wanted.astype(np.float32), 1e-6)


@pytest.mark.parametrize(("op", "mean", "spread"), [("RANDOM_UNIFORM", 3.0, 2 / 12**0.5), ("RANDOM_NORMAL", 2.0, 4.0)])
def test_fill_draws(op: str, mean: float, spread: float) -> None:
    def define(net: Any, x: Any) -> Any:
        fill = net.add_fill((100, 100), getattr(trt.FillOperation, op))
        fill.alpha, fill.beta = 2.0, 4.0
        return net.add_elementwise(x, fill.get_output(0), SUM).get_output(0)

    found = answer(define, x=np.zeros((100, 100), np.float32))
    assert abs(found.mean() - mean) < 0.2 and abs(found.std() - spread) < 0.2


def test_scatter_of_slices_and_elements() -> None:
    def slices(net: Any, x: Any) -> Any:
        places, rows = constant(net, [[2], [0]], np.int32), constant(net, [[7, 8, 9], [4, 5, 6]])
        return net.add_scatter(x, places, rows, trt.ScatterMode.ND).get_output(0)

    def elements(net: Any, x: Any) -> Any:
        places, values = constant(net, [[0, 1, 2]], np.int32), constant(net, [[7, 8, 9]])
        layer = net.add_scatter(x, places, values, trt.ScatterMode.ELEMENT)
        layer.axis = 0
        return layer.get_output(0)

    wanted = X.copy()
    wanted[[2, 0]] = [[7, 8, 9], [4, 5, 6]]
    close(answer(slices, x=X), wanted, 1e-6)
    wanted = X.copy()
    wanted[[0, 1, 2], [0, 1, 2]] = 7, 8, 9
    close(answer(elements, x=X), wanted, 1e-6)


def test_one_hot() -> None:
    def define(net: Any, x: Any) -> Any:
        values, depth = constant(net, [0, 5]), constant(net, 3, np.int32)
        hot = net.add_one_hot(constant(net, [2, 0, 1, 1], np.int32), values, depth, -1).get_output(0)
        return net.add_elementwise(x, hot, SUM).get_output(0)

    close(answer(define, x=np.zeros((4, 3), np.float32)), 5 * np.eye(3, dtype=np.float32)[[2, 0, 1, 1]], 1e-6)


@since("INetworkDefinition.add_cumulative")
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative(exclusive: bool, reverse: bool) -> None:
    def define(net: Any, x: Any) -> Any:
        op = trt.CumulativeOperation.SUM
        return net.add_cumulative(x, constant(net, 0, np.int32), op, exclusive, reverse).get_output(0)

    x = X[::-1] if reverse else X
    wanted = np.cumsum(x, axis=0) - (x if exclusive else 0)
    close(answer(define, x=X), wanted[::-1] if reverse else wanted, 1e-5)


Q, K, V = numbers(2, 2, 4, 8), numbers(2, 2, 4, 8, seed=1), numbers(2, 2, 4, 8, seed=2)


def attended(hidden: np.ndarray | None) -> np.ndarray:
    scores = Q @ K.swapaxes(-1, -2)
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    grown = np.exp(scores - scores.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True) @ V


@since("INetworkDefinition.add_attention")
@pytest.mark.parametrize("way", ["plain", "causal", "mask"])
def test_attention(way: str) -> None:
    seen = np.tril(np.ones((1, 1, 4, 4), bool))

    def define(net: Any, q: Any, k: Any, v: Any) -> Any:
        attention = net.add_attention(q, k, v, trt.AttentionNormalizationOp.SOFTMAX, way == "causal")
        attention.decomposable = True
        if way == "mask":
            attention.mask = constant(net, np.broadcast_to(seen, (2, 2, 4, 4)), np.bool_)
        return attention.get_output(0)

    close(answer(define, q=Q, k=K, v=V), attended(None if way == "plain" else ~seen), 1e-4)


def test_layers_at_the_edges_know_what_they_belong_to() -> None:
    net = network()
    x = net.add_input("x", trt.float32, X.shape)
    loop, conditional = net.add_loop(), net.add_if_conditional()
    number = 1 if ON_GPU and compat.version() == (8, 6) else 0  # 8.6 counts loops and conditionals together
    assert loop.name == "(Unnamed Loop* 0)" and conditional.name == f"(Unnamed IfConditional* {number})"
    turn, entry = loop.add_recurrence(x), conditional.add_input(x)
    assert turn.type == trt.LayerType.RECURRENCE and tuple(turn.get_output(0).shape) == X.shape
    assert entry.type == trt.LayerType.CONDITIONAL_INPUT and entry.num_inputs == 1


BOXES = np.array([[[0, 0, 4, 4], [0, 0, 4, 5], [10, 10, 14, 14], [0, 1, 4, 5], [20, 20, 21, 21]]], np.float32)
SCORES = np.array([[[0.9, 0.1], [0.8, 0.7], [0.7, 0.2], [0.6, 0.6], [0.05, 0.9]]], np.float32)


def kept_boxes(most: int, overlap: float, least: float) -> int:
    """How many boxes stay, over all classes: the best first, without those that overlap a better one too much."""

    def over(a: np.ndarray, b: np.ndarray) -> float:
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        both = np.prod(np.maximum(high - low, 0))
        return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)

    count = 0
    for scores in SCORES[0].T:
        kept: list[int] = []
        for i in np.argsort(-scores):
            if scores[i] > least and len(kept) < most and all(over(BOXES[0][i], BOXES[0][k]) <= overlap for k in kept):
                kept.append(int(i))
        count += len(kept)
    return count


@since("INetworkDefinition.add_nms")
@on_8_6("8.6.0 ends the build of the count alone in an internal error (markLive: kSHAPES_LOWERED)")
@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("overlap", [0.3, 0.9])
def test_nms_keeps_the_best_boxes(most: int, overlap: float) -> None:
    """The second output says how many boxes are kept: INT32, no dimensions."""

    def define(net: Any, boxes: Any, scores: Any) -> Any:
        layer = net.add_nms(boxes, scores, constant(net, most, np.int32))
        layer.set_input(3, constant(net, overlap))
        layer.set_input(4, constant(net, 0.15))
        return layer.get_output(1)

    assert answer(define, boxes=BOXES, scores=SCORES) == kept_boxes(most, overlap, 0.15)
