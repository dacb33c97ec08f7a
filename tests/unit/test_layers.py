"""Names of engine layers, as TensorRT 8.6, 10 and 11 write them, and the map back to the network."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_lessons import compat, layers
from trt_lessons.compat import names as engine_names

NETWORK = [
    "/conv1/Conv",
    "/relu/Relu",
    "/layer1/conv2/Conv",
    "/layer1/Add",
    "/layer1/relu_1/Relu",
    "/sigmoid",
    "/mul",
    "/attn/MatMul",
    "/attn/Div",
    "/attn/Softmax",
    "/attn/MatMul_1",
    "/Flatten",
    "/fc/Gemm",
    "(Unnamed Layer* 13) [Constant]",
    "a + b",
]


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("/conv1/Conv", ["/conv1/Conv"]),
        ("/conv1/Conv + /relu/Relu", ["/conv1/Conv", "/relu/Relu"]),
        ("PWN(PWN(/sigmoid), /mul)", ["/sigmoid", "/mul"]),
        ("PWN(/sigmoid + /mul)", ["/sigmoid", "/mul"]),
        ("PWN(/layer1/Add, PWN(PWN(/sigmoid), /mul))", ["/layer1/Add", "/sigmoid", "/mul"]),
        ("/conv1/Conv + PWN(PWN(/sigmoid), /mul)", ["/conv1/Conv", "/sigmoid", "/mul"]),
        (
            "{ForeignNode[/attn/MatMul.../attn/Softmax]}",
            ["/attn/MatMul", "/attn/Div", "/attn/Softmax"],
        ),
        ("{ForeignNode[/attn/MatMul]}", ["/attn/MatMul"]),
        (
            "{ForeignNode[(Unnamed Layer* 99) [Shuffle].../attn/Div]}",
            ["/attn/Div"],
        ),
        ("Reformatting CopyNode for Input Tensor 0 to /conv1/Conv + /relu/Relu", []),
        ("Reformatting CopyNode for Output Tensor 0 to {ForeignNode[/attn/MatMul.../attn/Softmax]}", []),
        ("Reformatting CopyNode for Network Input image", []),
        ("[HostToDeviceCopy 0]", []),
        (
            "/layer1/conv2/Conv + /layer1/Add + /layer1/relu_1/Relu",
            ["/layer1/conv2/Conv", "/layer1/Add", "/layer1/relu_1/Relu"],
        ),
        ("/conv1/Conv || /layer1/conv2/Conv", ["/conv1/Conv", "/layer1/conv2/Conv"]),
        (
            "/conv1/Conv + /relu/Relu || /layer1/conv2/Conv",
            ["/conv1/Conv", "/relu/Relu", "/layer1/conv2/Conv"],
        ),
        ("a + b", ["a + b"]),
        ("/conv1/Conv + a + b", ["/conv1/Conv", "a + b"]),
        ("PWN(a + b, /mul)", ["/mul", "a + b"]),
        ("/fc/Gemm", ["/fc/Gemm"]),
        ("/fc/Gemm_myl0_3", ["/fc/Gemm"]),
        ("reshape_before_/fc/Gemm", ["/fc/Gemm"]),
        ("/attn/MatMul+/attn/MatMul_1_myl4_2", ["/attn/MatMul", "/attn/MatMul_1"]),
        ("(Unnamed Layer* 13) [Constant] + /mul", ["/mul", "(Unnamed Layer* 13) [Constant]"]),
        ("__myl_MulAddSoft_myl0_5", []),
    ],
)
def test_names_give_their_network_layers(name, inside):
    assert layers.origins(name, NETWORK) == inside


def test_a_name_alone_is_taken_apart():
    assert engine_names.origins("/a/Conv + PWN(/b/Sigmoid, /c/Mul)") == ["/a/Conv", "/b/Sigmoid", "/c/Mul"]
    assert engine_names.origins("{ForeignNode[/a.../b]}") == ["/a", "/b"]
    assert engine_names.origins("{ForeignNode[/a.../c]}", None, "[ONNX Layer: /a]\x1f[ONNX Layer: /b]") == [
        "/a",
        "/b",
    ]


def test_a_name_with_open_brackets_is_still_split():
    assert engine_names.origins("odd(name + /relu/Relu", ["odd(name", "/relu/Relu"]) == [
        "odd(name",
        "/relu/Relu",
    ]


def test_metadata_names_each_once():
    text = "[ONNX Layer: /a/Conv]\x1f[ONNX Layer: /b[0]/Relu]\x1e[ONNX Layer: /a/Conv]"
    assert engine_names.metadata_names(text) == ["/a/Conv", "/b[0]/Relu"]
    assert engine_names.metadata_names("") == []


def test_pieces_that_are_no_layer_are_kept_in_sight():
    parts = engine_names.parse("/conv1/Conv + mystery", NETWORK)
    assert parts.names == ["/conv1/Conv"]
    assert parts.unknown == ["mystery"]


@given(st.lists(st.sampled_from(NETWORK), min_size=1, max_size=6, unique=True), st.sampled_from([" + ", " || "]))
def test_any_fusion_of_known_layers_is_read_back(names, separator):
    assert set(layers.origins(separator.join(names), NETWORK)) == set(names)
    assert set(layers.origins(f"PWN({', '.join(names)})", NETWORK)) == set(names)


@given(st.text(max_size=60))
def test_no_name_breaks_the_parser(text):
    engine_names.origins(text)
    assert set(layers.origins(text, NETWORK)) <= set(NETWORK)


def test_every_network_layer_is_held_absorbed_or_lost():
    engine = [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to /conv1/Conv + /relu/Relu",
            "LayerType": "Reformat",
        },
        {"Name": "/conv1/Conv + /relu/Relu", "LayerType": "CaskConvolution"},
        {"Name": "/layer1/conv2/Conv + /layer1/Add + /layer1/relu_1/Relu", "LayerType": "CaskConvolution"},
        {"Name": "{ForeignNode[/attn/MatMul.../attn/MatMul_1]}", "LayerType": "Myelin"},
        {"Name": "/attn/Div", "LayerType": "PointWiseV2"},
        {"Name": "/fc/Gemm", "LayerType": "CaskGemmConvolution"},
    ]
    found = layers.fusion(NETWORK, compat.normalize_layers({"Layers": engine}))
    assert found.held["{ForeignNode[/attn/MatMul.../attn/MatMul_1]}"] == [
        "/attn/MatMul",
        "/attn/Softmax",
        "/attn/MatMul_1",
    ]
    assert found.held["/attn/Div"] == ["/attn/Div"]
    assert set(found.absorbed) == {"/Flatten", "(Unnamed Layer* 13) [Constant]"}
    assert set(found.lost) == {"/sigmoid", "/mul", "a + b"}
    assert len(found.added) == 1 and found.added[0].startswith("Reformatting")
    everything = set(found.where) | set(found.absorbed) | set(found.lost)
    assert everything == set(NETWORK)
    assert "3 lost" in repr(found) and "<table>" in found._repr_html_()


def test_the_sum_at_the_end_of_a_gemm_is_the_products_bias():
    """TensorRT 8.6 parses a Gemm to a product and an unnamed sum, and names the product only."""
    network = [
        {"name": "w", "type": "CONSTANT", "reads": [], "makes": ["w"]},
        {"name": "fc", "type": "MATRIX_MULTIPLY", "reads": ["x", "w"], "makes": ["product"]},
        {"name": "b", "type": "CONSTANT", "reads": [], "makes": ["b"]},
        {"name": "shape", "type": "SHUFFLE", "reads": ["b"], "makes": ["b2"]},
        {"name": "(Unnamed Layer* 4) [ElementWise]", "type": "ELEMENTWISE", "reads": ["product", "b2"], "makes": ["y"]},
    ]
    engine = [{"name": "fc"}, {"name": "reshape_after_fc"}]
    found = layers.fusion(network, engine)
    assert found.held["fc"] == ["fc", "(Unnamed Layer* 4) [ElementWise]"] and found.lost == []
    residual = [*network[:4], {**network[4], "reads": ["product", "x2"]}, {"name": "y2", "type": "ACTIVATION"}]
    source = {"name": "other", "type": "CONVOLUTION", "reads": ["x"], "makes": ["x2"]}
    found = layers.fusion([source, *residual], [*engine, {"name": "other + y2"}])
    assert found.lost == ["(Unnamed Layer* 4) [ElementWise]"], "a sum of two results is no bias"


def test_types_say_why_a_layer_was_absorbed():
    network = [
        {"name": "w", "type": "CONSTANT", "dtype": "FLOAT"},
        {"name": "conv", "type": "CONVOLUTION", "dtype": "FLOAT"},
        {"name": "n", "type": "ELEMENTWISE", "dtype": "INT32"},
        {"name": "k", "type": "CONSTANT", "dtype": "FLOAT", "reads": [], "makes": ["k.out"]},
        {"name": "folded", "type": "UNARY", "dtype": "FLOAT", "reads": ["k.out"], "makes": ["folded.out"]},
        {"name": "gone", "type": "CONVOLUTION", "dtype": "FLOAT"},
    ]
    found = layers.fusion(network, compat.normalize_layers({"Layers": [{"Name": "conv", "LayerType": "conv"}]}))
    assert set(found.absorbed) == {"w", "n", "k", "folded"} and found.lost == ["gone"]


def test_metadata_maps_what_the_name_does_not():
    network = [
        {"name": "/a", "type": "MATRIX_MULTIPLY", "metadata": "[ONNX Layer: /a]"},
        {"name": "/a_constant", "type": "CONSTANT", "metadata": "[ONNX Layer: /a]"},
        {"name": "/b", "type": "SOFTMAX", "metadata": "[ONNX Layer: /b]"},
    ]
    engine = [
        {
            "Name": "__myl_MulSoft_myl0_1",
            "LayerType": "kgen",
            "Metadata": "[ONNX Layer: /a]\x1f[ONNX Layer: /b]",
        }
    ]
    found = layers.fusion(network, compat.normalize_layers({"Layers": engine}))
    assert found.held["__myl_MulSoft_myl0_1"] == ["/a", "/a_constant", "/b"]
    assert not found.lost and not found.absorbed


INSPECTOR_8 = """{"Layers": [{
  "Name": "/conv1/Conv + /relu/Relu", "LayerType": "CaskConvolution",
  "Inputs": [{"Name": "x", "Location": "Device", "Dimensions": [8,1,32,32],
              "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
  "Outputs": [{"Name": "y", "Dimensions": [8,16,32,32],
               "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}],
  "ParameterType": "Convolution", "Weights": {"Type": "Half", "Count": 144},
  "Bias": {"Type": "Half", "Count": 16},
  "TacticName": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f16_f16", "TacticValue": "0x1",
  "Metadata": "[ONNX Layer: /conv1/Conv]\x1f[ONNX Layer: /relu/Relu]"
 }, {
  "Name": "PWN(/sigmoid)", "LayerType": "PointWiseV2",
  "Inputs": [{"Name": "y", "Dimensions": [8,16,32,32], "Format/Datatype": "N/A due to dynamic shapes"}],
  "Outputs": [{"Name": "z", "Dimensions": [8,16,32,32], "Format/Datatype": "Row major linear FP32"}],
  "TacticValue": "0x2"
 }], "Bindings": ["x", "z"]}"""

INSPECTOR_11 = """{"Layers": [{
  "Name": "/fc/Gemm_myl0_1", "LayerType": "gemm",
  "Inputs": [{"Name": "x", "Dimensions": [8,64], "Format": "Row major", "Datatype": "Int8"}],
  "Outputs": [{"Name": "y", "Dimensions": [8,10], "Format": "Row major", "Datatype": "Half"}],
  "TacticName": "sm90_xmma_gemm_i8i8_i8i32_f32"
 }], "I/O Tensors": [{"Name": "x"}, {"Name": "y"}]}"""


def test_inspector_of_8_6():
    conv, point = compat.normalize_layers(json.loads(INSPECTOR_8, strict=False))
    assert conv["precision"] == "FP16" and compat.is_compute(conv)
    assert conv["inputs"][0] == {
        "name": "x",
        "dims": (8, 1, 32, 32),
        "dtype": "FP16",
        "format": "Channel major FP16 format where channel % 8 == 0",
    }
    assert conv["outputs"][0]["dtype"] == "INT8"
    assert conv["origins"] == ["/conv1/Conv", "/relu/Relu"]
    assert conv["tactic"].startswith("sm80_xmma")
    assert point["precision"] == "FP32" and not compat.is_compute(point)
    assert point["inputs"][0]["dtype"] == "" and point["tactic"] == "0x2"


def test_inspector_of_11():
    (gemm,) = compat.normalize_layers(json.loads(INSPECTOR_11))
    assert (gemm["precision"], gemm["inputs"][0]["dtype"], gemm["inputs"][0]["format"]) == (
        "INT8",
        "INT8",
        "Row major",
    )
    assert compat.is_compute(gemm)


def test_inspector_of_the_interpreter():
    told = {
        "Name": "conv",
        "LayerType": "FusedConv",
        "Inputs": [],
        "Outputs": [],
        "Origins": ["a", "b"],
        "Metadata": "",
    }
    (layer,) = compat.normalize_layers({"Layers": [told], "I/O Tensors": [], "Made by": "onnxruntime"})
    assert layer["origins"] == ["a", "b"] and compat.is_compute(layer)


def test_an_engine_with_names_only_still_lists_its_layers():
    (layer,) = compat.normalize_layers({"Layers": ["a + b"], "Bindings": []})
    assert (layer["name"], layer["type"], layer["precision"], layer["origins"]) == (
        "a + b",
        "",
        "",
        ["a", "b"],
    )


def test_opaque_layers_are_known_as_such():
    (layer,) = compat.normalize_layers({"Layers": [{"Name": "{ForeignNode[a...b]}", "LayerType": "Myelin"}]})
    assert compat.is_opaque(layer) and not compat.is_compute(layer)


@pytest.mark.parametrize(
    ("words", "short"),
    [
        ("Row major linear FP16 format", "FP16"),
        ("Half", "FP16"),
        ("Float", "FP32"),
        ("float16", "FP16"),
        ("BFloat16", "BF16"),
        ("Int8", "INT8"),
        ("UInt8", "UINT8"),
        ("Row major linear INT32", "INT32"),
        ("FP8", "FP8"),
        ("Row major linear BOOL", "BOOL"),
        ("N/A due to dynamic shapes", ""),
        (None, ""),
    ],
)
def test_short_dtype(words, short):
    assert compat.short_dtype(words) == short


def test_table_shows_counts_and_survives_json():
    table = layers.Table([layers._row(x) for x in compat.normalize_layers(json.loads(INSPECTOR_8, strict=False))], "t")
    assert len(table) == 2 and table[0].bytes_moved == 8 * 1024 * 2 + 8 * 16 * 1024
    assert table[1].bytes_moved is None
    assert layers.Row("copy", "NoOp", "FP16", [], table[0].inputs).bytes_moved == 0
    assert table.count() == {"FP16": 1, "FP32": 1}
    assert "/conv1/Conv, /relu/Relu" in str(table) and "<table>" in table._repr_html_()
    again = layers.Table.from_dict(json.loads(json.dumps(table.to_dict())))
    assert str(again) == str(table) and again[0] == table[0]
    assert str(table[:1]).count("\n") == 2
