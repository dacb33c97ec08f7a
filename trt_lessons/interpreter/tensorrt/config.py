"""Stands for IBuilderConfig, IOptimizationProfile and ITimingCache: the options of a build."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from ...driver.cpu_device import physical_memory
from . import enums as E
from .callbacks import SERIALIZATION, USAGE, Flags, IHostMemory, ILogger, IProgressMonitor, Reporter
from .layers import ILayer
from .manners import Bound, option
from .types import Dims


class IOptimizationProfile(Bound):
    """For each dynamic input the smallest, the most frequent and the largest shape."""

    extra_memory_target = option(float, default=1.0)

    def __init__(self, logger: ILogger) -> None:
        self._shapes: dict[str, tuple[Dims, Dims, Dims]] = {}
        self._values: dict[str, tuple[list[int], list[int], list[int]]] = {}  # of inputs that hold a shape
        self._logger = logger

    def set_shape(self, input: str, min: Dims, opt: Dims, max: Dims) -> None:
        """The range of one input; a RuntimeError for a size below 0. More is checked by add_optimization_profile."""
        if any(size < 0 for shape in (min, opt, max) for size in Dims(shape)):
            self._logger.log(
                E.Severity.ERROR, f"IOptimizationProfile::setDimensions: {USAGE} ({input}: a size below 0)"
            )
            raise RuntimeError("Shape provided for input is not valid: its sizes must be 0 or more")
        self._shapes[input] = Dims(min), Dims(opt), Dims(max)

    def get_shape(self, input: str) -> list[Dims]:
        """[min, opt, max] of an input; an empty list and an error where none was set."""
        if input not in self._shapes:
            told = "Input is not present in this OptimizationProfile"
            self._logger.log(E.Severity.ERROR, f"Cannot get dimensions for input: {input}. {told}")
        return list(self._shapes.get(input, ()))

    def set_shape_input(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        """The range of the numbers in an input that holds a shape (`ITensor.is_shape_tensor`)."""
        self._values[input] = tuple([int(n) for n in values] for values in (min, opt, max))

    def get_shape_input(self, input: str) -> list[list[int]]:
        """[min, opt, max] numbers of such an input; an empty list and an error where none were set."""
        if input not in self._values:
            told = "Input is not present in this OptimizationProfile"
            self._logger.log(E.Severity.ERROR, f"Cannot get shape values for input: {input}. {told}")
        return list(self._values.get(input, ()))

    def __bool__(self) -> bool:
        rows = [row for values in self._values.values() for row in itertools.zip_longest(*values)]
        if any(None in row or not row[0] <= row[1] <= row[2] for row in rows):
            return False
        rows = (row for shapes in self._shapes.values() for row in itertools.zip_longest(*shapes))
        return all(None not in row and 0 <= row[0] <= row[1] <= row[2] for row in rows)


class ITimingCache(Bound):
    """What a builder remembers between builds. The interpreter times nothing: it notes which layers it has seen."""

    _MAGIC = b"TRTL-TIMING"

    def __init__(self, data: bytes = b"", usable: bool = True) -> None:
        self._usable = usable
        self._seen: set[str] = set(json.loads(bytes(data)[len(self._MAGIC) :])) if data else set()

    def serialize(self) -> IHostMemory:
        """The cache as bytes."""
        return IHostMemory._of(self._MAGIC + json.dumps(sorted(self._seen)).encode())

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Take another cache's entries in."""
        self._seen |= input_cache._seen
        return True

    def reset(self) -> bool:
        """Empty the cache."""
        self._seen.clear()
        return True


