"""The same engine behind Ray Serve: replicas of a `tl.Session` that gather requests with `@serve.batch`.

    with Service("digits.onnx", batches=[1, 8, 32]) as service:
        service.url                    # "127.0.0.1:8000", for serving.client.Client or tritonclient

It speaks the protocol of Triton, so that a client needs to know an address only. Ray restarts a replica that dies.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import backend
from ...engines.built import BuildReport
from ...errors import LessonError
from ...sessions.session import Session
from ..cluster import LOCAL, Cluster
from .batching import Rows, size, together
from .client import LENGTH, TYPES, decode, encode
from .repository import plan_for
from .server import free_port

QUIET = {"log_level": "WARNING", "enable_access_log": False}


class Service:
    """A running application. Attributes: url ("host:port"), name (of the model), plan (bytes)."""

    def __init__(
        self,
        model: Any,
        *,
        name: str | None = None,
        batches: Sequence[int] = (1, 8, 32),
        delay_us: int = 1000,
        instances: int | tuple[int, int] = 1,
        port: int = 0,
        precision: str | None = None,
        address: str | None = None,
    ) -> None:
        """The arguments are those of `repository.write`, so that the two ways can be compared.

        instances: replicas, or (fewest, most): Ray then starts one more where two requests wait per replica.
        port: 0 takes a free one of the loopback address. address: a Ray cluster; None: this machine.
        LessonError when Ray is missing, the port is taken, or the plan does not load here.
        """
        report = plan_for(model, sorted(batches), precision)
        self.name = name or (model.name if isinstance(model, BuildReport) else Path(model).stem)
        self.plan = report.plan if isinstance(report, BuildReport) else Path(report).read_bytes()
        self.url = f"{LOCAL}:{free_port(LOCAL, port)}"
        self._cluster = Cluster(address)
        ray = self._cluster.__enter__()
        try:
            self._start(ray, (self.plan, self.name, max(batches), delay_us, not address), instances)
        except BaseException:
            self.stop()
            raise

    def _start(self, ray: Any, told: tuple, instances: int | tuple[int, int]) -> None:
        serve = _serve_module()
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        self._serve = serve
        low, high = instances if isinstance(instances, tuple) else (instances, instances)
        many = {"num_replicas": low}
        if low != high:
            many = {"autoscaling_config": {"min_replicas": low, "max_replicas": high, "target_ongoing_requests": 2}}
        actor = {"num_cpus": 0 if backend.is_gpu() else 0.5, "num_gpus": int(backend.is_gpu())}
        made = serve.deployment(_replica(serve), name="Replica").options(
            ray_actor_options=actor, health_check_period_s=1, max_ongoing_requests=1000, **many
        )
        serve.start(http_options={"host": LOCAL, "port": int(self.url.rpartition(":")[2])}, logging_config=QUIET)
        serve.run(made.bind(*told), name=self.name, route_prefix="/")

    def stop(self) -> None:
        """End the application, and Ray where it was started for it; harmless the second time."""
        if hasattr(self, "_serve"):
            if not self._cluster.ours:  # a Ray that was started for it ends with all that runs in it
                self._serve.shutdown()
            del self._serve
        self._cluster.__exit__()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _serve_module() -> Any:
    """Ray Serve, imported."""
    try:
        from ray import serve
    except ImportError as error:
        raise LessonError(
            "this runs on Ray Serve, and Ray is installed without it",
            why=str(error),
            cure="pip install 'trt-lessons[scale]'",
        ) from None
    return serve


def _replica(serve: Any) -> type:
    """The class whose objects Ray Serve runs; made here because its decorators are Ray's."""

    class Replica(Answers):
        @serve.batch(batch_size_fn=lambda requests: sum(map(size, requests)))
        async def gathered(self, requests: list[Rows]) -> list[Rows]:
            return self.run(requests)

    return Replica


class Answers:
    """What one replica holds and says."""

    def __init__(self, plan: bytes, name: str, largest: int, delay_us: int, local: bool) -> None:
        if local:
            _stay_on_loopback()
        self.name, self.largest = name, largest
        with backend.in_this_thread():  # Ray runs this in a thread of its choice, and requests as well
            self.session = Session(plan)
        self.runs: Counter[int] = Counter()
        self.spent: Counter[int] = Counter()
        self.gathered.set_max_batch_size(largest)
        self.gathered.set_batch_wait_timeout_s(delay_us / 1e6)

    def run(self, requests: list[Rows]) -> list[Rows]:
        """One batch, counted."""
        start, rows = time.perf_counter_ns(), sum(map(size, requests))
        with backend.in_this_thread():
            answers = together(self.session, requests)
        self.runs[rows] += 1
        self.spent[rows] += time.perf_counter_ns() - start
        return answers

    async def __call__(self, request: Any) -> Any:
        """Any request: an inference, the model's tensors, its statistics, or whether it is ready."""
        from starlette.responses import JSONResponse, Response

        path = request.url.path.removeprefix(f"/v2/models/{self.name}")
        told = {"": self.about, "/stats": self.statistics, "/ready": dict, "/v2/health/ready": dict}
        if path in told:
            return JSONResponse(told[path]())
        if path != "/infer":
            return JSONResponse({"error": f"{self.name} is the only model here, not {path}"}, 404)
        try:
            rows = self.checked(decode(await request.body(), request.headers.get(LENGTH), "inputs"))
            body, length = encode(await self.gathered(rows), "outputs", model_name=self.name, model_version="1")
        except (LessonError, ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return Response(body, headers={LENGTH: str(length)}, media_type="application/octet-stream")

    def checked(self, rows: Rows) -> Rows:
        """The rows, if the engine takes them: a request that it refuses must not spoil the batch of others."""
        wanted = {info.name: list(info.shape[1:]) for info in self.session.inputs.values()}
        given = {name: list(array.shape[1:]) for name, array in rows.items()}
        if given.keys() != wanted.keys() or not all(_fits(wanted[name], given[name]) for name in wanted):
            raise ValueError(f"{self.name} takes {wanted} after the batch, the request has {given}")
        if not 0 < size(rows) <= self.largest:
            raise ValueError(f"a batch of {size(rows)}: {self.name} takes 1 to {self.largest}")
        return rows

    def about(self) -> dict[str, Any]:
        """The model's tensors."""
        sides = {
            side: [{"name": i.name, "datatype": TYPES[str(i.dtype)], "shape": list(i.shape)} for i in found.values()]
            for side, found in (("inputs", self.session.inputs), ("outputs", self.session.outputs))
        }
        return {"name": self.name, "versions": ["1"], "platform": "ray_serve", **sides}

    def statistics(self) -> dict[str, Any]:
        """Batches that this replica ran, in the words of Triton."""
        batches = [
            {"batch_size": rows, "compute_infer": {"count": count, "ns": self.spent[rows]}}
            for rows, count in sorted(self.runs.items())
        ]
        rows, runs = sum(n * c for n, c in self.runs.items()), sum(self.runs.values())
        one = {"name": self.name, "version": "1", "inference_count": rows, "execution_count": runs}
        return {"model_stats": [{**one, "batch_stats": batches}]}


def _stay_on_loopback() -> None:
    """In a replica: Ray Serve 2.60 opens a port of every replica on all addresses, and unpickles what comes there."""
    from ray.serve._private import replica

    bind = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", LOCAL))


def _fits(wanted: list[int], given: list[int]) -> bool:
    """Whether dimensions are the engine's, where those are fixed."""
    return len(wanted) == len(given) and all(n in (-1, m) for n, m in zip(wanted, given, strict=True))
