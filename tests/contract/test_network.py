"""What a network tells while it is being defined: layers, names, types, counts, shapes, and what it refuses."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from trt_lessons import compat

from .networks import build, close, engine_of, errors_since, has_errors, log, names_of, network, numbers, run, tell, trt

KERNEL, BIAS, DENSE = numbers(8, 3, 3, 3, seed=1), numbers(8, seed=2), numbers(1, 8, 10, seed=3)
ONE = np.ones(1, np.float32)


@functools.cache
def small():
    """Convolution, ReLU, average, shuffle, matrix product, softmax; batch dynamic."""
    net = network()
    x = net.add_input("image", trt.float32, (-1, 3, 16, 16))
    conv = net.add_convolution_nd(x, 8, (3, 3), KERNEL, BIAS)
    conv.name = "stem"
    relu = net.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    mean = net.add_reduce(relu.get_output(0), trt.ReduceOperation.AVG, (1 << 2) | (1 << 3), True)
    flat = net.add_shuffle(mean.get_output(0))
    flat.reshape_dims = (0, 1, 8)
    weights = net.add_constant((1, 8, 10), DENSE)
    dense = net.add_matrix_multiply(
        flat.get_output(0), trt.MatrixOperation.NONE, weights.get_output(0), trt.MatrixOperation.NONE
    )
    soft = net.add_softmax(dense.get_output(0))
    soft.axes = 1 << 2
    soft.get_output(0).name = "probability"
    net.mark_output(soft.get_output(0))
    return net, x, [conv, relu, mean, flat, weights, dense, soft]


KINDS = ["CONVOLUTION", "ACTIVATION", "REDUCE", "SHUFFLE", "CONSTANT", "MATRIX_MULTIPLY", "SOFTMAX"]
SHAPES = [(-1, 8, 14, 14), (-1, 8, 14, 14), (-1, 8, 1, 1), (-1, 1, 8), (1, 8, 10), (-1, 1, 10), (-1, 1, 10)]


def test_counts():
    net = small()[0]
    assert (net.num_layers, net.num_inputs, net.num_outputs, len(net)) == (7, 1, 1, 7)


@pytest.mark.parametrize("index", range(7), ids=KINDS)
def test_layer_type(index):
    assert small()[0].get_layer(index).type == getattr(trt.LayerType, KINDS[index])


@pytest.mark.parametrize("index", range(7), ids=KINDS)
def test_shape(index):
    assert tuple(small()[2][index].get_output(0).shape) == SHAPES[index]


@pytest.mark.parametrize("index", range(7), ids=KINDS)
def test_default_name(index):
    """Until it is given one, a layer's name is its number and kind, in TensorRT's spelling."""
    name = small()[0].get_layer(index).name
    kinds = ("Convolution", "Activation", "Reduce", "Shuffle", "Constant", "Matrix Multiply", "Softmax")
    tell("names", KINDS[index], layer=name, output=small()[2][index].get_output(0).name)
    assert name == ("stem" if index == 0 else f"(Unnamed Layer* {index}) [{kinds[index]}]")


def test_output_names():
    net, _, layers = small()
    assert net.get_output(0).name == "probability"
    assert layers[1].get_output(0).name.endswith("_output")


def test_inputs_and_outputs_of_layers():
    _, x, layers = small()
    assert [layer.num_inputs for layer in layers] == [1, 1, 1, 1, 0, 2, 1]
    assert all(layer.num_outputs == 1 for layer in layers)
    assert layers[0].get_input(0).name == x.name == "image"
    assert layers[0].get_output(0).name == layers[1].get_input(0).name


def test_iteration_gives_every_layer():
    net = small()[0]
    assert (
        [layer.type for layer in net] == [net[i].type for i in range(7)] == [getattr(trt.LayerType, k) for k in KINDS]
    )


def test_get_layer_gives_the_base_class():
    """get_layer returns an ILayer; assigning __class__ shows a convolution's own attributes."""
    layer = small()[0].get_layer(0)
    assert not hasattr(layer, "kernel_size_nd")
    layer.__class__ = trt.IConvolutionLayer
    assert tuple(layer.kernel_size_nd) == (3, 3)
    assert layer.num_output_maps == 8


