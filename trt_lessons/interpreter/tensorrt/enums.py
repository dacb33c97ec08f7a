"""Stands for TensorRT's enumerations: same names and same integers as in TensorRT 11.4."""

from __future__ import annotations

import enum


class _Enum(enum.Enum):
    """Prints and converts as TensorRT's enumerations do; not an int, so build masks with `1 << int(x)`."""

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


class DataType(_Enum):
    """Element types. `itemsize` is in bytes (4-bit types count half a byte, as TensorRT 11 has it)."""

    FLOAT, HALF, BF16, INT8, INT32, INT64 = 0, 1, 7, 2, 3, 8
    BOOL, UINT8, FP8, INT4, FP4, E8M0 = 4, 5, 6, 9, 10, 11

    @property
    def itemsize(self) -> float:
        wide = {"FLOAT": 4, "INT32": 4, "INT64": 8, "HALF": 2, "BF16": 2, "INT4": 0.5, "FP4": 0.5}
        return wide.get(self.name, 1)


def _make(name: str, members: str) -> type[_Enum]:
    """An enumeration from words: `A B=5 C` is A=0, B=5, C=6."""
    values, following = {}, 0
    for word in members.split():
        label, _, number = word.partition("=")
        following = int(number) if number else following
        values[label] = following
        following += 1
    kind = _Enum(name, values)
    kind.__doc__ = f"TensorRT's `{name}`."
    return kind


