"""Packaging: the three lists of packages agree, every version is pinned, and the import is fast."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
OTHER_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # conda's name -> PyPI's
NOT_FROM_PYPI = {"python", "pip", "cuda-version", "cuda-cudart", "cuda-nvcc"}
NEWER_ON_PYPI = {"pycuda"}  # conda-forge is behind


def pins(python: str) -> dict[str, str]:
    """Package -> version in constraints.txt for one version of Python on Linux."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    here |= {"platform_machine": "x86_64", "implementation_name": "cpython", "extra": ""}
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(here):
                name = canonicalize_name(requirement.name)
                assert name not in found, f"{name} has two versions on Python {python}"
                found[name] = str(requirement.specifier).removeprefix("==")
    return found


def project() -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def direct() -> list[Requirement]:
    """Every direct dependency, those of the extras as well."""
    table = project()
    extras = [r for group in table["optional-dependencies"].values() for r in group]
    return [Requirement(r) for r in [*table["dependencies"], *extras]]


def environment() -> dict[str, str]:
    """PyPI's name -> version of everything in environment.yml."""
    found = {}
    for line in (ROOT / "environment.yml").read_text().splitlines():
        match = re.fullmatch(r"\s*- ([A-Za-z][\w-]*)==?([\w.]+)", line)
        if match:
            found[OTHER_NAMES.get(match[1], match[1])] = match[2]
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned(python: str) -> None:
    pinned = pins(python)
    for requirement in direct():
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} and {version}"


def test_constraints_are_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line) for line in lines)
    assert lines == sorted(lines)


def test_environment_agrees_with_constraints() -> None:
    listed = environment()
    pinned = pins(listed.pop("python"))
    for name, version in listed.items():
        if name in NOT_FROM_PYPI:
            continue
        want = pinned[canonicalize_name(name)]
        if name in NEWER_ON_PYPI:
            assert Version(version) <= Version(want)
        else:
            assert version == want, f"{name}: environment.yml {version}, constraints.txt {want}"


def test_environment_has_every_dependency() -> None:
    table = project()
    wanted = [*table["dependencies"], *(r for group in table["optional-dependencies"].values() for r in group)]
    listed = {canonicalize_name(n) for n in environment()}
    assert {canonicalize_name(Requirement(r).name) for r in wanted} <= listed


def test_environment_is_for_this_cuda() -> None:
    listed = environment()
    assert listed["cuda-version"] == "12.9" and "pycuda" in listed
    assert listed["tensorrt-cu12"].startswith("11.4.") and listed["cuda-bindings"].startswith("12.9.")


def test_each_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|gpu|dev|classroom) = \[\n(.*?)^\]", text, re.M | re.S)
    assert len(lists) == 4
    for line in "".join(lists).splitlines():
        assert re.fullmatch(r'\s+"[^"]+",\s+# .+', line), f"no reason: {line}"


def test_versions_of_python() -> None:
    assert project()["requires-python"] == ">=3.10,<3.14"


def test_import_is_fast_and_light() -> None:
    code = """if True:
        import sys, time
        start = time.perf_counter()
        import trt_lessons
        print(time.perf_counter() - start)
        heavy = {"torch", "numpy", "matplotlib", "onnx", "onnxruntime", "tensorrt", "IPython"}
        print(sorted(heavy & set(sys.modules)))
    """
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        seconds, heavy = done.stdout.splitlines()
        assert heavy == "[]"
        times.append(float(seconds))
    assert min(times) < 0.3


def test_exports_are_there() -> None:
    import trt_lessons as tl

    for name in tl.__all__:
        assert getattr(tl, name) is not None, name
    assert callable(tl.build) and callable(tl.measure)
    with pytest.raises(AttributeError, match="Session"):
        tl.no_such_name  # noqa: B018


def test_rooms_named_like_their_function_are_callable() -> None:
    code = """if True:
        import inspect
        from trt_lessons.build import build
        import trt_lessons as tl
        assert tl.build.load is tl.load and inspect.signature(tl.build) == inspect.signature(build)
        assert callable(tl.measure)
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_machine_in_the_tree() -> None:
    """No path of one machine and no address of a private index in any file that git has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone")
    bad = re.compile(r"(?<![\w.~])/(?:work|root|farm|opt/wheels)/|https?://[\w.-]*(?:pypi|pythonhosted)[\w.-]*/simple")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix not in {".onnx", ".npz", ".png"} and path.exists() and path != Path(__file__):
            found = bad.search(path.read_text("utf-8", errors="ignore"))
            assert not found, f"{name}: {found[0]}"


def test_ci_runs_what_developers_run() -> None:
    run = ROOT / ".ci" / "run"
    assert "make test" in run.read_text() and os.access(run, os.X_OK)


def code_lines(path: Path) -> int:
    """Lines that hold code: not the blank ones, not those with a comment only, not the docstrings."""
    with tokenize.open(path) as file:
        tree = ast.parse(file.read())
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in NO_CODE]
    counted = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if documented and ast.get_docstring(node, clean=False) is not None:
            counted -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(counted)


NO_CODE = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NO_CODE |= {tokenize.ENDMARKER}


def test_how_lines_are_counted(tmp_path: Path) -> None:
    text = (
        '"""Words.\n\nMore."""\n\n# a remark\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """Words."""\n    return x\n'
    )
    (tmp_path / "some.py").write_text(text)
    assert code_lines(tmp_path / "some.py") == 5


def test_the_interpreter_is_small() -> None:
    """Under 2,500 lines of code, counted as `code_lines` does, in all of the room together."""
    files = sorted((ROOT / "trt_lessons" / "interpreter").rglob("*.py"))
    sizes = {str(path.relative_to(ROOT)): code_lines(path) for path in files}
    assert len(files) > 10 and sum(sizes.values()) < 2500, sizes


def test_each_file_of_the_interpreter_says_what_it_is() -> None:
    for path in (ROOT / "trt_lessons" / "interpreter").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def rooms_in_order() -> list[str]:
    """The rooms as README lists them, each above those that it may import."""
    text = (ROOT / "README.md").read_text("utf-8").partition("imports only those before it:")[2].partition("\n\n")[0]
    return re.findall(r"`(\w+)`", text)


def imports_of(room: str) -> set[str]:
    """The modules of the package that one of its modules, or a folder of them, imports when it is imported."""
    found: set[str] = set()
    here = ROOT / "trt_lessons" / room
    if not here.is_dir() and not here.with_suffix(".py").exists():
        return found  # a name of the package itself, such as its version
    for path in here.rglob("*.py") if here.is_dir() else [here.with_suffix(".py")]:
        depth = len(path.relative_to(ROOT / "trt_lessons").parts)  # so many dots lead to the package
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.level == depth:
                found |= {node.module.partition(".")[0]} if node.module else {name.name for name in node.names}
    return found - {room}


def test_imports_go_one_way() -> None:
    rooms = rooms_in_order()
    assert len(rooms) > 15 and any(imports_of(room) for room in rooms)
    for i, room in enumerate(rooms):
        seen, todo = set(), [room]
        while todo:
            seen |= (new := imports_of(todo.pop()) - seen)
            todo += new
        assert not seen & set(rooms[i:]), f"{room} stands below what it imports: {sorted(seen & set(rooms[i:]))}"


WAITING = ROOT / "drafts" / "next.patch"


@pytest.mark.skipif(not WAITING.exists(), reason="no change of a cell waits for the next recorded run")
def test_changes_that_wait_still_fit() -> None:
    done = subprocess.run(["git", "apply", "--check", WAITING], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
