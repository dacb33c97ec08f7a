"""Measurements of neighbours take turns: one at a time on each GPU, so that nobody's numbers hold another's work.

Off unless TRT_LESSONS_GPU_LOCK is set: alone there is nobody to wait for. `1` keeps the locks in the machine's
temporary folder, anything else is the folder to use; the JupyterHub recipe in docs/classroom sets it for a class.
Building, inference and everything else go on beside a measurement.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from ..errors import MeasureError

SETTING = "TRT_LESSONS_GPU_LOCK"
PATIENCE_S = 2.0  # waiting longer than this is said
_held: ContextVar[bool] = ContextVar("trt_lessons_turn", default=False)


def folder() -> Path | None:
    """Where the locks lie; None: no turns are taken."""
    told = os.environ.get(SETTING, "").strip()
    if told in ("", "0"):
        return None
    return Path(tempfile.gettempdir()) / "trt-lessons-turns" if told == "1" else Path(told)


@contextlib.contextmanager
def turn(device: str | None = None) -> Iterator[None]:
    """Hold this machine's lock for one device while the block runs; waits, and says so after 2 s.

    device: names the lock; None asks the backend (the GPU's address on the bus, or "cpu").
    A line "start end pid" (seconds since 1970) is added to the lock's file when the turn is over. The lock goes
    with the process: a killed holder frees it. MeasureError when the folder cannot be used.
    """
    place = folder()
    if place is None or _held.get():  # a measurement inside a measurement: the turn is ours already
        yield
        return
    file = _open(place, device or _device())
    mark = _held.set(True)
    try:
        _wait(file)
        start = time.time()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # a full disk ends no measurement
                os.write(file, f"{start:.6f} {time.time():.6f} {os.getpid()}\n".encode())
    finally:
        _held.reset(mark)
        os.close(file)


def _device() -> str:
    from .. import backend

    return backend.cuda.Device(0).pci_bus_id() if backend.is_gpu() else "cpu"


def _open(place: Path, device: str) -> int:
    """The lock's file as a descriptor; MeasureError when it cannot be had."""
    path = place / f"{device.replace(':', '-')}.lock"
    try:
        try:
            return _make_or_open(path)
        except PermissionError:  # a neighbour has made it this moment, and is about to let all users in
            time.sleep(0.2)
            return _make_or_open(path)
    except OSError as error:
        raise MeasureError(
            f"Measurements cannot take turns: {path} cannot be used.",
            why=str(error),
            cure=f"Set {SETTING} to a folder that all users of this machine can write, or unset it.",
        ) from error


def _make_or_open(path: Path) -> int:
    """Folder and file are made so that every user of the machine can use them, whatever the umask."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o1777)  # as /tmp: all may write, nobody removes another's file
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(FileExistsError):
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(made, 0o666)
        return made
    return os.open(path, flags)  # without O_CREAT: Linux refuses it for another user's file in a sticky folder


def _wait(file: int) -> None:
    import fcntl  # not on Windows, and JupyterHub neither

    def say() -> None:
        print("waiting for a neighbour's measurement to end ...", flush=True)

    notice = threading.Timer(PATIENCE_S, say)
    notice.daemon = True
    notice.start()
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        notice.cancel()
