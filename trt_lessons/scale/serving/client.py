"""A client of the protocol that Triton and our Ray Serve application both speak (KServe's version 2, over HTTP).

    with Client("127.0.0.1:8123", "digits") as client:
        client.infer({"images": pictures})["scores"]

An address and a model's name are all that differs between the two. For one thread at a time.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

import numpy as np

from ...errors import LessonError

TYPES = {"float32": "FP32", "float16": "FP16", "int32": "INT32", "int64": "INT64", "int8": "INT8", "uint8": "UINT8"}
TYPES |= {"bool": "BOOL", "bfloat16": "BF16"}
NUMPY = {told: name for name, told in TYPES.items()}
LENGTH = "Inference-Header-Content-Length"


def encode(tensors: dict[str, np.ndarray], side: str, **more: Any) -> tuple[bytes, int]:
    """(body, length of its JSON part) of a request or an answer. side: "inputs" or "outputs"."""
    told, parts = [], []
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        about = {"name": name, "datatype": TYPES[str(array.dtype)], "shape": list(array.shape)}
        told.append({**about, "parameters": {"binary_data_size": len(data)}})
        parts.append(data)
    head = json.dumps({side: told, **more}).encode()
    return b"".join([head, *parts]), len(head)


def decode(body: bytes, length: str | int | None, side: str) -> dict[str, np.ndarray]:
    """The tensors of a body, copied out of it; ValueError for one that is cut short or of an unknown type."""
    end = len(body) if length is None else int(length)
    found = {}
    for told in json.loads(body[:end])[side]:
        kind, shape = np.dtype(NUMPY[told["datatype"]]), told["shape"]
        if "data" in told:
            found[told["name"]] = np.array(told["data"], kind).reshape(shape)
            continue
        size = told["parameters"]["binary_data_size"]
        found[told["name"]] = np.frombuffer(body[end : end + size], kind).reshape(shape).copy()
        end += size
    return found


class Client:
    """One connection that is kept open."""

    def __init__(self, url: str, model: str, timeout_s: float = 60.0) -> None:
        """url: "host:port". model: its name on the server."""
        self.model = model
        self._wire = http.client.HTTPConnection(url, timeout=timeout_s)

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The server's answer; LessonError with its words where it refuses."""
        body, length = encode(inputs, "inputs", parameters={"binary_data_output": True})
        answer, headers = self._ask("POST", f"/v2/models/{self.model}/infer", body, {LENGTH: str(length)})
        return decode(answer, headers.get(LENGTH), "outputs")

    def batches(self) -> dict[int, int]:
        """{rows of a batch: how often the server ran one}, from its own statistics, since it started."""
        return {rows: count for rows, (count, _) in self.statistics().items()}

    def statistics(self) -> dict[int, tuple[int, float]]:
        """{rows of a batch: (how often the server ran one, seconds in the engine)}, since the server started."""
        answer, _ = self._ask("GET", f"/v2/models/{self.model}/stats")
        stats = json.loads(answer)["model_stats"][0]["batch_stats"]
        runs = {int(one["batch_size"]): one["compute_infer"] for one in stats}
        return {rows: (int(run["count"]), int(run["ns"]) / 1e9) for rows, run in sorted(runs.items())}

    def _ask(self, verb: str, path: str, body: bytes | None = None, headers: dict | None = None) -> tuple[bytes, Any]:
        try:
            self._wire.request(verb, path, body, headers or {})
            answer = self._wire.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._wire.close()  # the next request opens another one
            raise
        if answer.status != 200:
            raise LessonError(
                f"the server refuses {path} ({answer.status})", why=content.decode(errors="replace")[:500]
            )
        return content, answer.headers

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
