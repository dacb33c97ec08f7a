"""Random chains of layers with random static and dynamic shapes agree with a reference computed alongside.

TRT_LESSONS_EXAMPLES says how many (150 unless set). The same networks every time. On a GPU the same test
drives TensorRT.
"""

from __future__ import annotations

import functools
import os
import random
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contract.networks import ON_GPU, close, engine_of, network, run, tell, trt
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.gpu] if ON_GPU else []
EXAMPLES = int(os.environ.get("TRT_LESSONS_EXAMPLES", "150"))
PHASES = [Phase.explicit, Phase.generate]
if not ON_GPU:  # on TensorRT a step of shrinking is a build
    PHASES.append(Phase.shrink)
LARGEST = 200.0  # a layer whose numbers would grow beyond this is left out, so that FP32 stays exact enough
KEPT: list[np.ndarray] = []
# Networks that TensorRT 8.6.0 itself computes wrongly or refuses: (seed, length) -> what was seen on an H100. On a GPU
# all examples run, and any difference that is not listed here fails the last test, which counts them.
DIFFERS = {
    (3, 3): "the mean of a softmax behind a select is 0.5085 and 0.4858, and must be 0.5",
    (5543129, 9): "a layer on tensors of rank 5 is refused: its output has no shape",
}


class Chain:
    """A network and, for each of the profile's three shapes, the array that the network should give.

    A layer is tried on the reference first: one that does not fit these shapes changes nothing.
    """

    def __init__(self, net, chance, tensor, arrays) -> None:
        self.net, self.chance, self.tensor, self.arrays = net, chance, tensor, arrays
        self.earlier = [(tensor, arrays)]

    rank = property(lambda self: self.arrays[0].ndim)

    def choose(self, low, high):
        return self.chance.randint(low, high)

    def pick(self, items):
        return self.chance.choice(list(items))

    def weights(self, *shape, low=-1.0, high=1.0):
        array = np.random.default_rng(self.choose(0, 999)).uniform(low, high, shape).astype(np.float32)
        KEPT.append(array)  # TensorRT does not copy weights: they must outlive the build
        return array

    def constant(self, array):
        return self.net.add_constant(array.shape, array).get_output(0)

    def fixed(self, axis):
        """Whether a size is the same in all three shapes (a dynamic one may be so by chance: see `static`)."""
        return self.tensor.shape[axis] >= 0

    def fixed_axes(self):
        return [i for i in range(self.rank) if self.fixed(i)]

    def apply(self, layer, reference, output=0):
        """Add a layer that `layer()` makes, and its reference."""
        with np.errstate(all="ignore"):
            arrays = [np.ascontiguousarray(reference(a), dtype=np.float32) for a in self.arrays]
        if any(
            a.size == 0 or a.size > 200_000 or not np.isfinite(a).all() or np.abs(a).max() > LARGEST for a in arrays
        ):
            return False
        self.tensor, self.arrays = layer().get_output(output), arrays
        self.earlier.append((self.tensor, arrays))
        return True


def t(array):
    return torch.from_numpy(array)


