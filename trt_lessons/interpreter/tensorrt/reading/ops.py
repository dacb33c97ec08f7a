"""The ops that the interpreter reads, by the kind of layer each becomes, and what to say of the others."""

from __future__ import annotations

from onnx import NodeProto

from .rules import graphs_of

OPS_BY_KIND = {
    "CONVOLUTION": "Conv", "DECONVOLUTION": "ConvTranspose", "POOLING": "MaxPool AveragePool LpPool",
    "REDUCE": "GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd "
              "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare LpNormalization",
    "ACTIVATION": "Relu Sigmoid Tanh LeakyRelu Elu Selu Softplus Softsign HardSigmoid HardSwish Clip ThresholdedRelu "
                  "Gelu Mish Swish",
    "PARAMETRIC_RELU": "PRelu", "SOFTMAX": "Softmax LogSoftmax", "MATRIX_MULTIPLY": "MatMul Gemm", "EINSUM": "Einsum",
    "ELEMENTWISE": "Add Sub Mul Div Pow Max Min And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Mod Sum Mean "
                   "RotaryEmbedding",
    "UNARY": "Exp Log Sqrt Reciprocal Abs Neg Sin Cos Tan Sinh Cosh Asin Acos Atan Asinh Acosh Atanh Ceil Floor Erf "
             "Not Sign Round IsInf IsNaN",
    "SHUFFLE": "Reshape Flatten Transpose DepthToSpace SpaceToDepth", "SQUEEZE": "Squeeze", "UNSQUEEZE": "Unsqueeze",
    "CONCATENATION": "Concat", "SLICE": "Slice Split Expand Pad Tile", "GATHER": "Gather GatherElements GatherND",
    "SHAPE": "Shape Size", "CAST": "Cast CastLike", "IDENTITY": "Identity Dropout", "SCALE": "BatchNormalization",
    "NORMALIZATION": "LayerNormalization GroupNormalization InstanceNormalization RMSNormalization "
                     "MeanVarianceNormalization",
    "RESIZE": "Resize Upsample", "SELECT": "Where Trilu Celu Shrink", "TOPK": "TopK ArgMax ArgMin",
    "QUANTIZE": "QuantizeLinear", "DEQUANTIZE": "DequantizeLinear", "NMS": "NonMaxSuppression",
    "FILL": "ConstantOfShape Range RandomNormal RandomNormalLike RandomUniform RandomUniformLike EyeLike HannWindow "
            "HammingWindow BlackmanWindow",
    "NON_ZERO": "NonZero", "LRN": "LRN", "SCATTER": "Scatter ScatterND ScatterElements TensorScatter",
    "ONE_HOT": "OneHot Hardmax", "CUMULATIVE": "CumSum", "RECURRENCE": "LSTM GRU RNN",
    "REVERSE_SEQUENCE": "ReverseSequence", "GRID_SAMPLE": "GridSample", "CONSTANT": "Constant", "CONDITION": "If",
    "TRIP_LIMIT": "Loop Scan", "PLUGIN_V3": "RoiAlign",
}  # fmt: skip
KIND_OF = {op: kind for kind, ops in OPS_BY_KIND.items() for op in ops.split()}
# Ops whose constant inputs are tensors of the network (constant layers); elsewhere they are the layer's weights.
TENSOR_OPS = {*OPS_BY_KIND["ELEMENTWISE"].split(), "MatMul", "Gather", "Concat", "Where", "Einsum", "GatherElements"}
# What TensorRT's parser reads (or has a plugin for) and the interpreter does not compute.
TENSORRT_HAS = {*"Attention BitwiseAnd BitwiseOr BitwiseNot BitwiseXor DeformConv STFT".split()}


def unknown_op(node: NodeProto) -> str:
    """What to say of an op, here or in a graph inside it, that is not read; empty where all are."""
    if node.domain not in ("", "ai.onnx"):
        return f"the interpreter computes no {node.domain}::{node.op_type}, and no plugin of that name was found"
    if node.op_type in TENSORRT_HAS and node.op_type not in KIND_OF:
        return f"the interpreter computes no {node.op_type}; TensorRT has it"
    if node.op_type not in KIND_OF:
        return f"TensorRT's parser does not read the op {node.op_type}, and no plugin of that name was found"
    return next(filter(None, (unknown_op(below) for graph in graphs_of(node) for below in graph.node)), "")
