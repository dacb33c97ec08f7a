"""Stands for the `tensorrt` package: the names of TensorRT 11.4 that the lessons use, computed on the CPU."""

from .builder import Builder, IBuilderConfig, IOptimizationProfile, ITimingCache
from .callbacks import (
    IErrorRecorder,
    IHostMemory,
    ILogger,
    IOutputAllocator,
    IProfiler,
    IProgressMonitor,
    Logger,
    Profiler,
)
from .context import IExecutionContext
from .engine import EngineInspector, ICudaEngine, Refitter, Runtime
from .enums import (
    ActivationType,
    BuilderFlag,
    DataType,
    DeviceType,
    ElementWiseOperation,
    EngineCapability,
    EngineStat,
    ErrorCode,
    ErrorCodeTRT,
    ExecutionContextAllocationStrategy,
    GatherMode,
    HardwareCompatibilityLevel,
    InterpolationMode,
    LayerInformationFormat,
    LayerType,
    MatrixOperation,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParserFlag,
    PaddingMode,
    PoolingType,
    PreviewFeature,
    ProfilingVerbosity,
    ReduceOperation,
    ResizeCoordinateTransformation,
    ResizeRoundMode,
    SampleMode,
    ScaleMode,
    SerializationFlag,
    TacticSource,
    TensorFormat,
    TensorIOMode,
    TensorLocation,
    TilingOptimizationLevel,
    TopKOperation,
    UnaryOperation,
    WeightsRole,
)
from .layers import *  # noqa: F403 - the kinds of layers, all of them TensorRT's names
from .network import INetworkDefinition, ITensor
from .parser import OnnxParser, ParserError
from .types import (
    Dims,
    Dims2,
    Dims3,
    Dims4,
    DimsHW,
    Permutation,
    Weights,
    bfloat16,
    bool,
    float16,
    float32,
    fp8,
    int4,
    int8,
    int32,
    int64,
    nptype,
    uint8,
    volume,
)

__version__ = "11.4.0+interpreter"


def init_libnvinfer_plugins(logger: ILogger, namespace: str) -> bool:
    """True: the interpreter has no plugins to register."""
    return True


def get_nv_onnx_parser_version() -> int:
    """The parser's version as TensorRT writes it."""
    return 110400