def with_attributes(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


# --- steps: each draws its attributes and applies itself, or returns False where it does not fit -----------


def convolution(c):
    if c.rank != 4 or not c.fixed(1):
        return False
    height, width, maps = c.choose(1, 3), c.choose(1, 3), c.choose(1, 6)
    stride, padding, groups = (c.choose(1, 2), c.choose(1, 2)), (c.choose(0, 1), c.choose(0, 1)), 1
    channels = c.arrays[0].shape[1]
    if channels % 2 == 0 and c.choose(0, 2) == 0:
        groups, maps = 2, 2 * maps
    if any(a.shape[2] + 2 * padding[0] < height or a.shape[3] + 2 * padding[1] < width for a in c.arrays):
        return False
    kernel = c.weights(maps, channels // groups, height, width, low=-0.5, high=0.5)
    bias = c.weights(maps) if c.choose(0, 1) else None
    return c.apply(
        lambda: with_attributes(
            c.net.add_convolution_nd(c.tensor, maps, (height, width), kernel, bias),
            stride_nd=stride,
            padding_nd=padding,
            num_groups=groups,
        ),
        lambda a: F.conv2d(t(a), t(kernel), None if bias is None else t(bias), stride, padding, groups=groups),
    )


def deconvolution(c):
    if c.rank != 4 or not c.fixed(1):
        return False
    size, stride, maps = c.choose(1, 3), c.choose(1, 2), c.choose(1, 4)
    kernel = c.weights(c.arrays[0].shape[1], maps, size, size, low=-0.5, high=0.5)
    return c.apply(
        lambda: with_attributes(
            c.net.add_deconvolution_nd(c.tensor, maps, (size, size), kernel, None), stride_nd=(stride, stride)
        ),
        lambda a: F.conv_transpose2d(t(a), t(kernel), stride=stride),
    )


def pooling(c):
    if c.rank != 4:
        return False
    window, stride = (c.choose(1, 3), c.choose(1, 3)), (c.choose(1, 2), c.choose(1, 2))
    if any(a.shape[2] < window[0] or a.shape[3] < window[1] for a in c.arrays):
        return False
    kind, reference = c.pick([("MAX", F.max_pool2d), ("AVERAGE", F.avg_pool2d)])
    return c.apply(
        lambda: with_attributes(
            c.net.add_pooling_nd(c.tensor, getattr(trt.PoolingType, kind), window), stride_nd=stride
        ),
        lambda a: reference(t(a), window, stride),
    )


ACTIVATIONS = {
    "RELU": ({}, F.relu),
    "SIGMOID": ({}, torch.sigmoid),
    "TANH": ({}, torch.tanh),
    "SOFTSIGN": ({}, F.softsign),
    "LEAKY_RELU": ({"alpha": 0.1}, lambda x: F.leaky_relu(x, 0.1)),
    "ELU": ({"alpha": 1.0}, F.elu),
    "CLIP": ({"alpha": -1.0, "beta": 2.0}, lambda x: x.clamp(-1, 2)),
    "HARD_SIGMOID": ({"alpha": 0.2, "beta": 0.5}, lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "SOFTPLUS": ({"alpha": 1.0, "beta": 1.0}, F.softplus),
}


def activation(c):
    name = c.pick(ACTIVATIONS)
    attributes, reference = ACTIVATIONS[name]
    return c.apply(
        lambda: with_attributes(c.net.add_activation(c.tensor, getattr(trt.ActivationType, name)), **attributes),
        lambda a: reference(t(a)),
    )


UNARIES = {
    "ABS": np.abs,
    "NEG": np.negative,
    "SIN": np.sin,
    "COS": np.cos,
    "ATAN": np.arctan,
    "ASINH": np.arcsinh,
    "EXP": np.exp,
}


def unary(c):
    name = c.pick(UNARIES)
    return c.apply(lambda: c.net.add_unary(c.tensor, getattr(trt.UnaryOperation, name)), UNARIES[name])


ELEMENTWISE = {"SUM": np.add, "SUB": np.subtract, "PROD": np.multiply, "MAX": np.maximum, "MIN": np.minimum}


def with_constant(c):
    """An element-wise operation with a constant that is repeated along some axes."""
    name = c.pick(ELEMENTWISE)
    shape = [c.arrays[0].shape[i] if c.fixed(i) and c.choose(0, 1) else 1 for i in range(c.rank)]
    array = c.weights(*shape)
    return c.apply(
        lambda: c.net.add_elementwise(c.tensor, c.constant(array), getattr(trt.ElementWiseOperation, name)),
        lambda a: ELEMENTWISE[name](a, array),
    )


def with_earlier(c):
    """A branch: with an earlier tensor of the same shapes."""
    name = c.pick(ELEMENTWISE)
    same = [(x, arrays) for x, arrays in c.earlier if [a.shape for a in arrays] == [a.shape for a in c.arrays]]
    same = [(x, arrays) for x, arrays in same if tuple(x.shape) == tuple(c.tensor.shape)]
    other, arrays = c.pick(same)
    table = {id(a): b for a, b in zip(c.arrays, arrays, strict=True)}
    return c.apply(
        lambda: c.net.add_elementwise(c.tensor, other, getattr(trt.ElementWiseOperation, name)),
        lambda a: ELEMENTWISE[name](a, table[id(a)]),
    )


REDUCES = {"SUM": np.sum, "AVG": np.mean, "MAX": np.max, "MIN": np.min}


def reduction(c):
    if c.rank < 2:
        return False
    name, keep = c.pick(REDUCES), bool(c.choose(0, 1)) or c.rank == 2
    axes = tuple(sorted({c.choose(0, c.rank - 1) for _ in range(c.choose(1, 2))}))
    if c.rank - len(axes) < 2 and not keep:
        return False
    return c.apply(
        lambda: c.net.add_reduce(c.tensor, getattr(trt.ReduceOperation, name), sum(1 << a for a in axes), keep),
        lambda a: REDUCES[name](a, axis=axes, keepdims=keep),
    )


def softmax(c):
    axis = c.choose(0, c.rank - 1)
    return c.apply(
        lambda: with_attributes(c.net.add_softmax(c.tensor), axes=1 << axis), lambda a: torch.softmax(t(a), axis)
    )


def transpose(c):
    order = c.chance.sample(range(c.rank), c.rank)
    return c.apply(
        lambda: with_attributes(c.net.add_shuffle(c.tensor), first_transpose=trt.Permutation(order)),
        lambda a: a.transpose(order),
    )


def flatten(c):
    """The sizes behind one axis become one; zeros keep what is before it."""
    if c.rank < 3:
        return False
    keep = c.choose(1, c.rank - 2)
    if sum(not c.fixed(i) for i in range(keep, c.rank)) > 1:
        return False
    shape = [0] * keep + [-1]
    return c.apply(
        lambda: with_attributes(c.net.add_shuffle(c.tensor), reshape_dims=shape),
        lambda a: a.reshape(*a.shape[:keep], -1),
    )


def split_axis(c):
    """One fixed size becomes two."""
    axes = [i for i in c.fixed_axes() if c.arrays[0].shape[i] % 2 == 0]
    if not axes or c.rank > 4:
        return False
    axis = c.pick(axes)
    half = c.arrays[0].shape[axis] // 2
    if any(not c.fixed(i) for i in range(axis + 1, c.rank)):
        return False
    tail = [c.arrays[0].shape[i] for i in range(axis + 1, c.rank)]
    return c.apply(
        lambda: with_attributes(c.net.add_shuffle(c.tensor), reshape_dims=[0] * axis + [2, half, *tail]),
        lambda a: a.reshape(*a.shape[:axis], 2, half, *tail),
    )


def slice_part(c):
    """A part, and steps, along the fixed axes; a network with a dynamic one is left alone."""
    if len(c.fixed_axes()) < c.rank:
        return False
    shape = c.arrays[0].shape
    start = [c.choose(0, d - 1) for d in shape]
    step = [c.choose(1, 2) for _ in shape]
    size = [c.choose(1, (d - s + k - 1) // k) for d, s, k in zip(shape, start, step, strict=True)]
    parts = tuple(slice(s, s + n * k, k) for s, n, k in zip(start, size, step, strict=True))
    return c.apply(lambda: c.net.add_slice(c.tensor, start, size, step), lambda a: a[parts])


def concatenation(c):
    axis = c.choose(0, c.rank - 1)
    return c.apply(
        lambda: with_attributes(c.net.add_concatenation([c.tensor, c.tensor]), axis=axis),
        lambda a: np.concatenate([a, a], axis),
    )


def matrix_product(c):
    if c.rank < 2 or not c.fixed(c.rank - 1):
        return False
    inner, outer, turned = c.arrays[0].shape[-1], c.choose(1, 6), bool(c.choose(0, 1))
    matrix = c.weights(*[1] * (c.rank - 2), inner, outer)
    stored = np.ascontiguousarray(matrix.swapaxes(-1, -2)) if turned else matrix
    KEPT.append(stored)
    ops = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE if turned else trt.MatrixOperation.NONE
    return c.apply(
        lambda: c.net.add_matrix_multiply(c.tensor, ops[0], c.constant(stored), ops[1]), lambda a: a @ matrix
    )


def scale(c):
    if c.rank != 4 or not c.fixed(1):
        return False
    channels = c.arrays[0].shape[1]
    factor, shift = c.weights(channels, low=0.5, high=1.5), c.weights(channels)
    return c.apply(
        lambda: c.net.add_scale(c.tensor, trt.ScaleMode.CHANNEL, shift, factor),
        lambda a: a * factor[:, None, None] + shift[:, None, None],
    )


def normalization(c):
    if c.rank < 2 or not c.fixed(c.rank - 1) or c.arrays[0].shape[-1] < 3:
        return False
    size, shape = c.arrays[0].shape[-1], [1] * (c.rank - 1) + [c.arrays[0].shape[-1]]
    factor, shift = c.weights(*shape, low=0.5, high=1.5), c.weights(*shape)
    return c.apply(
        lambda: with_attributes(
            c.net.add_normalization(c.tensor, c.constant(factor), c.constant(shift), 1 << (c.rank - 1)), epsilon=0.1
        ),
        lambda a: F.layer_norm(t(a), (size,), t(factor.ravel()), t(shift.ravel()), 0.1),
    )


def largest(c):
    axis = c.choose(0, c.rank - 1)
    if c.rank < 2 or not c.fixed(axis):
        return False
    k, up = c.choose(1, min(4, c.arrays[0].shape[axis])), bool(c.choose(0, 1))
    kind = trt.TopKOperation.MAX if up else trt.TopKOperation.MIN
    return c.apply(
        lambda: c.net.add_topk(c.tensor, kind, k, 1 << axis),
        lambda a: np.take(
            np.sort(a, axis)[(slice(None),) * axis + (slice(None, None, -1 if up else 1),)], range(k), axis
        ),
    )


def gather(c):
    axes = c.fixed_axes()
    if not axes:
        return False
    axis = c.pick(axes)
    picks = np.array([c.choose(0, c.arrays[0].shape[axis] - 1) for _ in range(c.choose(1, 3))], np.int32)
    KEPT.append(picks)
    return c.apply(lambda: c.net.add_gather(c.tensor, c.constant(picks), axis), lambda a: np.take(a, picks, axis))


def select(c):
    """x where x > 0.1, else minus x over 2."""
    level, factor = np.full([1] * c.rank, 0.1, np.float32), np.full([1] * c.rank, -0.5, np.float32)
    KEPT.extend((level, factor))

    def layer():
        truth = c.net.add_elementwise(c.tensor, c.constant(level), trt.ElementWiseOperation.GREATER).get_output(0)
        other = c.net.add_elementwise(c.tensor, c.constant(factor), trt.ElementWiseOperation.PROD).get_output(0)
        return c.net.add_select(truth, c.tensor, other)

    if any((np.abs(a - level) < 1e-3).any() for a in c.arrays):  # a rounding error could turn the comparison
        return False
    return c.apply(layer, lambda a: np.where(a > level, a, a * factor))


def identity(c):
    return c.apply(lambda: c.net.add_identity(c.tensor), lambda a: a)


STEPS = {
    f.__name__: f
    for f in (
        convolution,
        deconvolution,
        pooling,
        activation,
        unary,
        with_constant,
        with_earlier,
        reduction,
        softmax,
        transpose,
        flatten,
        split_axis,
        slice_part,
        concatenation,
        matrix_product,
        scale,
        normalization,
        largest,
        gather,
        select,
        identity,
    )
}


def shapes(chance):
    """(min, opt, max): three shapes of one rank; each size is one number in all three, or grows."""
    sizes = []
    for axis in range(chance.choice([2, 3, 4, 4, 4])):
        top = 4 if axis == 0 else 9
        grows = chance.random() < 0.35
        sizes.append(sorted(chance.randint(1, top) for _ in range(3)) if grows else [chance.randint(1, top)] * 3)
    return [tuple(s[i] for s in sizes) for i in range(3)]


@functools.cache
def counted():
    """How many examples ran, and with which layers."""
    return Counter()


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**31), length=st.integers(1, 9))
@example(seed=3, length=3)
@example(seed=5543129, length=9)
def test_random_network(seed, length):
    """Shapes and numbers at the smallest, usual and largest shape of the profile."""
    try:
        counted().update(one_network(seed, length))
    except Exception as problem:
        if not ON_GPU:
            raise
        differences()[seed, length] = f"{type(problem).__name__}: {str(problem).strip()[:400]}"


def one_network(seed, length):
    """Build a random network and compare it with its reference; the layers it has, and "examples"."""
    KEPT.clear()
    chance, used = random.Random(seed), []
    low, usual, high = shapes(chance)
    net = network()
    given_shape = tuple(a if a == b == c else -1 for a, b, c in zip(low, usual, high, strict=True))
    x = net.add_input("x", trt.float32, given_shape)
    generator = np.random.default_rng(seed)
    arrays = [generator.uniform(-2, 2, s).astype(np.float32) for s in (low, usual, high)]
    chain = Chain(net, chance, x, arrays)
    while len(used) < length:
        name = chance.choice(list(STEPS))
        if STEPS[name](chain):
            used.append(name)
    middle = chain.earlier[len(chain.earlier) // 2] if chance.random() < 0.3 else None  # a second output
    wanted = {"y": (chain.tensor, chain.arrays)} | (
        {"middle": middle} if middle and middle[0] not in (x, chain.tensor) else {}
    )
    for name, (tensor, _) in wanted.items():
        tensor.name = name
        net.mark_output(tensor)
        assert_fits(tuple(tensor.shape), [a.shape for a in wanted[name][1]])
    engine = engine_of(net, {"x": (low, usual, high)} if -1 in given_shape else None)
    for number in range(3 if -1 in given_shape else 1):
        found = run(engine, {"x": arrays[number]})
        for name, (_, references) in wanted.items():
            close(found[name], references[number], 1e-3, f"{used} on {arrays[number].shape}")
    return [*used, "examples"]


@functools.cache
def differences():
    """Example -> how it differs from the reference; kept on a GPU, so that one run shows all of them."""
    return {}


def assert_fits(shape, references):
    """The network's shape has every size of the references, or -1."""
    for reference in references:
        assert len(shape) == len(reference)
        assert all(d in (-1, n) for d, n in zip(shape, reference, strict=True)), (shape, reference)


def test_every_kind_of_layer_was_tried():
    """The random networks together used every step (with enough examples)."""
    new = {example: text for example, text in differences().items() if example not in DIFFERS}
    tell("property", "counts", counts=dict(counted()), differences={str(k): v for k, v in differences().items()})
    total = counted()["examples"] + len(differences())
    print(f"{counted()['examples']} of {total} networks agree with the reference")
    assert not new, new
    print(dict(counted()))
    if EXAMPLES >= 150 and counted()["examples"] >= EXAMPLES:
        assert set(STEPS) <= set(counted())
