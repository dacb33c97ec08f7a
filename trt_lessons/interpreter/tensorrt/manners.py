"""pybind11's manners: wrong argument types are a TypeError, and attributes that do not exist cannot be set.

The annotations of a method are what it takes: every public method of a `Bound` class is checked against its own.
"""

from __future__ import annotations

import enum
import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable
from typing import Any


class Mismatch(Exception):
    """A value is of no type that the call takes."""


def convert(kind: Any, value: Any) -> Any:
    """The value as an argument of that kind; Mismatch where pybind11 would not convert it. Other kinds pass."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return _one_of(typing.get_args(kind), value)
    if kind in _CASTERS:
        return _CASTERS[kind](value)
    if isinstance(kind, types.GenericAlias):  # list[int]; Python 3.10 takes it for a type
        kind = typing.get_origin(kind)
    if not isinstance(kind, type) or kind is object or isinstance(value, kind):
        return value
    caster = getattr(kind, "_cast", None)
    if caster is not None:
        return caster(value)
    if issubclass(kind, (enum.Enum, Bound)) or hasattr(kind, "_bound"):
        raise Mismatch
    return value


def _one_of(kinds: tuple, value: Any) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    for kind in kinds:
        try:
            if kind is not types.NoneType:
                return convert(kind, value)
        except Mismatch:
            continue
    raise Mismatch


def _index(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise Mismatch from None


def _number(value: Any) -> float:
    if not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise Mismatch
    return float(value)


def _truth(value: Any) -> bool:
    if value is not None and (isinstance(value, enum.Enum) or not hasattr(type(value), "__bool__")):
        raise Mismatch
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, (str, bytes)):
        raise Mismatch
    return value.decode() if isinstance(value, bytes) else value


def _buffer(value: Any) -> Any:
    try:
        memoryview(value)
    except TypeError:
        raise Mismatch from None
    return value


_CASTERS: dict[Any, Callable[[Any], Any]] = {
    int: _index, float: _number, bool: _truth, str: _text, bytes: _buffer,
}  # fmt: skip


def refused(name: str, what: str = "function") -> TypeError:
    """The error of a call with arguments of other types."""
    return TypeError(f"{name}(): incompatible {what} arguments")


def checked(function: Callable) -> Callable:
    """The function, its arguments converted to what their annotations say; TypeError where one cannot be."""
    signature = inspect.signature(function)
    kinds: dict[str, Any] = {}

    def find() -> None:
        for name, parameter in signature.parameters.items():
            note = parameter.annotation
            try:
                kinds[name] = eval(note, function.__globals__) if isinstance(note, str) else note
            except (NameError, AttributeError):  # imported for type checkers only
                kinds[name] = object

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not kinds:
            find()
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if name == "self" or value is parameter.default or parameter.kind in (2, 4):
                continue
            try:
                bound.arguments[name] = convert(kinds[name], value)
            except Mismatch:
                what = "constructor" if function.__name__ == "__init__" else "function"
                told = f"{name}={value!r} is no {parameter.annotation}"
                raise TypeError(f"{refused(function.__name__, what)}: {told}") from None
        return function(*bound.args, **bound.kwargs)

    return call


class _Made(type):
    """Notes when an object is made: from then on it gets no new attributes."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        object.__setattr__(made, "_made", True)
        return made


ABSENT = {  # what TensorRT 11.4 has and the interpreter has not: an AttributeError that says so
    "Builder": "build_serialized_network_to_stream get_plugin_registry gpu_allocator",
    "IBuilderConfig": "remote_auto_tuning_config set_device_type is_device_type_set reset_device_type",
    "INetworkDefinition": "add_assertion add_attention_v2 add_dist_collective add_dynamic_quantize "
        "add_dynamic_quantize_v2 add_grid_sample add_kv_cache_update add_moe add_normalization_v2 add_plugin_v2 "
        "add_plugin_v3 add_ragged_softmax add_reverse_sequence add_rotary_embedding are_weights_marked_refittable "
        "mark_output_for_shapes mark_unfused_tensors_as_debug_tensors mark_weights_refittable set_weights_name "
        "unmark_output_for_shapes unmark_unfused_tensors_as_debug_tensors unmark_weights_refittable",
    "OnnxParser": "get_layer_output_tensor get_subgraph_nodes is_subgraph_supported load_initializer load_model_proto "
        "num_subgraphs parse_model_proto parse_with_weight_descriptors set_builder_config supports_model_v2",
    "ICudaEngine": "create_runtime_config create_serialization_config get_engine_stat is_debug_tensor "
        "serialize_with_config streamable_weights_size weight_streaming_budget_v2 "
        "get_weight_streaming_automatic_budget weight_streaming_scratch_memory_size",
    "IExecutionContext": "set_debug_listener get_debug_listener set_tensor_debug_state get_debug_state "
        "set_all_tensors_debug_state unfused_tensors_debug_state set_communicator set_input_consumed_event "
        "persistent_cache_limit get_runtime_config",
    "Runtime": "load_runtime gpu_allocator get_plugin_registry tempfile_control_flags temporary_directory",
}  # fmt: skip


class Bound(metaclass=_Made):
    """An object of TensorRT's: its methods check their arguments, it takes no attribute that it does not have."""

    def __init_subclass__(cls) -> None:
        for name, member in list(vars(cls).items()):
            if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_")):
                setattr(cls, name, checked(member))

    def __getattr__(self, name: str) -> Any:
        told = f"'{type(self).__name__}' object has no attribute '{name}'"
        absent = name in ABSENT.get(type(self).__name__, "").split()
        raise AttributeError(f"the interpreter has no {name}; TensorRT has it ({told})" if absent else told)

    def __setattr__(self, name: str, value: object) -> None:
        known = name.startswith("_") or name in self.__dict__ or hasattr(type(self), name)
        if "_made" in self.__dict__ and not known:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__setattr__(self, name, value)


class Opened(Bound):
    """An object that can stand in a `with`."""

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *problem: object) -> None:
        pass


class option:
    """An attribute of one kind; a value that `limit` refuses leaves the old one, and an error in the log.

    What lies above `most` becomes `most`.
    """

    def __init__(
        self, kind: Any, limit: Callable[[Any], bool] | None = None, told: str = "", most: int | None = None,
        default: Any = None,
    ) -> None:  # fmt: skip
        self.kind, self.limit, self.told, self.most, self.default = kind, limit, told, most, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, holder: Any, owner: type) -> Any:
        return self if holder is None else holder.__dict__.get(f"_{self.name}", self.default)

    def __set__(self, holder: Any, value: Any) -> None:
        try:
            value = convert(self.kind, value)
        except Mismatch:
            raise refused(f"{type(holder).__name__}.{self.name}") from None
        if self.limit is not None and not self.limit(value):
            where = "set" + "".join(word.capitalize() for word in self.name.split("_"))
            holder._refuse(where, f"Parameter check failed, condition: {self.told}")
        else:
            holder.__dict__[f"_{self.name}"] = value if self.most is None else min(value, self.most)
