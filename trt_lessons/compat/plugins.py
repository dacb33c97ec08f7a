"""A plugin of one input and one output, both alike, written in Python: for TensorRT 10 and later. Lesson 03.

    class SquareRelu(compat.plugin_base()):
        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream): ...

    print(compat.register_plugin(SquareRelu))

TensorRT 8.6 takes plugins in C++ alone, and the interpreter has none: there the base is a plain class.
"""

from __future__ import annotations

from typing import Any

from .. import backend
from .versions import has, is_interpreter, version


def plugins_in_python() -> bool:
    """Whether this TensorRT takes plugins that are written in Python."""
    return has("IPluginV3") and not is_interpreter()


def plugin_base() -> type:
    """The class to derive from: everything that a plugin must answer, but for `enqueue`.

    One input, one output of the same shape; FP32 or FP16, plain row-major tensors, no fields, no tactics.
    """
    if not plugins_in_python():
        return object
    trt = backend.trt
    parts = [trt.IPluginV3, trt.IPluginV3OneCore, trt.IPluginV3OneBuild, trt.IPluginV3OneRuntime]  # trt: >=10
    return type("ElementwisePlugin", tuple(parts), dict(_ANSWERS))


def register_plugin(plugin: type) -> str:
    """Make `plugin`, named like its class, known to this process's parsers; one line about how that went."""
    trt = backend.trt
    if not plugins_in_python():
        told = "the interpreter" if is_interpreter() else f"TensorRT {'.'.join(map(str, version()[:2]))}"
        return f"{told} takes no plugin in Python (TensorRT 10 and 11 do)"
    creator = _creator(plugin)
    added = trt.get_plugin_registry().register_creator(creator, "")
    _KEPT.append(creator)  # TensorRT keeps no reference of its own
    return f"{plugin.__name__} is registered: {added}"


def on_gpu(address: int, description: Any) -> Any:
    """A torch tensor on memory that a plugin was given, as its `PluginTensorDesc` says; nothing is copied."""
    import numpy as np
    import torch

    kind, shape = np.dtype(backend.trt.nptype(description.type)).str, tuple(description.dims)
    about = {"data": (int(address), False), "shape": shape, "typestr": kind, "version": 3}
    holder = type("Given", (), {"__cuda_array_interface__": about})()
    return torch.as_tensor(holder, device="cuda")


_KEPT: list[Any] = []


def _creator(plugin: type) -> Any:
    trt = backend.trt

    class Creator(trt.IPluginCreatorV3One):  # trt: >=10
        """Makes the plugin for a node whose op has its name."""

        def __init__(self) -> None:
            super().__init__()
            self.name, self.plugin_version, self.plugin_namespace = plugin.__name__, "1", ""
            self.field_names = trt.PluginFieldCollection([])

        def create_plugin(self, name: str, fields: Any, phase: Any) -> Any:
            return plugin()

    return Creator()


# ---- what `plugin_base` answers; `self` is the plugin ----


def _init(self: Any) -> None:
    for part in type(self).__mro__:
        if part.__name__.startswith("IPluginV3"):
            part.__init__(self)
    self.plugin_name, self.plugin_version, self.plugin_namespace = type(self).__name__, "1", ""
    self.num_outputs = 1


def _clone(self: Any) -> Any:
    twin = type(self)()
    vars(twin).update(vars(self))
    return twin


def _supports(self: Any, pos: int, descriptions: Any, inputs: int) -> bool:
    trt, mine = backend.trt, descriptions[pos].desc
    plain = mine.format == trt.TensorFormat.LINEAR and mine.type in (trt.float32, trt.float16)
    return plain and mine.type == descriptions[0].desc.type


_ANSWERS = {
    "__init__": _init,
    "clone": _clone,
    "supports_format_combination": _supports,
    "get_capability_interface": lambda self, kind: self,
    "get_output_data_types": lambda self, input_types: [input_types[0]],
    "get_output_datatypes": lambda self, input_types: [input_types[0]],  # its name in 10.0
    "get_output_shapes": lambda self, inputs, shape_inputs, builder: [backend.trt.DimsExprs(inputs[0])],  # trt: >=10
    "configure_plugin": lambda self, inputs, outputs: None,
    "on_shape_change": lambda self, inputs, outputs: None,
    "set_tactic": lambda self, tactic: None,
    "attach_to_context": lambda self, context: self.clone(),
    "get_fields_to_serialize": lambda self: backend.trt.PluginFieldCollection([]),
}
