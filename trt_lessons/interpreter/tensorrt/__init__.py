"""Stands for the `tensorrt` package: the names of TensorRT 11.4 that the lessons use, computed on the CPU."""

from .builder import Builder, IBuilderConfig, IOptimizationProfile, ITimingCache
from .callbacks import *  # noqa: F403
from .callbacks import ILogger
from .context import IExecutionContext
from .engine import EngineInspector, ICudaEngine, Refitter, Runtime
from .enums import *  # noqa: F403
from .layers import *  # noqa: F403
from .network import INetworkDefinition, ITensor
from .parser import OnnxParser, ParserError
from .types import *  # noqa: F403

__version__ = "11.4.0+interpreter"


def init_libnvinfer_plugins(logger: ILogger, namespace: str) -> bool:
    return True  # there are none to register
