#!/usr/bin/env python3
"""Builds the workbook's environment: a venv, uv inside it, the packages of constraints.txt.

Standard library only: it runs before anything is installed. Safe to interrupt (an unfinished
environment is built again) and safe to start twice at once (the second waits for the first, and for
the installers of a first that was killed).
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 13)
CUDA_TORCH = "cu129"  # the CUDA major of tensorrt-cu12
TORCH = "2.13.0"
INDEX_TORCH = "527 MB, and 2.5 GB of CUDA packages that it cannot be imported without; 5.8 GB on disk in all"
CONFLICT = """the versions that are asked for do not go together: {}
    (nothing is wrong with the network; the lines above say who asks for what)
  cure: make env TORCH_BACKEND=cpu or TORCH_BACKEND= (the package index's torch), whichever you have not set;
    is there a constraint of your own (UV_CONSTRAINT, uv.toml)?"""
NEEDED = 2e9  # bytes of an environment without TensorRT
INDEX = """a package did not arrive whole, or not at all; the lines above name it
    ("invalid" or "not found" can mean that the network or a proxy cut it off)
  cure: the same command again: what has arrived is kept, the rest is fetched. If that does not help:
    the network or a proxy (HTTPS_PROXY), the package index (PIP_INDEX_URL names another),
    free space; UV_FIND_LINKS names a folder of wheels"""
OPTIONAL = {  # extras that a build goes on without: what comes, and how to say no
    "nvidia": "NVIDIA's TensorRT-RTX 1.7.1: 89 MB to download, under NVIDIA's own licence; RTX=no leaves it out",
    "scale": "Ray and Triton's client for lesson 09: 110 MB to download, 300 MB on disk",
}
ALONE = {  # an extra -> a package that comes with it without what it asks for: only its programs are used
    "scale": ("nvidia-pytriton", "NVIDIA's Triton server: 55 MB to download, 145 MB on disk"),
}
INPUTS = ("pyproject.toml", "constraints.txt", "tools/environment.py")


def say(text: str) -> None:
    """One line about what happens now."""
    print(f"trt-lessons: {text}", flush=True)


def stop(text: str) -> None:
    """End with a message and a non-zero status."""
    sys.exit(f"trt-lessons: {text}")


def driver_cuda() -> int:
    """The newest CUDA major that the NVIDIA driver takes; 0 without a driver that answers with a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return 0
    return version.value // 1000 if driver.cuDriverGetVersion(ctypes.byref(version)) == 0 else 12


def suitable_python() -> str:
    """Path of a Python that the workbook supports: this one, else the newest supported on PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other and subprocess.run([other, "-c", ""], capture_output=True).returncode == 0:
            return other
    here = ".".join(map(str, sys.version_info[:2]))
    stop(f"Python {here} is not supported; install Python 3.10 to 3.13, or say which: make PYTHON=python3.11")
    raise AssertionError


def from_pip(option: str, *variables: str) -> str:
    """The first of these environment variables that is set, else pip's own configuration; else empty."""
    for name in variables:
        if os.environ.get(name):
            return os.environ[name]
    ask = [sys.executable, "-m", "pip", "config", "get", f"global.{option}"]
    answer = subprocess.run(ask, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def uv_settings(uv: Path) -> dict[str, str]:
    """uv's settings as they are for pip: a folder of wheels, a package index; and whether it has a cache."""
    links = from_pip("find-links", "UV_FIND_LINKS", "PIP_FIND_LINKS")
    index = from_pip("index-url", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    told = {"UV_FIND_LINKS": links, "UV_DEFAULT_INDEX": index}
    return {name: value for name, value in told.items() if value} | without_cache(uv)


def in_folder(links: str, python: Path) -> bool:
    """True when a folder of wheels has torch for this Python; an address is taken to have it."""
    ask = [python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]
    tag = subprocess.run(ask, capture_output=True, text=True).stdout.strip()
    folders = links.replace(",", " ").split()
    return any("://" in f or any(Path(f).glob(f"torch-{TORCH}*-{tag}-*.whl")) for f in folders)


def answers(backend: str, uv: Path, python: Path, env: dict[str, str]) -> bool:
    """True when PyTorch's own index answers within seconds (nothing is downloaded or installed)."""
    ask = [uv, "pip", "install", "-q", "--python", python, "--dry-run", "--no-deps", "--reinstall"]
    brief = {**env, "UV_HTTP_TIMEOUT": "5", "UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}
    ask += [f"--torch-backend={backend}", f"torch=={TORCH}"]
    try:
        return subprocess.run(ask, env=brief, capture_output=True, timeout=30).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def torch_source(uv: Path, python: Path, gpu: bool, env: dict[str, str]) -> str:
    """uv's name for the build of torch; "" for what the folder of wheels or the package index has.

    The builds for the CPU and for CUDA 12 lie on PyTorch's own index; where it does not answer, the package
    index's build is taken, which on Linux is one for CUDA 13, and a line says how large that is.
    """
    if "TORCH_BACKEND" in os.environ:
        return os.environ["TORCH_BACKEND"]
    if in_folder(env.get("UV_FIND_LINKS", ""), python):
        return ""
    backend = CUDA_TORCH if gpu else "cpu"
    if answers(backend, uv, python, env):
        return backend
    size = INDEX_TORCH if sys.platform == "linux" else "about 120 MB"
    say(f"PyTorch's own index does not answer: taking the package index's build of torch {TORCH} ({size})")
    return ""


def gpu_extra(backend: str, cuda: int) -> str:
    """The TensorRT packages that go with a build of torch and a driver: `gpu` (CUDA 12) or `gpu13` (CUDA 13)."""
    return "gpu13" if cuda >= 13 and (not backend or backend.startswith("cu13")) else "gpu"


def fingerprint() -> str:
    """sha256 over the files that decide what is installed."""
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()


def installed(venv: Path) -> tuple[str, set[str]]:
    """What a finished environment was built from: (fingerprint, extras); ("", set()) if unfinished.

    An optional extra that was tried and could not be had is there with a `?` behind its name.
    """
    done = venv / ".complete"
    if not done.exists() or (venv / ".building").exists() or not (venv / "bin" / "python").exists():
        return "", set()
    words = done.read_text().split()
    return words[0], set(words[1:])


def run(command: list[str], why: str, lock: OneAtATime, env: dict[str, str] | None = None) -> None:
    """Run a command, which holds the lock as well; end with why it may have failed, and the cure."""
    process = subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=lock.held, stderr=subprocess.PIPE, text=True)
    said = ""
    for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        said += line
    if process.wait():
        why = conflict(said) or why
        free = shutil.disk_usage(lock.path.parent).free
        if free < NEEDED / 20:
            why = f"{lock.path.parent} has {free / 1e6:.0f} MB left; it takes {NEEDED / 1e9:.0f} GB, with CUDA 6\n"
            why += "  cure: make room, or name another folder: make lab VENV=FOLDER"
        stop(f"this command failed: {' '.join(map(str, command))}\n  why:  {why}")


def conflict(said: str) -> str:
    """Why and cure, with the names of the packages, where uv found that versions do not go together; else empty."""
    told = re.search(r"Because (?:only )?(.*?depends on .*?)(?:,? we can conclude|$)", said, re.S)
    if "No solution found" not in said or not told:
        return ""
    names = re.findall(r"(?<![\w.-])([A-Za-z][\w.-]*)(?:\{[^}]*\}|\[[^]]*\])?[=<>!~]=?", told[1])
    return CONFLICT.format(" and ".join(list(dict.fromkeys(names))[:2]))


class OneAtATime:
    """A lock on a file beside the environment; says so when it has to wait.

    Commands inherit the open file (`held`): when this process is killed, the lock lasts until they have ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> OneAtATime:
        import fcntl

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("w")
        self.held = (self.file.fileno(),)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds this environment; waiting for it ...")
            fcntl.flock(self.file, fcntl.LOCK_EX)
        except OSError:
            say("this file system has no locks: start one build at a time")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def discard(venv: Path) -> None:
    """Remove a venv that this program made: renamed first, so that a kill leaves no half of it in place."""
    ours = any((venv / mark).exists() for mark in (".building", ".complete"))
    if not ours and any(venv.iterdir()):
        stop(
            f"{venv} is there, and is no working environment\n"
            "  why:  something else made it, so it is not removed\n"
            "  cure: move it away, or name another folder: make lab VENV=FOLDER"
        )
    venv.rename(old_name(venv))
    shutil.rmtree(old_name(venv), ignore_errors=True)


def old_name(venv: Path) -> Path:
    """Where a venv waits to be removed."""
    return venv.with_name(venv.name + ".old")


def create(venv: Path, lock: OneAtATime) -> None:
    """An empty venv, marked as unfinished; what an interrupted build left is removed first."""
    unfinished = venv / ".building"
    python = venv / "bin" / "python"
    works = python.exists() and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    shutil.rmtree(old_name(venv), ignore_errors=True)  # what a kill left
    if venv.exists() and (unfinished.exists() or not works):
        discard(venv)
        say(f"{venv.name} was unfinished; building it again")
    if not venv.exists():
        venv.mkdir(parents=True)
        unfinished.touch()
        why = "Python's module venv is not whole\n  cure: install it (Debian, Ubuntu: apt install python3-venv), again"
        run([suitable_python(), "-m", "venv", str(venv)], why, lock)
    unfinished.touch()


def install(venv: Path, extras: list[str], optional: list[str], lock: OneAtATime) -> set[str]:
    """uv, then the project (editable) with its extras at the pinned versions.

    Args:
        venv: A venv, perhaps with an older state of the packages.
        extras: Those that must come; where one cannot be had, the program ends.
        optional: Those that a build goes on without.
        lock: Held by the commands as well.

    Returns:
        All that was asked for, an optional one that could not be had with a `?` behind its name.
    """
    python, uv = venv / "bin" / "python", venv / "bin" / "uv"
    env = {**os.environ, "VIRTUAL_ENV": str(venv), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if not uv.exists():
        run([str(python), "-m", "pip", "install", "-q", "uv"], INDEX, lock, env)
    env |= uv_settings(uv)
    base = [str(uv), "pip", "install", "--python", str(python), "-q", "-c", "constraints.txt"]
    gpu = "gpu" in extras
    backend = torch_source(uv, python, gpu, env)
    named = [gpu_extra(backend, driver_cuda()) if extra == "gpu" else extra for extra in extras]
    options = ["--build-constraints", "constraints.txt", *([f"--torch-backend={backend}"] if backend else [])]
    if "gpu" in named and not backend:  # torch for CUDA 13 asks for bindings that this driver is too old for
        (venv / "overrides.txt").write_text("cuda-bindings==12.9.10\n")
        options += ["--overrides", str(venv / "overrides.txt")]
    run([*base, *options, "-e", f".[{','.join(named)}]" if named else "."], INDEX, lock, env)
    missing = {extra for extra in optional if not add(extra, [*base, *options], venv, env)}
    for extra in ALONE.keys() & ({*extras, *optional} - missing):
        add_alone(extra, base, venv, env)
    log = venv / "pycuda.log"
    if gpu and not attempt([*base, "pycuda"], log, env):
        say(f"PyCUDA could not be built here (see {log}); going on with cuda-python, which does the same")
    return {*extras, *(extra + "?" if extra in missing else extra for extra in optional)}


def add(extra: str, base: list[str], venv: Path, env: dict[str, str]) -> bool:
    """Install an optional extra; where it cannot be had, a line says so and the rest stays as it is."""
    say(f"adding {OPTIONAL.get(extra, extra)}")
    log = venv / f"{extra}.log"
    added = attempt([*base, "-r", "pyproject.toml", "--extra", extra], log, env)
    if not added:
        say(f"it could not be had here (see {log}); going on without: what needs the extra `{extra}` says so")
    return added


def add_alone(extra: str, base: list[str], venv: Path, env: dict[str, str]) -> None:
    """Install the package that an extra brings without its dependencies; a line says so where it cannot be had."""
    package, what = ALONE[extra]
    log = venv / f"{package}.log"
    say(f"adding {what}")
    if not attempt([*base, "--no-deps", package], log, env):
        say(f"{package} could not be had here (see {log}); going on without: what needs it says so")


def attempt(command: list[str], log: Path, env: dict[str, str]) -> bool:
    """Run a command that may fail; what it said is kept in a log only if it did."""
    with log.open("w", encoding="utf-8") as out:
        failed = subprocess.run(command, cwd=ROOT, env=env, stdout=out, stderr=out).returncode
    if not failed:
        log.unlink()
    return not failed


def without_cache(uv: Path) -> dict[str, str]:
    """Setting that makes uv do without its cache, where that folder cannot be written (a read-only home)."""
    folder = Path(subprocess.run([uv, "cache", "dir"], cwd=ROOT, capture_output=True, text=True).stdout.strip())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        say(f"going on without uv's cache: {error}")
        return {"UV_NO_CACHE": "1"}
    return {}


def quiet_lab(venv: Path) -> None:
    """No questions about news and updates: versions are pinned, and a class may be offline."""
    folder = venv / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"fetchNews": "false", "checkForUpdates": False}
    text = json.dumps({"@jupyterlab/apputils-extension:notification": settings}, indent=2)
    (folder / "overrides.json").write_text(text + "\n")


def main() -> None:
    """Build or bring up to date; what goes wrong is said without a traceback."""
    try:
        build()
    except KeyboardInterrupt:
        say("interrupted; the next start builds it again")
        sys.exit(130)
    except OSError as error:
        stop(
            f"the environment cannot be written\n  why:  {error}\n"
            "  cure: make room, mend the permissions, or name another folder: make lab VENV=FOLDER"
        )


def to_install(must: set[str], may: set[str], extras: set[str]) -> tuple[set[str], set[str]]:
    """Which extras must come and which may, with those that the environment has from before (`installed`)."""
    before = {extra.rstrip("?") for extra in extras}
    must = must | (before - set(OPTIONAL))
    return must, (may | before & set(OPTIONAL)) - must


def build() -> None:
    """Does nothing when the inputs are those of the last build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", default=".venv")
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--optional", action="append", default=[], help="an extra that a build goes on without")
    parser.add_argument("--gpu", choices=["auto", "yes", "no"], default="no")
    args = parser.parse_args()
    venv = (ROOT / args.venv).resolve()
    must, may = set(args.extra), set(args.optional)
    if args.gpu == "yes" or (args.gpu == "auto" and driver_cuda()):
        must.add("gpu")
    with OneAtATime(venv.with_name(venv.name + ".lock")) as lock:
        before, extras = installed(venv)
        if before == fingerprint() and must <= extras and may <= {extra.rstrip("?") for extra in extras}:
            return
        must, may = to_install(must, may, extras)
        say(f"building {args.venv} ({', '.join(sorted(must | may)) or 'no extras'}) ...")
        started = time.monotonic()
        create(venv, lock)
        done = install(venv, sorted(must), sorted(may), lock)
        quiet_lab(venv)
        (venv / ".complete").write_text(" ".join([fingerprint(), *sorted(done)]) + "\n")
        (venv / ".building").unlink()
        say(f"{args.venv} is ready after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
