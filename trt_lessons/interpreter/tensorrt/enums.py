"""Stands for TensorRT's enumerations: same names and same integers as in TensorRT 11.4."""

from __future__ import annotations

import enum
from typing import NoReturn


class _Kind(enum.EnumMeta):
    """An enumeration of pybind11's: it can be asked for `__members__`, not iterated, counted or subscripted."""

    def __iter__(cls) -> NoReturn:
        raise TypeError(f"'{cls.__name__}' is not iterable: use __members__")

    def __len__(cls) -> NoReturn:
        raise TypeError(f"'{cls.__name__}' has no len(): use __members__")

    def __getitem__(cls, name: str) -> NoReturn:
        raise TypeError(f"'{cls.__name__}' is not subscriptable: use __members__")


class _Enum(enum.Enum, metaclass=_Kind):
    """Prints and converts as TensorRT's enumerations do; not an int, so build masks with `1 << int(x)`."""

    @classmethod
    def _missing_(cls, value: object) -> _Enum:
        if not isinstance(value, int):
            raise TypeError(f"{cls.__name__}(): incompatible constructor arguments: {value!r}")
        unknown = object.__new__(cls)
        unknown._name_, unknown._value_ = "???", value
        return unknown

    def __hash__(self) -> int:
        return self.value

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


class _Ordered(_Enum):
    """The few enumerations that can be compared by size, each with its own kind."""

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if type(other) is type(self) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.value <= other.value if type(other) is type(self) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.value > other.value if type(other) is type(self) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.value >= other.value if type(other) is type(self) else NotImplemented


_ORDERED = (
    "Severity BuilderFlag ErrorCodeTRT ExecutionContextAllocationStrategy NetworkDefinitionCreationFlag TacticSource "
    "TensorFormat EngineCapability SerializationFlag EngineStat TensorRTPhase".split()
)


class DataType(_Enum):
    """Element types. `itemsize` is in bytes (4-bit types count half a byte, as TensorRT 11 has it)."""

    FLOAT, HALF, BF16, INT8, INT32, INT64 = 0, 1, 7, 2, 3, 8
    BOOL, UINT8, FP8, INT4, FP4, E8M0 = 4, 5, 6, 9, 10, 11

    @property
    def itemsize(self) -> float:
        wide = {"FLOAT": 4, "INT32": 4, "INT64": 8, "HALF": 2, "BF16": 2, "INT4": 0.5, "FP4": 0.5}
        return wide.get(self.name, 1)


