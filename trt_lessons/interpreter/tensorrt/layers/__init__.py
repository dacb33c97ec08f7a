"""What tensors and layers of a network are and hold. How a layer computes is in `lowering`."""

from .base import ILayer, ITensor, Owner
from .control import IAttention, IIfConditional, ILoop
from .kinds import *  # noqa: F403
from .kinds import KINDS, NAMES

__all__ = ["KINDS", "IAttention", "IIfConditional", "ILayer", "ILoop", "ITensor", "Owner", *NAMES]
