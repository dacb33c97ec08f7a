"""Ray, joined or started here: on the loopback address unless told otherwise, with processes that start quickly.

Between its machines Ray sends pickled Python objects, and unpickling runs code: whoever reaches a cluster's ports, with
its token where it has one, can do there what you can. So a cluster belongs on a network of its own and has a token
(RAY_AUTH_MODE=token on every machine; it encrypts nothing), and `address` names only clusters that you trust.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LessonError

LOCAL = "127.0.0.1"
LIGHT = Path(__file__).with_name("light")
PATIENT = {  # a busy machine starts a process in tens of seconds; Ray's own limits are 15 and 30 s
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_USAGE_STATS_ENABLED": "0",
}
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray calls this machine 127.0.0.1, as it does on those systems
TOKEN = "RAY_AUTH_MODE=token here, the cluster's token in ~/.ray/auth_token, and the cluster's version of Ray"
CURE = "start it (ray start --head), or leave --address out to use this machine"


@contextlib.contextmanager
def quick(local: bool = True) -> Iterator[Any]:
    """Ray's module; processes that Ray starts inside the block listen on loopback and leave out what only takes time.

    local: False for a cluster of several machines. LessonError where Ray is not installed.
    """
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    if local:
        os.environ.setdefault(LOOPBACK, "0")
        own_token()
    before, grammar = os.environ.get("PYTHONPATH"), sys.modules.get("rfc3987_syntax")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LIGHT), before]))
    sys.modules.setdefault("rfc3987_syntax", None)  # the same for this process, while it imports Ray
    try:
        yield _module()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        if grammar is None:
            sys.modules.pop("rfc3987_syntax", None)


def own_token() -> None:
    """Ray's token in ~/.ray/auth_token, for this user alone: Ray itself writes it where others can read it."""
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with contextlib.suppress(FileExistsError), os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    path.chmod(0o600)


def _module() -> Any:
    """Ray, imported."""
    try:
        import ray
    except ImportError as error:
        raise LessonError(
            "this runs on Ray, and Ray is not installed", why=str(error), cure="pip install 'trt-lessons[scale]'"
        ) from None
    return ray


class Cluster:
    """Ray in a `with` block: this process's own if it has one, else joined or started, and ended afterwards."""

    def __init__(self, address: str | None = None, **options: Any) -> None:
        """address: "auto" or host:port of a cluster; None: this machine. options: for ray.init where it starts here."""
        self.address, self.options = address, options

    def __enter__(self) -> Any:
        host = (self.address or LOCAL).removeprefix("ray://").rpartition(":")[0]
        local = not self.address or host == "localhost" or host.startswith("127.")
        with quick(local) as ray:
            self.ray, self.ours = ray, not ray.is_initialized()
            if self.ours:
                self._join()
        return ray

    def _join(self) -> None:
        quiet = {"log_to_driver": False, "logging_level": "error"}
        if self.address:
            there = knock(self.address)
            try:
                self.ray.init(address=self.address, **quiet)
            except ConnectionError as error:
                if there:
                    words = f"the Ray cluster at {self.address} does not let this process in"
                    raise LessonError(words, why=str(error), cure=TOKEN) from error
                raise LessonError(f"no Ray cluster answers at {self.address}", why=str(error), cure=CURE) from error
        else:
            self._start({"include_dashboard": False, "_node_ip_address": LOCAL, **self.options, **quiet})
        self._say(False)

    def _start(self, options: dict[str, Any], tries: int = 2) -> None:
        """Ray on this machine; once more where a busy machine did not start its processes in Ray's 30 s."""
        for left in reversed(range(tries)):
            try:
                self.ray.init(address="local", **options)
                return
            except Exception as error:  # Ray raises a plain Exception here
                self.ray.shutdown()
                if not left or "timed out" not in str(error):
                    cure = "try again when this machine is less busy"
                    raise LessonError("Ray did not start on this machine", why=str(error), cure=cure) from error

    def _say(self, aloud: bool) -> None:
        """Whether Ray prints of each dead worker at length: the journal of a sweep says it in a line."""
        self.ray._private.worker._worker_logs_enabled = aloud

    def __exit__(self, *_: object) -> None:
        if self.ours:
            self.ray.shutdown()
            self._say(True)


def knock(address: str | None) -> bool:
    """Whether the address is host:port and somebody listens there.

    LessonError where nobody does: Ray itself would try for most of a minute.
    """
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return False
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        return True
    except OSError as error:
        raise LessonError(f"no Ray cluster answers at {address}", why=str(error), cure=CURE) from None