Severity = _make("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
LayerType = _make(
    "LayerType",
    "CONVOLUTION CAST ACTIVATION POOLING LRN SCALE SOFTMAX DECONVOLUTION CONCATENATION ELEMENTWISE PLUGIN UNARY "
    "PADDING SHUFFLE REDUCE TOPK GATHER MATRIX_MULTIPLY RAGGED_SOFTMAX CONSTANT IDENTITY PLUGIN_V2 SLICE SHAPE "
    "PARAMETRIC_RELU RESIZE TRIP_LIMIT RECURRENCE ITERATOR LOOP_OUTPUT SELECT FILL QUANTIZE DEQUANTIZE CONDITION "
    "CONDITIONAL_INPUT CONDITIONAL_OUTPUT SCATTER EINSUM ASSERTION ONE_HOT NON_ZERO GRID_SAMPLE NMS "
    "REVERSE_SEQUENCE NORMALIZATION PLUGIN_V3 SQUEEZE UNSQUEEZE CUMULATIVE DYNAMIC_QUANTIZE",
)
TensorIOMode = _make("TensorIOMode", "NONE INPUT OUTPUT")
TensorLocation = _make("TensorLocation", "DEVICE HOST")
TensorFormat = _make(
    "TensorFormat", "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32 DHWC8 CDHW32 HWC DLA_LINEAR DLA_HWC4 HWC16 DHWC"
)
BuilderFlag = _make(
    "BuilderFlag",
    "DEBUG=2 GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS SAFETY_SCOPE DIRECT_IO=11 "
    "VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME ERROR_ON_TIMING_CACHE_MISS=15 DISABLE_COMPILATION_CACHE=17 "
    "STRIP_PLAN REFIT_IDENTICAL WEIGHT_STREAMING REFIT_INDIVIDUAL=22 STRICT_NANS MONITOR_MEMORY "
    "EDITABLE_TIMING_CACHE=26 DISTRIBUTIVE_INDEPENDENCE",
)
MemoryPoolType = _make(
    "MemoryPoolType", "WORKSPACE DLA_MANAGED_SRAM DLA_LOCAL_DRAM DLA_GLOBAL_DRAM TACTIC_DRAM TACTIC_SHARED_MEMORY"
)
ProfilingVerbosity = _make("ProfilingVerbosity", "LAYER_NAMES_ONLY NONE DETAILED")
HardwareCompatibilityLevel = _make("HardwareCompatibilityLevel", "NONE AMPERE_PLUS SAME_COMPUTE_CAPABILITY")
TacticSource = _make("TacticSource", "EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS")
TilingOptimizationLevel = _make("TilingOptimizationLevel", "NONE FAST MODERATE FULL")
PreviewFeature = _make("PreviewFeature", "ALIASED_PLUGIN_IO_10_03 RUNTIME_ACTIVATION_RESIZE_10_10")
NetworkDefinitionCreationFlag = _make(
    "NetworkDefinitionCreationFlag", "STRONGLY_TYPED PREFER_JIT_PYTHON_PLUGINS PREFER_AOT_PYTHON_PLUGINS"
)
ActivationType = _make(
    "ActivationType",
    "RELU SIGMOID TANH LEAKY_RELU ELU SELU SOFTSIGN SOFTPLUS CLIP HARD_SIGMOID SCALED_TANH THRESHOLDED_RELU "
    "GELU_ERF GELU_TANH",
)
PoolingType = _make("PoolingType", "MAX AVERAGE MAX_AVERAGE_BLEND")
PaddingMode = _make("PaddingMode", "EXPLICIT_ROUND_DOWN EXPLICIT_ROUND_UP SAME_UPPER SAME_LOWER")
ElementWiseOperation = _make(
    "ElementWiseOperation", "SUM PROD MAX MIN SUB DIV POW FLOOR_DIV AND OR XOR EQUAL GREATER LESS"
)
UnaryOperation = _make(
    "UnaryOperation",
    "EXP LOG SQRT RECIP ABS NEG SIN COS TAN SINH COSH ASIN ACOS ATAN ASINH ACOSH ATANH CEIL FLOOR ERF NOT SIGN "
    "ROUND ISINF ISNAN",
)
ReduceOperation = _make("ReduceOperation", "SUM PROD MAX MIN AVG NONE")
TopKOperation = _make("TopKOperation", "MAX MIN")
ScaleMode = _make("ScaleMode", "UNIFORM CHANNEL ELEMENTWISE")
MatrixOperation = _make("MatrixOperation", "NONE TRANSPOSE VECTOR")
GatherMode = _make("GatherMode", "DEFAULT ELEMENT ND")
InterpolationMode = _make("InterpolationMode", "NEAREST LINEAR CUBIC")
ResizeCoordinateTransformation = _make("ResizeCoordinateTransformation", "ALIGN_CORNERS ASYMMETRIC HALF_PIXEL")
ResizeRoundMode = _make("ResizeRoundMode", "HALF_UP HALF_DOWN FLOOR CEIL")
SampleMode = _make("SampleMode", "STRICT_BOUNDS WRAP CLAMP FILL REFLECT")
LayerInformationFormat = _make("LayerInformationFormat", "ONELINE JSON")
OnnxParserFlag = _make("OnnxParserFlag", "NATIVE_INSTANCENORM")
WeightsRole = _make("WeightsRole", "KERNEL BIAS SHIFT SCALE CONSTANT ANY")
DeviceType = _make("DeviceType", "GPU DLA")
EngineCapability = _make("EngineCapability", "STANDARD SAFETY DLA_STANDALONE")
EngineStat = _make("EngineStat", "TOTAL_WEIGHTS_SIZE STRIPPED_WEIGHTS_SIZE")
ExecutionContextAllocationStrategy = _make(
    "ExecutionContextAllocationStrategy", "STATIC ON_PROFILE_CHANGE USER_MANAGED"
)
SerializationFlag = _make("SerializationFlag", "EXCLUDE_WEIGHTS EXCLUDE_LEAN_RUNTIME INCLUDE_REFIT")
ErrorCode = _make(
    "ErrorCode",
    "SUCCESS INTERNAL_ERROR MEM_ALLOC_FAILED MODEL_DESERIALIZE_FAILED INVALID_VALUE INVALID_GRAPH INVALID_NODE "
    "UNSUPPORTED_GRAPH UNSUPPORTED_NODE UNSUPPORTED_NODE_ATTR UNSUPPORTED_NODE_INPUT UNSUPPORTED_NODE_DATATYPE "
    "UNSUPPORTED_NODE_DYNAMIC UNSUPPORTED_NODE_SHAPE REFIT_FAILED",
)
ErrorCodeTRT = _make(
    "ErrorCodeTRT",
    "SUCCESS UNSPECIFIED_ERROR INTERNAL_ERROR INVALID_ARGUMENT INVALID_CONFIG FAILED_ALLOCATION "
    "FAILED_INITIALIZATION FAILED_EXECUTION FAILED_COMPUTATION INVALID_STATE UNSUPPORTED_STATE",
)

__all__ = [
    name for name, kind in globals().items() if isinstance(kind, type) and name[0].isupper() and name != "Severity"
]
