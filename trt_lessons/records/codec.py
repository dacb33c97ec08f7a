"""Values to plain JSON and back, without pickle: numbers, text, containers, NumPy arrays, Measurements.

What JSON cannot say is written as {"$type": ..., ...}; the types come back as they were.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import RecordingError
from .measurement import Measurement
from .provenance import Provenance

TAG = "$type"
MOST_ELEMENTS = 20_000


def encode(value: Any) -> Any:
    """Plain JSON data for `value`; RecordingError names what cannot be recorded."""
    if isinstance(value, Measurement):
        about = _measured_about(value)
        return {
            TAG: "measurement",
            "name": value.name,
            **about,
            **{k: encode(v) for k, v in value.to_dict().items()},
        }
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and not hasattr(value, "dtype"):
        return int(value)
    if isinstance(value, dict):
        return _encode_dict(value)
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "items": [encode(item) for item in value]}
    return _encode_number(value)


def _measured_about(value: Measurement) -> dict[str, Any]:
    where = value.provenance
    if where is None:
        return {}
    return {k: getattr(where, k) for k in ("model_sha256", "plan_sha256") if getattr(where, k)}


def _encode_dict(value: dict[Any, Any]) -> Any:
    if all(isinstance(key, str) for key in value) and TAG not in value:
        return {key: encode(item) for key, item in value.items()}
    return {TAG: "dict", "items": [[encode(key), encode(item)] for key, item in value.items()]}


def _encode_number(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        value = float(str(value))  # the shortest text that gives the same number in its own precision
    if isinstance(value, float):
        return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return _encode_array(value)
    raise RecordingError(
        f"A value of type {type(value).__name__} cannot be recorded.",
        why="recordings are plain JSON: numbers, text, lists, tuples, dicts, NumPy arrays, Measurements",
        cure="Return one of these from the function, for example str(value) or a dict of its fields.",
    )


def _encode_array(value: Any) -> dict[str, Any]:
    if value.size > MOST_ELEMENTS:
        raise RecordingError(
            f"An array of {value.size} elements is too large for a recording.",
            why=f"the limit is {MOST_ELEMENTS}",
            cure="Record what the figure needs: a few rows, a histogram, an error.",
        )
    return {
        TAG: "ndarray",
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "data": [encode(item) for item in value.ravel()],
    }


def decode(data: Any, where: Provenance | None = None, name: str | None = None) -> Any:
    """The value back. Measurements get `where` as their provenance and "recorded" as their source."""
    if isinstance(data, list):
        return [decode(item, where, name) for item in data]
    if not isinstance(data, dict):
        return data
    kind = data.get(TAG)
    if kind is None:
        return {key: decode(item, where, name) for key, item in data.items()}
    if kind == "tuple":
        return tuple(decode(item, where, name) for item in data["items"])
    if kind == "dict":
        return {decode(k, where, name): decode(v, where, name) for k, v in data["items"]}
    if kind == "float":
        return float(data["value"])
    if kind == "ndarray":
        return _decode_array(data)
    if kind == "measurement":
        return _decode_measurement(data, where, name)
    raise RecordingError(
        f"The recording holds a value of an unknown kind, '{kind}'.",
        cure="Use the trt-lessons version that wrote it, or record again.",
    )


def _decode_array(data: dict[str, Any]) -> Any:
    import numpy as np

    flat = [decode(item) for item in data["data"]]
    return np.array(flat, dtype=np.dtype(data["dtype"])).reshape(data["shape"])


def _decode_measurement(data: dict[str, Any], where: Provenance | None, name: str | None) -> Measurement:
    plain = {k: decode(v) for k, v in data.items() if k != TAG}
    if where is not None:
        shas = {k: plain[k] for k in ("model_sha256", "plan_sha256") if k in plain}
        where = where.about(options=plain["options"], **shas)
    found = Measurement.from_dict(plain, provenance=where, source="recorded")
    found.name = plain.get("name") or name
    return found
