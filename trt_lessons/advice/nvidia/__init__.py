"""NVIDIA's compiler, TensorRT-RTX, asked about a model: on any Linux or Windows machine with x86-64, GPU or not.

    answer = nvidia.ask("model.onnx")
    answer.verdict, answer["SM89"].plan_bytes, answer["SM89"].table

TensorRT-RTX is not TensorRT: strongly typed only, no plugins, and what it says is shown as its word. It is asked in a
process of its own, so that a crash, a hang or a wrong version never reaches the kernel. Introduced in lesson 08.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import messages
from ...engines import profiles as ranges
from ...errors import CacheError, LessonError, ModelFileError
from ...files import sha256
from . import process, shelf
from .answer import SCHEMA, Answer, Build, summary, take
from .function import pack

__all__ = ["CARDS", "Answer", "Availability", "Build", "ask", "available", "summary"]

PACKAGE = "tensorrt-rtx-cu12"
TESTED = "1.7"
CARDS = {
    "SM80": "Ampere for data centres: A100",
    "SM86": "Ampere: GeForce RTX 30, A10",
    "SM89": "Ada: GeForce RTX 40, L4, L40S",
    "SM120": "Blackwell: GeForce RTX 50",
    "SM121": "Blackwell: DGX Spark",
}
TIMEOUT = 60.0  # seconds for one model on all its cards
_SAID: set[str] = set()
LARGEST = 2**31 - 1  # bytes of one ONNX file: protobuf's limit


@dataclass(frozen=True)
class Availability:
    """Can NVIDIA's compiler be asked here? True or False; str() says why, and what to do."""

    ok: bool
    why: str
    cure: str = ""
    version: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        refusal = f"NVIDIA's compiler cannot be asked here: {self.why}. {self.cure}"
        return self.why if self.ok else messages.told(refusal).rstrip()


def available() -> Availability:
    """Whether TensorRT-RTX is here and loads, tried in a process of its own; never raises."""
    if (system := _unfit_system()) is not None:
        return system
    install = f"In the workbook's folder: make lab, or pip install {PACKAGE}=={TESTED}.*"
    if importlib.util.find_spec("tensorrt_rtx") is None:
        return Availability(False, "TensorRT-RTX is not installed", f"{install} (89 MB, under NVIDIA's licence).")
    return _imports(_wheel(), install)


def _unfit_system() -> Availability | None:
    system, machine = platform.system(), platform.machine().lower()
    elsewhere = "Use Linux or Windows on x86-64; the lessons show recorded answers."
    if system not in ("Linux", "Windows"):
        return Availability(False, f"NVIDIA has no TensorRT-RTX for {system.replace('Darwin', 'macOS')}", elsewhere)
    if machine not in ("x86_64", "amd64"):
        return Availability(False, f"NVIDIA has no TensorRT-RTX for {machine}", elsewhere)
    name, version = platform.libc_ver()
    if system == "Linux" and not (name == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 28)):
        why = f"TensorRT-RTX needs glibc 2.28 or later, here is {name or 'another C library'} {version}".rstrip()
        return Availability(False, why, elsewhere)
    return None


def _wheel() -> str:
    """Version of the installed wheel, "" where it does not say."""
    for name in (PACKAGE, "tensorrt-rtx-cu13", "tensorrt-rtx"):
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return ""


@functools.lru_cache(maxsize=4)
def _imports(wheel: str, install: str) -> Availability:
    code = "import tensorrt_rtx as t; t.Builder; print(t.__version__)"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT)
        error = (done.stderr.strip().splitlines() or [_ending(done.returncode)])[-1]
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Availability(False, f"the process that imports it does not answer ({problem})", install)
    if done.returncode:
        again = f"pip install --force-reinstall {PACKAGE}=={TESTED}.*"
        return Availability(False, f"TensorRT-RTX {wheel} is installed but does not load: {error}", again, wheel)
    version = done.stdout.split()[-1]
    remark = [] if version.startswith(TESTED) else [messages.later(f"(the lessons were tested with {TESTED})")]
    return Availability(True, " ".join(["TensorRT-RTX", version, *remark]), version=version)


