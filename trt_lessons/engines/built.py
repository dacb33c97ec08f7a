"""What a build returns: a plan, how it came to be, and what is inside it.

Introduced in lesson 02.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..compat import device_memory
from ..errors import CacheError
from ..files import sha256, write_atomically
from ..messages import filled, later, told
from . import layers
from .plans import load
from .profiles import show

UNTOLD = later("not told by the engine")  # how a note begins where a precision could not be verified


@dataclass(repr=False)
class BuildReport:
    """A plan and how it came to be.

    plan: bytes. seconds: how long the build took when the plan was made (also when it came from the cache).
    log: (severity name, text) lines of that build. inputs, outputs: {name, dtype, shape with -1}.
    network: {name, type, dtype, metadata, reads, makes} of each layer. notes: remarks in plain words.
    """

    plan: bytes
    name: str
    seconds: float
    from_cache: bool
    options: dict[str, Any]
    log: list[tuple[str, str]]
    onnx_sha256: str | None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    network: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made_by: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the plan."""
        return len(self.plan)

    @property
    def plan_sha256(self) -> str:
        """sha256 of the plan, hexadecimal."""
        return sha256(self.plan)

    @property
    def asked(self) -> str | None:
        """The precision asked for and verified, None where none was asked for."""
        return self.options.get("precision")

    def engine(self) -> Any:
        """Deserialize the plan: an `ICudaEngine`."""
        return load(self.plan, name=self.name)

    @property
    def costs(self) -> dict[str, float]:
        """{"s": seconds of the build, "plan": bytes, "context": bytes of device memory that one context needs}.

        A context needs what the largest profile needs for its activations.
        """
        return {"s": self.seconds, "plan": self.size, "context": device_memory(self.engine())}

    def layers(self) -> Any:
        """What is in the engine: `layers.table`, each engine layer with the network layers it holds."""
        return layers.table(self.engine(), network=self.network, title=self.name)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the plan, and beside it `<path>.sha256`, which `load` and `sha256sum -c` check. Raises CacheError."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sidecar = Path(f"{path}.sha256")
            sidecar.unlink(missing_ok=True)  # a kill between the two writes leaves no wrong sum
            write_atomically(path, self.plan)
            write_atomically(sidecar, f"{self.plan_sha256}  {path.name}\n".encode())
        except OSError as error:
            cure = "make room or permit it, or name another place"
            raise CacheError(f"{path} cannot be written", why=error.strerror or str(error), cure=cure) from error
        return path

    def summary(self) -> None:
        """Print what every backend agrees on: inputs, outputs, profiles, the precision asked for."""
        print(self.name)
        width = max((len(t["name"]) for t in self.inputs + self.outputs), default=0)
        for word, tensors in ((later("input"), self.inputs), (later("output"), self.outputs)):
            for t in tensors:
                print(f"  {filled(told(word), 9)} {t['name']:<{width}}  {t['dtype']:<8} {show(t['shape'])}")
        for i, profile in enumerate(self.profiles):
            for name, shapes in profile.items():
                low, best, high = map(show, shapes)
                print(f"  {filled(told(f'profile {i}'), 9)} {name:<{width}}  min {low}, opt {best}, max {high}")
        hidden = any(note.startswith(UNTOLD) for note in self.notes)
        proof = told(UNTOLD if hidden else "verified in the engine")
        found = f"{self.asked}, {proof}" if self.asked else told("as the graph says")
        print(f"  {filled(told('precision'), 9)} {found}")

    def __repr__(self) -> str:
        ins, outs = (", ".join(f"{t['name']} {show(t['shape'])}" for t in x) for x in (self.inputs, self.outputs))
        return f"BuildReport({self.name}: {ins} -> {outs}, precision {self.asked or 'as in the graph'})"
