"""The builder of the environment: what it does after a kill, beside another one, and where it may not write."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

FILE = Path(__file__).resolve().parents[2] / "tools" / "environment.py"
spec = importlib.util.spec_from_file_location("trt_lessons_environment", FILE)
environment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(environment)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Something that looks like a finished environment."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / "rest").touch()
    (venv / ".complete").write_text("abc dev\n")
    return venv


def create(venv: Path, monkeypatch) -> list[str]:
    """Create with commands that are only noted; their words."""
    commands = []
    monkeypatch.setattr(environment, "run", lambda command, *rest: commands.append(" ".join(command)))
    with environment.OneAtATime(venv.with_name("venv.lock")) as lock:
        environment.create(venv, lock)
    return commands


def test_a_finished_one_is_used_as_it_is(venv: Path) -> None:
    assert environment.installed(venv) == ("abc", {"dev"})


@pytest.mark.parametrize("damage", ["building", "no python", "not complete"])
def test_an_unfinished_one_is_seen(venv: Path, damage: str) -> None:
    if damage == "building":
        (venv / ".building").touch()
    elif damage == "no python":
        (venv / "bin" / "python").unlink()
    else:
        (venv / ".complete").unlink()
    assert environment.installed(venv) == ("", set())


def test_an_unfinished_one_is_made_again(venv: Path, monkeypatch) -> None:
    (venv / ".building").touch()
    old = venv.with_name("venv.old")  # what a kill left while an older one was removed
    (old / "bin").mkdir(parents=True)
    assert "-m venv" in create(venv, monkeypatch)[0]
    assert not (venv / "rest").exists() and (venv / ".building").exists() and not old.exists()


def test_one_to_update_is_kept_and_marked(venv: Path, monkeypatch) -> None:
    assert create(venv, monkeypatch) == []
    assert (venv / "rest").exists() and environment.installed(venv) == ("", set())


def test_somebody_elses_folder_is_never_removed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="not removed"):
        create(tmp_path / "venv", monkeypatch)
    assert (tmp_path / "venv" / "thesis.tex").exists()


def test_the_lock_outlives_a_killed_builder_until_its_command_ends(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(FILE.parent)!r})
from environment import OneAtATime, run
from pathlib import Path
with OneAtATime(Path("lock")) as lock:
    run(["sh", "-c", "echo started; sleep 0.5"], "", lock)
"""
    builder = subprocess.Popen([sys.executable, "-B", "-c", program], cwd=tmp_path, stdout=subprocess.PIPE)
    builder.stdout.readline()
    os.kill(builder.pid, signal.SIGKILL)
    builder.wait()
    with (tmp_path / "lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        started = time.monotonic()
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert time.monotonic() - started < 5
    builder.stdout.close()


@pytest.mark.parametrize(("free", "words"), [(3e6, "3 MB left"), (9e9, "of old age")])
def test_a_command_that_fails(tmp_path: Path, monkeypatch, free: float, words: str) -> None:
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    with environment.OneAtATime(tmp_path / "lock") as lock, pytest.raises(SystemExit) as stopped:
        environment.run(["false"], "of old age\n  cure: rest", lock)
    assert words in str(stopped.value) and "cure: " in str(stopped.value)


@pytest.mark.parametrize(
    ("problem", "words"),
    [(PermissionError(13, "Permission denied", "x.lock"), "Permission denied: 'x.lock'"), (KeyboardInterrupt(), "")],
)
def test_no_traceback(monkeypatch, capsys, problem: BaseException, words: str) -> None:
    def fails() -> None:
        raise problem

    monkeypatch.setattr(environment, "build", fails)
    with pytest.raises(SystemExit) as stopped:
        environment.main()
    if words:
        assert words in str(stopped.value) and "cure:" in str(stopped.value)
    else:
        assert stopped.value.code == 130 and "interrupted" in capsys.readouterr().out


def test_uv_goes_on_without_a_cache(tmp_path: Path, monkeypatch, capsys) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho {tmp_path}/file/uv\n")
    uv.chmod(0o755)
    assert environment.without_cache(uv) == {} and (tmp_path / "file" / "uv").is_dir()
    uv.write_text(f"#!/bin/sh\necho {tmp_path}/uv/cache\n")  # uv is a file: no folder can be made in it
    assert environment.without_cache(uv) == {"UV_NO_CACHE": "1"}
    assert "without uv's cache" in capsys.readouterr().out


def test_uv_takes_what_is_set_for_pip(tmp_path: Path, monkeypatch) -> None:
    for name in ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")
    monkeypatch.setenv("PIP_INDEX_URL", "http://localhost/simple")
    monkeypatch.setattr(environment, "without_cache", lambda uv: {})
    told = environment.uv_settings(tmp_path / "uv")
    assert told == {"UV_FIND_LINKS": "wheels", "UV_DEFAULT_INDEX": "http://localhost/simple"}


@pytest.mark.parametrize(
    ("must", "may", "before", "wanted"),
    [
        ({"dev"}, {"nvidia"}, set(), ({"dev"}, {"nvidia"})),
        ({"dev"}, set(), {"dev", "gpu", "nvidia"}, ({"dev", "gpu"}, {"nvidia"})),
        ({"dev"}, set(), {"dev", "nvidia?"}, ({"dev"}, {"nvidia"})),
        ({"dev", "nvidia"}, set(), {"dev", "nvidia?"}, ({"dev", "nvidia"}, set())),
    ],
)
def test_what_an_environment_has_stays_and_an_optional_extra_stays_optional(must, may, before, wanted) -> None:
    assert environment.to_install(must, may, before) == wanted


@pytest.mark.parametrize("answer", [True, False])
def test_an_optional_extra_that_cannot_be_had_is_said_and_left_out(venv, monkeypatch, capsys, answer: bool) -> None:
    asked = []
    (venv / "bin" / "uv").touch()
    monkeypatch.setattr(environment, "uv_settings", lambda uv: {})
    monkeypatch.setattr(environment, "torch_source", lambda *rest: "cpu")
    monkeypatch.setattr(environment, "run", lambda *rest: None)
    monkeypatch.setattr(environment, "attempt", lambda command, log, env: asked.append(command) or answer)
    with environment.OneAtATime(venv.with_name("venv.lock")) as lock:
        done = environment.install(venv, ["dev"], ["nvidia"], lock)
    assert done == {"dev", "nvidia" if answer else "nvidia?"} and asked[0][-2:] == ["--extra", "nvidia"]
    assert ("going on without" in capsys.readouterr().out) is not answer


@pytest.mark.parametrize("extra", ["scale", "nvidia"])
@pytest.mark.parametrize("server", [True, False])
def test_the_server_comes_without_what_it_asks_for(venv, monkeypatch, capsys, extra: str, server: bool) -> None:
    asked = []
    (venv / "bin" / "uv").touch()
    monkeypatch.setattr(environment, "uv_settings", lambda uv: {})
    monkeypatch.setattr(environment, "torch_source", lambda *rest: "cpu")
    monkeypatch.setattr(environment, "run", lambda *rest: None)
    monkeypatch.setattr(
        environment, "attempt", lambda command, *rest: asked.append(command) or server or len(asked) < 2
    )
    with environment.OneAtATime(venv.with_name("venv.lock")) as lock:
        done = environment.install(venv, ["dev"], [extra], lock)
    alone = [command[-2:] for command in asked if "--no-deps" in command]
    assert alone == ([["--no-deps", "nvidia-pytriton"]] if extra == "scale" else []) and extra in done
    assert ("nvidia-pytriton could not be had" in capsys.readouterr().out) is (extra == "scale" and not server)


def test_what_an_attempt_said_is_kept_only_if_it_failed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert environment.attempt(["true"], log, dict(os.environ)) and not log.exists()
    assert not environment.attempt(["sh", "-c", "echo no wheel; exit 1"], log, dict(os.environ))
    assert log.read_text() == "no wheel\n"


def test_a_conflict_of_versions_is_told_as_one(tmp_path: Path) -> None:
    said = (
        "error: No solution found when resolving dependencies\n  cause: Because torch==2.13.0 depends on "
        "cuda-bindings{python_full_version < '3.15' and sys_platform == 'linux'}>=13.0.3,<14 and "
        "cuda-bindings==12.9.10, we can conclude that torch==2.13.0 cannot be used.\n"
    )
    assert "torch and cuda-bindings\n" in environment.conflict(said)
    assert environment.conflict("error: Failed to fetch: torch==2.13.0") == ""
    (tmp_path / "said").write_text(said)
    with environment.OneAtATime(tmp_path / "lock") as lock, pytest.raises(SystemExit, match="do not go together"):
        environment.run(["sh", "-c", f"cat {tmp_path}/said >&2; exit 1"], environment.INDEX, lock)


def test_a_folder_of_wheels_is_used_only_if_it_has_torch_for_this_python(tmp_path: Path) -> None:
    python = Path(sys.executable)
    assert not environment.in_folder("", python) and not environment.in_folder(str(tmp_path), python)
    (tmp_path / f"torch-{environment.TORCH}+cpu-cp39-cp39-linux_x86_64.whl").touch()
    assert not environment.in_folder(str(tmp_path), python)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    (tmp_path / f"torch-{environment.TORCH}+cpu-{tag}-{tag}-linux_x86_64.whl").touch()
    assert environment.in_folder(f"elsewhere {tmp_path}", python)


@pytest.mark.parametrize(("gpu", "there", "backend"), [(0, 1, "cpu"), (1, 1, "cu129"), (0, 0, ""), (1, 0, "")])
def test_where_torch_comes_from(monkeypatch, capsys, gpu: bool, there: bool, backend: str) -> None:
    monkeypatch.delenv("TORCH_BACKEND", raising=False)
    monkeypatch.setattr(environment, "answers", lambda *rest: there)
    assert environment.torch_source(Path("uv"), Path(sys.executable), gpu, {}) == backend
    assert ("MB" in capsys.readouterr().out) is not bool(there)


@pytest.mark.parametrize(
    ("backend", "cuda", "extra"),
    [("", 13, "gpu13"), ("", 12, "gpu"), ("cu129", 13, "gpu"), ("cu130", 13, "gpu13"), ("cpu", 0, "gpu")],
)
def test_the_packages_for_a_gpu_go_by_driver_and_torch(backend: str, cuda: int, extra: str) -> None:
    assert environment.gpu_extra(backend, cuda) == extra