class IBuilderConfig(Flags, Reporter):
    """Options of a build. Those that steer a GPU are kept and shown, but change nothing here."""

    builder_optimization_level = option(int, lambda level: level >= 0, "level >= 0", most=5, default=3)
    profiling_verbosity = option(E.ProfilingVerbosity, default=E.ProfilingVerbosity.LAYER_NAMES_ONLY)
    hardware_compatibility_level = option(E.HardwareCompatibilityLevel, default=E.HardwareCompatibilityLevel.NONE)
    runtime_platform = option(E.RuntimePlatform, default=E.RuntimePlatform.SAME_AS_BUILD)
    engine_capability = option(E.EngineCapability, default=E.EngineCapability.STANDARD)
    tiling_optimization_level = option(E.TilingOptimizationLevel, default=E.TilingOptimizationLevel.NONE)
    default_device_type = option(E.DeviceType, default=E.DeviceType.GPU)
    max_aux_streams, max_num_tactics, DLA_core = (option(int, default=-1) for _ in range(3))
    l2_limit_for_tiling, profile_stream = option(int, default=0), option(int, default=0)
    avg_timing_iterations = option(int, default=1)
    progress_monitor = option(IProgressMonitor | None)
    plugins_to_serialize = option(list, default=[])

    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        self.reset()

    def reset(self) -> None:
        """All options back to their defaults."""
        self.flags = 1 << int(E.BuilderFlag.TF32)
        for one in (one for one in vars(IBuilderConfig).values() if isinstance(one, option)):
            self.__dict__.pop(f"_{one.name}", None)
        self._previews: set[E.PreviewFeature] = set()
        self._pools: dict[E.MemoryPoolType, int] = {}
        self._profiles: list[IOptimizationProfile] = []
        self._timing_cache: ITimingCache | None = None
        self._tactics = sum(1 << int(s) for s in E.TacticSource.__members__.values())

    num_optimization_profiles = property(lambda self: len(self._profiles))

    def set_memory_pool_limit(self, pool: E.MemoryPoolType, pool_size: int) -> None:
        """The most bytes a kind of memory may take during the build and in the engine."""
        if pool_size < 0:
            raise TypeError("set_memory_pool_limit(): incompatible function arguments: a size is not below 0")
        self._pools[pool] = int(pool_size)

    def get_memory_pool_limit(self, pool: E.MemoryPoolType) -> int:
        """The limit in bytes; by default all of this machine's memory, as on a GPU all of the GPU's."""
        return self._pools.get(pool, physical_memory())

    def set_preview_feature(self, feature: E.PreviewFeature, enable: bool) -> None:
        """Switch a feature that later versions may change; none changes anything here."""
        (self._previews.add if enable else self._previews.discard)(feature)

    def get_preview_feature(self, feature: E.PreviewFeature) -> bool:
        """Whether it is on."""
        return feature in self._previews

    def can_run_on_DLA(self, layer: ILayer) -> bool:
        """False: there is no DLA, as on every card that is no Jetson."""
        return False

    def get_device_type(self, layer: ILayer) -> E.DeviceType:
        """The GPU."""
        return self.default_device_type

    def add_optimization_profile(self, profile: IOptimizationProfile | None) -> int:
        """The new profile's index; -1 and an error where min <= opt <= max does not hold."""
        if not profile:
            self._say(E.Severity.ERROR, "Specified optimization profiles must satisfy MIN<=OPT<=MAX.")
            self._refuse("addOptimizationProfile", "condition: profile->isValid()")
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        """Which libraries tactics may come from, a mask."""
        self._tactics = int(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        """The mask of tactic sources."""
        return self._tactics

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        """A cache from bytes, or an empty one from b""; an error and a cache of no use for anything else."""
        data = bytes(serialized_timing_cache)
        if not data or data.startswith(ITimingCache._MAGIC):
            return ITimingCache(data)
        self._fail(SERIALIZATION, "createTimingCache", "Magic tag does not match")
        self._say(E.Severity.ERROR, "The timing cache will not be used!")
        return ITimingCache(usable=False)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Use a cache in the next build; False for one made from other bytes."""
        self._timing_cache = cache if cache._usable else None
        return cache._usable

    def get_timing_cache(self) -> ITimingCache | None:
        """The cache in use."""
        return self._timing_cache
