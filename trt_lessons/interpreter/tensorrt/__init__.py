"""Stands for the `tensorrt` package: the names of TensorRT 11.4 that the lessons use, computed on the CPU."""

from .builder import Builder
from .callbacks import *  # noqa: F403
from .callbacks import ILogger
from .config import IBuilderConfig, IOptimizationProfile, ITimingCache
from .enums import *  # noqa: F403
from .layers import ILayer, ITensor
from .layers.control import *  # noqa: F403
from .layers.kinds import *  # noqa: F403
from .network import INetworkDefinition
from .parser import OnnxParser
from .parser_refitter import OnnxParserRefitter
from .reading.errors import ParserError
from .running.context import IExecutionContext
from .running.engine import ICudaEngine, Runtime
from .running.inspector import EngineInspector
from .running.refitter import Refitter
from .types import *  # noqa: F403

__version__ = "11.4.0+interpreter"


def init_libnvinfer_plugins(logger: ILogger, namespace: str) -> bool:
    return True  # there are none to register