_MEMBERS = {  # `A B=5 C` is A=0, B=5, C=6
    "Severity": "INTERNAL_ERROR ERROR WARNING INFO VERBOSE",
    "LayerType": "CONVOLUTION CAST ACTIVATION POOLING LRN SCALE SOFTMAX DECONVOLUTION CONCATENATION ELEMENTWISE "
        "PLUGIN UNARY PADDING SHUFFLE REDUCE TOPK GATHER MATRIX_MULTIPLY RAGGED_SOFTMAX CONSTANT IDENTITY PLUGIN_V2 "
        "SLICE SHAPE PARAMETRIC_RELU RESIZE TRIP_LIMIT RECURRENCE ITERATOR LOOP_OUTPUT SELECT FILL QUANTIZE "
        "DEQUANTIZE CONDITION CONDITIONAL_INPUT CONDITIONAL_OUTPUT SCATTER EINSUM ASSERTION ONE_HOT NON_ZERO "
        "GRID_SAMPLE NMS REVERSE_SEQUENCE NORMALIZATION PLUGIN_V3 SQUEEZE UNSQUEEZE CUMULATIVE DYNAMIC_QUANTIZE "
        "ATTENTION_INPUT ATTENTION_OUTPUT",
    "TensorIOMode": "NONE INPUT OUTPUT",
    "TensorLocation": "DEVICE HOST",
    "TensorFormat": "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32 DHWC8 CDHW32 HWC DLA_LINEAR DLA_HWC4 HWC16 DHWC",
    "BuilderFlag": "DEBUG=2 GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS SAFETY_SCOPE DIRECT_IO=11 "
        "VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME ERROR_ON_TIMING_CACHE_MISS=15 DISABLE_COMPILATION_CACHE=17 "
        "STRIP_PLAN REFIT_IDENTICAL WEIGHT_STREAMING REFIT_INDIVIDUAL=22 STRICT_NANS MONITOR_MEMORY "
        "EDITABLE_TIMING_CACHE=26 DISTRIBUTIVE_INDEPENDENCE",
    "MemoryPoolType": "WORKSPACE DLA_MANAGED_SRAM DLA_LOCAL_DRAM DLA_GLOBAL_DRAM TACTIC_DRAM TACTIC_SHARED_MEMORY",
    "ProfilingVerbosity": "LAYER_NAMES_ONLY NONE DETAILED",
    "HardwareCompatibilityLevel": "NONE AMPERE_PLUS SAME_COMPUTE_CAPABILITY",
    "TacticSource": "EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS",
    "NetworkDefinitionCreationFlag": "STRONGLY_TYPED PREFER_JIT_PYTHON_PLUGINS PREFER_AOT_PYTHON_PLUGINS",
    "ActivationType": "RELU SIGMOID TANH LEAKY_RELU ELU SELU SOFTSIGN SOFTPLUS CLIP HARD_SIGMOID SCALED_TANH "
        "THRESHOLDED_RELU GELU_ERF GELU_TANH",
    "PoolingType": "MAX AVERAGE MAX_AVERAGE_BLEND",
    "PaddingMode": "EXPLICIT_ROUND_DOWN EXPLICIT_ROUND_UP SAME_UPPER SAME_LOWER",
    "ElementWiseOperation": "SUM PROD MAX MIN SUB DIV POW FLOOR_DIV AND OR XOR EQUAL GREATER LESS",
    "UnaryOperation": "EXP LOG SQRT RECIP ABS NEG SIN COS TAN SINH COSH ASIN ACOS ATAN ASINH ACOSH ATANH CEIL FLOOR "
        "ERF NOT SIGN ROUND ISINF ISNAN",
    "ReduceOperation": "SUM PROD MAX MIN AVG NONE",
    "TopKOperation": "MAX MIN",
    "ScaleMode": "UNIFORM CHANNEL ELEMENTWISE",
    "MatrixOperation": "NONE TRANSPOSE VECTOR",
    "FillOperation": "LINSPACE RANDOM_UNIFORM RANDOM_NORMAL",
    "ScatterMode": "ELEMENT ND",
    "LoopOutput": "LAST_VALUE CONCATENATE REVERSE",
    "TripLimit": "COUNT WHILE",
    "BoundingBoxFormat": "CORNER_PAIRS CENTER_SIZES",
    "CumulativeOperation": "SUM",
    "AttentionNormalizationOp": "NONE SOFTMAX",
    "GatherMode": "DEFAULT ELEMENT ND",
    "InterpolationMode": "NEAREST LINEAR CUBIC",
    "ResizeCoordinateTransformation": "ALIGN_CORNERS ASYMMETRIC HALF_PIXEL",
    "ResizeRoundMode": "HALF_UP HALF_DOWN FLOOR CEIL",
    "SampleMode": "STRICT_BOUNDS WRAP CLAMP FILL REFLECT",
    "LayerInformationFormat": "ONELINE JSON",
    "OnnxParserFlag": "NATIVE_INSTANCENORM ENABLE_UINT8_AND_ASYMMETRIC_QUANTIZATION_DLA REPORT_CAPABILITY_DLA "
        "ENABLE_PLUGIN_OVERRIDE ADJUST_FOR_DLA",
    "RuntimePlatform": "SAME_AS_BUILD WINDOWS_AMD64",
    "EngineCapability": "STANDARD SAFETY DLA_STANDALONE",
    "DeviceType": "GPU DLA",
    "TilingOptimizationLevel": "NONE FAST MODERATE FULL",
    "PreviewFeature": "ALIASED_PLUGIN_IO_10_03 RUNTIME_ACTIVATION_RESIZE_10_10",
    "WeightsRole": "KERNEL BIAS SHIFT SCALE CONSTANT ANY",
    "ExecutionContextAllocationStrategy": "STATIC ON_PROFILE_CHANGE USER_MANAGED",
    "ErrorCode": "SUCCESS INTERNAL_ERROR MEM_ALLOC_FAILED MODEL_DESERIALIZE_FAILED INVALID_VALUE INVALID_GRAPH "
        "INVALID_NODE UNSUPPORTED_GRAPH UNSUPPORTED_NODE UNSUPPORTED_NODE_ATTR UNSUPPORTED_NODE_INPUT "
        "UNSUPPORTED_NODE_DATATYPE UNSUPPORTED_NODE_DYNAMIC UNSUPPORTED_NODE_SHAPE REFIT_FAILED",
    "ErrorCodeTRT": "SUCCESS UNSPECIFIED_ERROR INTERNAL_ERROR INVALID_ARGUMENT INVALID_CONFIG FAILED_ALLOCATION "
        "FAILED_INITIALIZATION FAILED_EXECUTION FAILED_COMPUTATION INVALID_STATE UNSUPPORTED_STATE",
}  # fmt: skip


def _make(name: str, members: str) -> type[_Enum]:
    values, following = {}, 0
    for word in members.split():
        label, _, number = word.partition("=")
        values[label] = following = int(number or following)
        following += 1
    kind = (_Ordered if name in _ORDERED else _Enum)(name, values)
    kind.__doc__ = f"TensorRT's `{name}`."
    return kind


globals().update({name: _make(name, members) for name, members in _MEMBERS.items()})
__all__ = ["DataType", *(name for name in _MEMBERS if name != "Severity")]