def ask(
    model: Any,
    cards: str | Sequence[str] = ("SM86", "SM89", "SM120"),
    profiles: Any = None,
    *,
    name: str | None = None,
    log: str = "WARNING",
    timeout: float = TIMEOUT,
    cache: bool = True,
    recorded: str = "",
) -> Answer:
    """Ask NVIDIA's compiler: does it parse, does it build for each card, what is in the engine.

    model: path of an ONNX file, bytes, an onnx.ModelProto, or a function that fills a network (see `function`).
    cards: compute capabilities of `CARDS`; () asks for parsing only. profiles: {input: (min, opt, max)}, or several.
    log: the least severe lines kept. timeout: seconds for the whole process, which is killed with its children.
    cache: take and keep answers, by model, options and version. recorded: "lesson/name" under which the answer is
    recalled where the compiler is missing (with TRT_LESSONS_RECORD=1 it is recorded).
    A crash or a timeout is an answer (`ended`). ModelFileError, BuildError: what was given cannot be asked.
    """
    cards = _cards(cards)
    read = [{k: [list(s) for s in v] for k, v in p.items()} for p in ranges.read(profiles)]
    request = {"cards": cards, "profiles": read, "log": log, "function": None, "model": ""}
    there = available()
    if not there:
        return _recall(recorded, there, name or "model")
    with _exchange() as folder:
        called, digest = _put(model, request, folder)
        key = sha256(json.dumps([SCHEMA, digest, {**request, "model": ""}, there.version]).encode())
        answer = shelf.take_cached(key) if cache else None
        if answer is None:
            answer = _run(folder, request, Answer(called), timeout)
            if cache and not answer.ended:
                shelf.keep(key, answer)
    answer.name = name or called
    if recorded and os.environ.get("TRT_LESSONS_RECORD") == "1":
        shelf.record(recorded, answer)
    return answer


def _cards(cards: str | Sequence[str]) -> list[str]:
    cards = [cards] if isinstance(cards, str) else list(cards)
    for card in cards:
        if card not in CARDS:
            known = "; ".join(f"{sm} ({text})" for sm, text in CARDS.items())
            raise LessonError(
                f"there is no card {card!r} for TensorRT-RTX", why=f"it builds for {known}", cure="one of these"
            )
    return list(dict.fromkeys(cards))


@contextmanager
def _exchange() -> Iterator[Path]:
    """An empty folder for one question; it is removed whatever happens."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="trt-lessons-nvidia-"))
    except OSError as error:
        raise _no_room(error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_room(error: OSError) -> CacheError:
    return CacheError(
        "NVIDIA's compiler cannot be asked: the model cannot be written for it",
        why=error.strerror or str(error),
        cure=f"free some space in {tempfile.gettempdir()}, or set TMPDIR to a larger disk",
    )


def _recall(recorded: str, there: Availability, name: str) -> Answer:
    """What was recorded, or an empty answer that says why; one line is printed, once."""
    answer = shelf.recall(recorded) if recorded else None
    if answer is None:
        print(there)
        return Answer(name, source="missing", ended=str(there))
    if there.why not in _SAID:
        _SAID.add(there.why)
        print(messages.told(f"Recorded with TensorRT-RTX {answer.version}, because {there.why}."))
    return answer


# ---- the model ----


def _put(model: Any, request: dict[str, Any], folder: Path) -> tuple[str, str]:
    """Put the model, and the program that asks, into the folder; (its name, sha256 of what it is)."""
    try:
        shutil.copy(process.__file__, folder / "process.py")
        if isinstance(model, (str, os.PathLike)):
            path = _file(Path(model))
            request["model"] = str(path)
            return path.stem, _digest(path)
        if callable(model) and not hasattr(model, "SerializeToString"):
            request["function"], arrays = pack(model)
            return _put_function(request["function"], arrays, folder)
        data, called = _bytes(model)
        (folder / "model.onnx").write_bytes(data)
    except OSError as error:
        if isinstance(error, LessonError):
            raise
        raise _no_room(error) from error
    request["model"] = str(folder / "model.onnx")
    return called, sha256(data)


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ModelFileError(
            f"there is no file {path}", why=f"looked in {path.absolute().parent}", cure="check the spelling"
        )
    if path.stat().st_size > LARGEST:
        raise _too_large(f"{path} has {path.stat().st_size:,} bytes")
    return path.resolve()


def _too_large(what: str) -> ModelFileError:
    return ModelFileError(
        what,
        why="one ONNX file holds 2 GiB at most (protobuf's limit): no parser can read more",
        cure="onnx.save(model, path, save_as_external_data=True), and ask about that path",
    )


def _digest(path: Path) -> str:
    """sha256 of a model's file and of the files beside it that may hold its weights (names, sizes and times)."""
    stats = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.parent.iterdir()) if p.is_file()]
    data = path.read_bytes()
    beside = json.dumps(stats).encode() if b"external" in data or b"location" in data else b""
    return sha256(sha256(data).encode() + beside)


