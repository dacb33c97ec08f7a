"""The same session behind Ray Serve, asked by the same clients: to the bit, in real batches, a replica killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trt_lessons.errors import LessonError
from trt_lessons.scale.serving.client import Client
from trt_lessons.scale.serving.load import offer
from trt_lessons.scale.serving.replicas import Service

HERE = all(importlib.util.find_spec(name) for name in ("ray", "tritonclient"))
pytestmark = [
    pytest.mark.skipif(not HERE, reason="Ray is not installed: pip install '.[scale]'"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    """One replica, which Ray would make two under load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
        with Service(model, batches=(1, 4, 16), delay_us=3000, instances=(1, 2)) as running:
            yield running


def triton(service: Service, at_once: int) -> Any:
    """Triton's own client: it is not told that this is not Triton."""
    from tritonclient import http

    return http.InferenceServerClient(service.url, concurrency=at_once)


def tensor(rows: np.ndarray) -> Any:
    """Rows as the client's input."""
    from tritonclient import http

    made = http.InferInput("x", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows)
    return made


def test_health_and_metadata(service: Service) -> None:
    asked = triton(service, 1)
    assert asked.is_server_ready() and asked.is_model_ready("product")
    assert asked.get_model_metadata("product")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]


def test_a_thousand_requests_to_the_bit_in_real_batches(service: Service, asked: Callable[..., Any]) -> None:
    batches = asked(service.url, service.plan)
    assert 4 < max(batches) <= 16 and sum(batches.values()) < 500, f"few requests were put together: {batches}"


def test_what_the_engine_refuses_comes_back_in_words_and_spoils_no_batch(service: Service) -> None:
    good = np.ones((1, 64), np.float32)
    with Client(service.url, "product") as client:
        for rows, words in ((np.zeros((1, 63), np.float32), "64"), (np.zeros((17, 64), np.float32), "1 to 16")):
            with pytest.raises(LessonError, match=words):
                client.infer({"x": rows})
        with pytest.raises(LessonError, match="takes"):
            client.infer({"images": good})
        assert client.infer({"x": good})["y"].shape == (1, 32)
    with Client(service.url, "other") as client, pytest.raises(LessonError, match="product is the only model here"):
        client.infer({"x": good})


def test_an_open_loop_keeps_its_rate(service: Service) -> None:
    load = offer(lambda: Client(service.url, "product"), [{"x": np.ones((1, 64), np.float32)}], rate=20, seconds=2)
    assert not load.errors and 20 < len(load.ms) < 60 and load.percentile(50) <= load.percentile(99)


def test_a_killed_replica_is_started_again(service: Service) -> None:
    import psutil

    rows = {"x": np.ones((2, 64), np.float32)}
    with Client(service.url, "product") as client:
        before = client.infer(rows)["y"]
        names = {p.pid: " ".join(p.cmdline()) for p in psutil.Process().children(recursive=True)}
        killed = [pid for pid, name in names.items() if "ServeReplica" in name]
        assert killed, names
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        until = time.time() + 60
        while True:
            try:
                np.testing.assert_array_equal(client.infer(rows)["y"], before)
                break
            except (LessonError, OSError):
                assert time.time() < until, "no replica came back"
                time.sleep(0.2)
    again = [p.pid for p in psutil.Process().children(recursive=True) if "ServeReplica" in " ".join(p.cmdline())]
    assert again and not set(again) & set(killed)


def test_a_port_in_use(service: Service, model: Path) -> None:
    port = int(service.url.rpartition(":")[2])
    with pytest.raises(LessonError, match=f"port {port}"):
        Service(model, port=port)


def test_it_listens_on_loopback_only(service: Service, listening: Callable[[], list[Any]]) -> None:
    places = listening()
    assert int(service.url.rpartition(":")[2]) in {place.port for place in places}
    assert not [place for place in places if not place.loopback], places
