"""The package index alone is enough: the versions go together for each Python on each system. Nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]  # 3.14: the wheels are there, the workbook is not tested with it
SYSTEMS = ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "windows", "aarch64-apple-darwin"]
SOURCES = [
    "cppimport",
    "tensorrt-rtx-cu12",
    "tensorrt-cu12",
    "tensorrt-cu12-libs",
    "tensorrt-cu13",
    "tensorrt-cu13-libs",
]
DESK = ("dev", "classroom", "nvidia")  # the extras of `make env`


def compile_for(python: str, system: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess:
    """uv's answer for one Python and one system, without a folder of wheels, with constraints.txt."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not uv:
        pytest.skip("no uv here: `make` installs it into the environment that it builds")
    env = {key: value for key, value in os.environ.items() if key not in ("UV_FIND_LINKS", "UV_TORCH_BACKEND")}
    env |= {"UV_HTTP_RETRIES": "1", "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    command = [uv, "pip", "compile", "-q", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    command += [w for name in SOURCES for w in ("--no-binary", name)]
    command += ["-c", "constraints.txt", "--build-constraints", "constraints.txt"]
    command += ["--python-version", python, "--python-platform", system, *words]
    return subprocess.run(command, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, timeout=300)


@cache
def index_answers() -> bool:
    """True when the package index hands out one small package."""
    return compile_for("3.12", SYSTEMS[0], "-", stdin="iniconfig").returncode == 0


def extras(*names: str) -> list[str]:
    """Arguments that ask for the project with these extras."""
    return ["pyproject.toml", *(word for name in names for word in ("--extra", name))]


@pytest.fixture(autouse=True)
def index() -> None:
    """Skips where the index is out of reach."""
    if not index_answers():
        pytest.skip("the package index does not answer")


@pytest.fixture(scope="module")
def answered() -> dict[tuple[str, str], subprocess.CompletedProcess]:
    """All answers for what `make env` asks, several at a time: uv mostly waits for the index."""
    if not index_answers():
        pytest.skip("the package index does not answer")
    cases = [(python, system) for python in PYTHONS for system in SYSTEMS]
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(cases, pool.map(lambda case: compile_for(*case, *extras(*DESK)), cases), strict=True))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_index_alone_is_enough(answered, python: str, system: str) -> None:
    done = answered[python, system]
    assert done.returncode == 0, done.stderr
    assert "torch==2.13.0\n" in done.stdout
    assert ("tensorrt-rtx-cu12==" in done.stdout) is (system in ("windows", "x86_64-manylinux_2_28"))


def test_cuda_13_goes_with_the_torch_of_the_index() -> None:
    done = compile_for("3.12", SYSTEMS[0], *extras("gpu13"))
    assert done.returncode == 0, done.stderr
    assert "tensorrt-cu13==" in done.stdout and "cuda-bindings==13.4.4" in done.stdout


def test_cuda_12_goes_with_it_only_when_told(tmp_path: Path) -> None:
    assert "cuda-bindings" in compile_for("3.12", SYSTEMS[0], *extras("gpu")).stderr
    (tmp_path / "overrides.txt").write_text("cuda-bindings==12.9.10\n")
    done = compile_for("3.12", SYSTEMS[0], *extras("gpu"), "--overrides", str(tmp_path / "overrides.txt"))
    assert done.returncode == 0, done.stderr
    assert "cuda-bindings==12.9.10" in done.stdout