def _bytes(model: Any) -> tuple[bytes, str]:
    if isinstance(model, (bytes, bytearray, memoryview)):
        data, called = bytes(model), "model"
    elif hasattr(model, "SerializeToString"):
        try:
            data, called = model.SerializeToString(deterministic=True), model.graph.name or "model"
        except Exception as error:  # protobuf has had several classes for this
            raise _too_large(f"the model cannot be written as one ONNX file ({type(error).__name__})") from error
    else:
        cure = "give a path, bytes, an onnx.ModelProto, or a function that takes a network"
        raise ModelFileError(f"NVIDIA's compiler cannot be asked about a {type(model).__name__}", cure=cure)
    if len(data) > LARGEST:
        raise _too_large(f"the model has {len(data):,} bytes")
    return data, called


def _put_function(sent: dict[str, Any], arrays: dict[str, Any], folder: Path) -> tuple[str, str]:
    import numpy as np

    told = json.dumps({**sent, "path": []}).encode()
    if arrays:
        np.savez(folder / "arrays.npz", **arrays)
        told += b"".join(
            k.encode() + str(a.dtype).encode() + str(a.shape).encode() + a.tobytes() for k, a in arrays.items()
        )
    return sent["function"], sha256(told)


# ---- the process ----


def _run(folder: Path, request: dict[str, Any], answer: Answer, timeout: float) -> Answer:
    """Start the process, wait for it, kill it with its children at the end of its time; read what it said."""
    (folder / "request.json").write_text(json.dumps(request), "utf-8")
    with open(folder / "words.txt", "wb") as words:
        child = subprocess.Popen(
            _command(),
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            start_new_session=os.name == "posix",
        )
        try:
            ended = _ending(child.wait(timeout))
        except subprocess.TimeoutExpired:
            ended = f"NVIDIA's compiler was stopped after {timeout:g} s; give more time with timeout="
        finally:
            _kill(child)
    return _read(folder, request, answer, ended)


def _command() -> list[str]:
    return [sys.executable, "process.py"]


def _kill(child: subprocess.Popen) -> None:
    """End the process and all that it started."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(child.pid)], capture_output=True)
    child.wait()
    child.stdin.close()


def _ending(code: int) -> str:
    """How a process ended, in words; "" for a good end."""
    if code >= 0:
        return f"NVIDIA's compiler ended with status {code}" if code else ""
    with suppress(ValueError):
        hint = ": no free memory, or it was killed" if -code == 9 else ""
        return f"NVIDIA's compiler ended with signal {-code} ({signal.Signals(-code).name}{hint})"
    return f"NVIDIA's compiler ended with signal {-code}"


def _read(folder: Path, request: dict[str, Any], answer: Answer, ended: str) -> Answer:
    whole = False
    for told in _lines(folder / "answers.jsonl"):
        if told["kind"] == "failed":
            ended = f"your function raised {told['words']}"
        elif told["kind"] == "end":
            whole = True
        else:
            take(answer, told)
    if whole:
        return answer
    last = (folder / "words.txt").read_text("utf-8", "replace").strip().splitlines()
    answer.ended = ended or "NVIDIA's compiler ended without an answer"
    if last and "status" in answer.ended:
        answer.ended += f": {last[-1][:300]}"
    for card in request["cards"] if answer.parsed else ():
        answer.builds.setdefault(card, Build(card, False, ended=answer.ended))
    return answer


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines that the process wrote; a kill may cut the last."""
    if path.exists():
        for line in path.read_text("utf-8").splitlines(keepends=True):
            with suppress(json.JSONDecodeError):
                yield json.loads(line)
