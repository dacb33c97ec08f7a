"""The real Triton server with our repository: the session's answers to the bit, batches formed, killed, refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trt_lessons.errors import LessonError
from trt_lessons.scale.serving.repository import write
from trt_lessons.scale.serving.server import Server, missing

BATCHES = (1, 4, 16)
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "Triton is here")


@pytest.fixture(scope="module")
def repository(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository written by us."""
    folder = tmp_path_factory.mktemp("repository")
    write(model, folder, batches=BATCHES, delay_us=3000)
    return folder


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    """The server over it."""
    with Server(repository) as running:
        yield running


def tensor(rows: np.ndarray) -> Any:
    """Rows as the client's input."""
    from tritonclient import http

    made = http.InferInput("x", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows)
    return made


def ask(client: Any, rows: np.ndarray) -> np.ndarray:
    """One request."""
    return client.infer("product", [tensor(rows)]).as_numpy("y")


def client(server: Server, at_once: int = 1) -> Any:
    """A client of Triton's own."""
    from tritonclient import http

    return http.InferenceServerClient(server.url, concurrency=at_once)


def processes_of(folder: Path) -> list[int]:
    """Processes that have a folder of a server in their command line or environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
            dead = "State:\tZ" in (place / "status").read_text()
        except OSError:
            continue
        if not dead and str(folder).encode() in text and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def test_health_and_metadata(server: Server) -> None:
    asked = client(server)
    assert asked.is_server_live() and asked.is_server_ready() and asked.is_model_ready("product")
    told = asked.get_model_metadata("product")
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]
    config = asked.get_model_config("product")
    assert config["max_batch_size"] == 16 and config["dynamic_batching"]["preferred_batch_size"] == [4, 16]
    assert config["model_warmup"][0]["batch_size"] == 16


def test_a_thousand_requests_to_the_bit_in_real_batches(
    server: Server, repository: Path, asked: Callable[..., Any]
) -> None:
    batches = asked(server.url, (repository / "product" / "1" / "model.plan").read_bytes())
    assert 4 < max(batches) <= 16 and sum(batches.values()) < 500, f"few requests were put together: {batches}"


def test_what_the_engine_refuses_comes_back_in_words(server: Server) -> None:
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="64"):
        ask(client(server), np.zeros((1, 63), np.float32))
    with pytest.raises(InferenceServerException, match="batch"):
        ask(client(server), np.zeros((17, 64), np.float32))


def test_killed_while_it_serves_and_started_again(repository: Path) -> None:
    rows = np.ones((2, 64), np.float32)
    with Server(repository) as first:
        before = ask(client(first), rows)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        with pytest.raises(OSError):
            ask(client(first), rows)
        assert not first.ready()
    with Server(repository) as second:
        np.testing.assert_array_equal(ask(client(second), rows), before)
    assert not processes_of(first.folder) and not processes_of(second.folder)


def test_it_listens_on_loopback_only(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    listening = Path("/proc/net/tcp").read_text(encoding="utf-8") + Path("/proc/net/tcp6").read_text(encoding="utf-8")
    places = [line.split()[1] for line in listening.splitlines() if line.split()[3:4] == ["0A"]]
    assert [place for place in places if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_a_port_in_use(repository: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LessonError, match=f"port {port}"):
            Server(repository, port=port)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("data_type: TYPE_FP32 dims: [64]", "data_type: TYPE_FP32 dims: [63]", "contradicts the plan"),
        ('name: "x"', 'name: "images"', "contradicts the plan"),
    ],
)
def test_a_config_that_contradicts_the_plan(model: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    place = write(model, tmp_path, batches=BATCHES)
    text = (place / "config.pbtxt").read_text()
    assert old in text
    (place / "config.pbtxt").write_text(text.replace(old, new))
    with pytest.raises(LessonError, match=words):
        Server(tmp_path)


def test_a_plan_of_another_version_in_the_repository(model: Path, tmp_path: Path) -> None:
    place = write(model, tmp_path, batches=BATCHES)
    (place / "1" / "model.plan").write_bytes(b"ptrt" + b"\x00" * 64)
    with pytest.raises(LessonError, match=r"(?i)plan"):
        Server(tmp_path)


def test_a_batch_that_the_plan_does_not_take(model: Path, tmp_path: Path) -> None:
    place = write(model, tmp_path, batches=(1, 4))
    with pytest.raises(LessonError, match="batches of 8 are asked for, the plan of other takes 4"):
        write(place / "1" / "model.plan", tmp_path, name="other", batches=(1, 8))


def test_a_server_dies_with_its_block(repository: Path) -> None:
    with Server(repository) as running:
        group = subprocess.run(["ps", "-o", "pid=", "-g", str(running.process.pid)], capture_output=True, text=True)
        assert len(group.stdout.split()) >= 2  # the server and the Python that holds the session
    assert not processes_of(running.folder)


def test_the_command_writes_it_and_triton_takes_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from trt_lessons.cli import main

    assert main(["serve-config", str(model), "--output", str(tmp_path), "--batches", "1", "4", "--check"]) == 0
    assert "Triton is ready" in capsys.readouterr().out
    assert main(["serve-config", str(model), "--output", str(tmp_path), "--name", "a b"]) == 1
    assert "cannot be a model's name" in capsys.readouterr().err