def test_attributes_read_back():
    conv = small()[2][0]
    assert (tuple(conv.stride_nd), tuple(conv.padding_nd), tuple(conv.dilation_nd), conv.num_groups) == (
        (1, 1),
        (0, 0),
        (1, 1),
        1,
    )
    same_numbers(conv.kernel, KERNEL.ravel())
    same_numbers(conv.bias, BIAS)


def same_numbers(found, wanted):
    """Flat, and equal (8.6's binding was made for NumPy 1: under NumPy 2 its arrays repeat their first element)."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if compat.version() < (10, 0) and int(np.__version__.split(".")[0]) >= 2:
        found, wanted = found[:1], wanted[:1]
    np.testing.assert_array_equal(found, wanted)


def test_tensor_flags():
    net, x, layers = small()
    assert x.is_network_input
    assert not x.is_network_output
    assert net.get_output(0).is_network_output
    assert not layers[0].get_output(0).is_network_output


def test_types():
    assert {layer.get_output(0).dtype for layer in small()[2]} == {trt.float32}


def test_top_k_has_two_outputs():
    net = network()
    layer = net.add_topk(net.add_input("x", trt.float32, (2, 9)), trt.TopKOperation.MAX, 4, 1 << 1)
    assert layer.num_outputs == 2
    assert tuple(layer.get_output(1).shape) == (2, 4)
    assert layer.get_output(1).dtype == trt.int32


def test_shape_changes_with_an_attribute():
    """Setting a stride changes the shapes that follow."""
    net = network()
    conv = net.add_convolution_nd(net.add_input("x", trt.float32, (1, 3, 16, 16)), 8, (3, 3), KERNEL, BIAS)
    relu = net.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    assert tuple(relu.get_output(0).shape) == (1, 8, 14, 14)
    conv.stride_nd, conv.padding_nd = (2, 2), (1, 1)
    assert tuple(relu.get_output(0).shape) == (1, 8, 8, 8)


def test_shape_changes_with_the_input():
    net = network()
    x = net.add_input("x", trt.float32, (1, 3, 16, 16))
    y = net.add_activation(x, trt.ActivationType.RELU).get_output(0)
    x.shape = (4, 3, 8, -1)
    assert tuple(x.shape) == tuple(y.shape) == (4, 3, 8, -1)


def test_set_input_rewires():
    """A layer can be given another input."""
    net = network()
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.float32, (2, 3))
    total = net.add_elementwise(a, a, trt.ElementWiseOperation.SUB)
    total.set_input(1, b)
    net.mark_output(total.get_output(0))
    x, y = numbers(2, 3), numbers(2, 3, seed=9)
    (found,) = run(engine_of(net), {"a": x, "b": y}).values()
    close(found, x - y, 1e-6)


def test_layers_in_any_order():
    """A layer may use the output of one that was added after it."""
    net = network()
    x = net.add_input("x", trt.float32, (2, 3))
    first = net.add_elementwise(x, x, trt.ElementWiseOperation.SUM)
    second = net.add_unary(x, trt.UnaryOperation.NEG)
    first.set_input(1, second.get_output(0))
    net.mark_output(first.get_output(0))
    (found,) = run(engine_of(net), {"x": numbers(2, 3)}).values()
    close(found, np.zeros((2, 3), np.float32), 1e-6)


def test_intermediate_output():
    """Any tensor can be marked as an output as well."""
    net = network()
    x = net.add_input("x", trt.float32, (2, 3))
    inner = net.add_unary(x, trt.UnaryOperation.ABS).get_output(0)
    inner.name = "inner"
    outer = net.add_unary(inner, trt.UnaryOperation.NEG).get_output(0)
    outer.name = "outer"
    for tensor in (inner, outer):
        net.mark_output(tensor)
    engine = engine_of(net)
    assert set(names_of(engine)[1]) == {"inner", "outer"}
    array = numbers(2, 3)
    found = run(engine, {"x": array})
    close(found["inner"], np.abs(array), 1e-6)
    close(found["outer"], -np.abs(array), 1e-6)


def test_unmark_output():
    net = network()
    x = net.add_input("x", trt.float32, (2, 3))
    tensors = [net.add_unary(x, op).get_output(0) for op in (trt.UnaryOperation.ABS, trt.UnaryOperation.NEG)]
    for tensor in tensors:
        net.mark_output(tensor)
    net.unmark_output(tensors[0])
    assert net.num_outputs == 1
    assert net.get_output(0).name == tensors[1].name


def test_network_name():
    net = network()
    net.name = "a name"
    assert net.name == "a name"


def test_dims_compare_with_tuples():
    shape = small()[1].shape
    assert tuple(shape) == (-1, 3, 16, 16)
    assert len(shape) == 4
    assert shape[0] == -1


def test_volume_and_nptype():
    assert trt.volume((2, 3, 4)) == 24
    assert trt.nptype(trt.float32) == np.float32
    assert trt.nptype(trt.float16) == np.float16
    assert trt.nptype(trt.int32) == np.int32


@pytest.mark.parametrize("kind", ["float32", "float16", "int32", "int8"])
def test_weights(kind):
    """Weights know their type and size and give the numbers back."""
    array = np.arange(6).astype(kind)
    weights = trt.Weights(array)
    assert (weights.size, weights.nbytes) == (6, array.nbytes)
    assert trt.nptype(weights.dtype) == array.dtype
    same_numbers(weights.numpy(), array)


def test_float64_weights_are_refused():
    with pytest.raises((ValueError, TypeError)):
        trt.Weights(np.zeros(3, np.float64))


def mismatch(net):
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.float32, (4, 5))
    return net.add_elementwise(a, b, trt.ElementWiseOperation.SUM)


def ranks(net):
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.float32, (2, 2, 3))
    return net.add_elementwise(a, b, trt.ElementWiseOperation.SUM)


def kinds(net):
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.int32, (2, 3))
    return net.add_elementwise(a, b, trt.ElementWiseOperation.SUM)


def product(net):
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.float32, (4, 5))
    return net.add_matrix_multiply(a, trt.MatrixOperation.NONE, b, trt.MatrixOperation.NONE)


def kernel(net):
    return net.add_convolution_nd(net.add_input("a", trt.float32, (1, 5, 8, 8)), 8, (3, 3), KERNEL, BIAS)


def volume(net):
    layer = net.add_shuffle(net.add_input("a", trt.float32, (2, 3)))
    layer.reshape_dims = (4, 5)
    return layer


def joined(net):
    a, b = net.add_input("a", trt.float32, (2, 3)), net.add_input("b", trt.float32, (4, 5))
    layer = net.add_concatenation([a, b])
    layer.axis = 0
    return layer


WRONG = {f.__name__: f for f in (mismatch, ranks, kinds, product, kernel, volume, joined)}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layer_is_not_built(name):
    """A layer that makes no sense: an error in the log, and None from the builder."""
    net, mark = network(), len(log().records)
    layer = WRONG[name](net)
    if layer is not None:
        net.mark_output(layer.get_output(0))
        plan = build(net)
        assert plan is None
    tell("network", name, layer=None if layer is None else layer.name, records=log().records[mark:])
    assert has_errors(mark), errors_since(mark)


def test_right_network_logs_no_error():
    mark = len(log().records)
    assert build(small()[0], {"image": ((1, 3, 16, 16), (2, 3, 16, 16), (4, 3, 16, 16))}) is not None
    assert errors_since(mark) == []
