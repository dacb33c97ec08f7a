"""Triton Inference Server as a process of this one: started on the loopback address, ready or refused in words.

    with Server("repository") as server:
        server.url                     # "127.0.0.1:8123", for tritonclient.http.InferenceServerClient

The binary comes with the wheel `nvidia-pytriton`, or is `tritonserver` on the PATH (NVIDIA's container).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ...errors import LessonError

LOCAL = "127.0.0.1"


class Server:
    """A running Triton. Attributes: url ("host:port"), log (path), process."""

    def __init__(self, repository: str | Path, *, port: int = 0, host: str = LOCAL, wait_s: float = 60.0) -> None:
        """port: 0 takes a free one. host: loopback unless told otherwise. wait_s: for all models to be ready.

        LessonError when there is no binary, the port is taken, or a model is refused (Triton's words are quoted).
        """
        self.folder = Path(tempfile.mkdtemp(prefix="trt-lessons-triton-"))
        self.log = self.folder / "log"
        self.process: subprocess.Popen | None = None
        try:
            self.url = f"{host}:{free_port(host, port)}"
            self._start(Path(repository).resolve(), host)
            self._wait(wait_s)
        except BaseException:
            self.stop()
            raise

    def _start(self, repository: Path, host: str) -> None:
        binary, backends = _binary(self.folder)
        command = [binary, f"--model-repository={repository}", "--disable-auto-complete-config"]
        command += [f"--http-address={host}", f"--http-port={self.url.rpartition(':')[2]}", "--allow-grpc=false"]
        command += ["--allow-metrics=false", "--exit-timeout-secs=5"]
        command += [f"--backend-directory={backends}"] if backends else []
        libraries = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
        environment = {
            **os.environ,
            "TRT_LESSONS_SERVE_PATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), *sys.path])),
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=self.folder
            )

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise LessonError(f"Triton ended with {self.process.returncode}", why=self.words(), cure="mend that")
            if self.ready():
                return
            time.sleep(0.1)
        raise LessonError(f"Triton is not ready after {seconds:g} s", why=self.words(), cure="give it longer: wait_s=")

    def ready(self) -> bool:
        """Whether the server and all its models answer."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.url}/v2/health/ready", timeout=5) as r:
            return r.status == 200
        return False

    def words(self) -> str:
        """What Triton's log says of errors, one line each."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        wrong = [line for line in lines if line[:1] == "E" or "UNAVAILABLE" in line or line.startswith("error")]
        return "\n".join(wrong[:6] or lines[-3:])

    def stop(self) -> None:
        """End the server and its Python processes; harmless the second time."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


def free_port(host: str, port: int) -> int:
    """The port asked for if it is free, or a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            cure = "name another port, or 0 for a free one"
            raise LessonError(f"port {port} of {host} cannot be used", why=str(error), cure=cure) from None
        return probe.getsockname()[1]


def missing() -> str:
    """Why there is no Triton here; empty where there is one."""
    wheel = importlib.util.find_spec("pytriton")
    if wheel is None:
        return "" if shutil.which("tritonserver") else "no tritonserver: pip install --no-deps nvidia-pytriton"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = Path(wheel.origin).parent / "tritonserver" / "python_backend_stubs" / version
    return "" if stub.is_dir() else f"nvidia-pytriton has no Python backend for Python {version}"


def _binary(folder: Path) -> tuple[str, Path | None]:
    """(tritonserver, its folder of backends): the wheel's, put together here, or the PATH's."""
    if reason := missing():
        raise LessonError(
            "Triton Inference Server is not here", why=reason, cure="pip install --no-deps nvidia-pytriton"
        )
    wheel = importlib.util.find_spec("pytriton")
    if wheel is None:
        return "tritonserver", None
    root = Path(wheel.origin).parent / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = folder / "backends" / "python"
    place.mkdir(parents=True)
    stubs = root / "python_backend_stubs" / version
    for file in [*(root / "backends" / "python").iterdir(), *stubs.iterdir()]:
        (place / file.name).symlink_to(file)
    return str(root / "bin" / "tritonserver"), place.parent
