"""Packaging: the three lists of packages agree, every version is pinned, and the import is fast."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
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
    for requirement in map(Requirement, project()["optional-dependencies"]["gpu"]):
        if re.fullmatch(r"==[\d.]+", str(requirement.specifier)):  # cuda-bindings: another one in each extra
            found.setdefault(canonicalize_name(requirement.name), str(requirement.specifier)[2:])
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
            exact = re.fullmatch(r"==([\d.]+)", str(requirement.specifier))
            version = exact[1] if exact else pinned[canonicalize_name(requirement.name)]
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
    extras = table["optional-dependencies"]  # conda's environment is for CUDA 12
    wanted = [*table["dependencies"], *(r for name in extras if name != "gpu13" for r in extras[name])]
    listed = {canonicalize_name(n) for n in environment()}
    assert {canonicalize_name(Requirement(r).name) for r in wanted} <= listed


def test_environment_is_for_this_cuda() -> None:
    listed = environment()
    assert listed["cuda-version"] == "12.9" and "pycuda" in listed
    assert listed["tensorrt-cu12"].startswith("11.4.") and listed["cuda-bindings"].startswith("12.9.")


def test_each_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|gpu|gpu13|nvidia|dev|classroom|site|scale) = \[\n(.*?)^\]", text, re.M | re.S)
    assert len(lists) == 8
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
    """Under 4,000 lines of code, counted as `code_lines` does, in all of the room together."""
    files = sorted((ROOT / "trt_lessons" / "interpreter").rglob("*.py"))
    sizes = {str(path.relative_to(ROOT)): code_lines(path) for path in files}
    assert len(files) > 10 and sum(sizes.values()) < 4000, sizes


def test_each_file_of_the_interpreter_says_what_it_is() -> None:
    for path in (ROOT / "trt_lessons" / "interpreter").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


PACKAGE = ROOT / "trt_lessons"
MOST_FILES, MOST_LINES = 9, 400


def rooms_in_order() -> list[str]:
    """The rooms as CONTRIBUTING's table lists them, each below those that it may import."""
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("| room |")[2].partition("\n\n")[0]
    return [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])]


def modules() -> dict[str, Path]:
    """Dotted name in the package -> file; a folder's face is its __init__ under the folder's name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, known: dict[str, Path]) -> set[str]:
    """The package's modules that one imports anywhere in its file: at the top, in functions, for type checkers."""
    path = known[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            base = [part for part in base if part]
            for alias in node.names:
                whole, part = ".".join([*base, alias.name]), ".".join(base)
                found.add(whole if whole in known else part)
    return found - {name, ""}


def test_every_room_is_in_the_table() -> None:
    there = {p.stem for p in PACKAGE.iterdir() if p.name != "__pycache__" and not p.name.startswith("__init__")}
    assert there <= set(rooms_in_order())
    assert len([p for p in PACKAGE.iterdir() if p.is_file()]) <= 8
    assert len([p for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"]) <= 14


def test_imports_go_one_way() -> None:
    rooms, known = rooms_in_order(), modules()
    wrong = []
    for name in filter(None, known):
        room = name.partition(".")[0]
        for other in imports_of(name, known):
            if rooms.index(other.partition(".")[0]) > rooms.index(room):
                wrong.append(f"{name} imports {other}, which stands below it")
    assert not wrong, "\n".join(wrong)


def test_no_file_imports_in_a_circle() -> None:
    known = modules()
    faces = {name for name, path in known.items() if path.name == "__init__.py"}
    graph = {}
    for name in known:
        inside = {
            o for o in imports_of(name, known) if name in faces and o.startswith(f"{name}.")
        }  # a face shows its room
        graph[name] = imports_of(name, known) - inside - {name.rpartition(".")[0]}
    del graph[""]
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_rooms_and_files_stay_small() -> None:
    long = []
    for folder in {path.parent for path in modules().values()} - {PACKAGE}:
        count = len([p for p in folder.glob("*.py") if p.name != "__init__.py"])
        assert count <= MOST_FILES, f"{folder.name} has {count} files"
    for path in modules().values():
        text = path.read_text("utf-8")
        if len(text.splitlines()) > MOST_LINES and "It is one file because" not in text[:1500]:
            long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())}")
    assert not long, long


def test_the_face_tells_editors_what_it_tells_python() -> None:
    import trt_lessons as tl

    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname: node.module or "" for node in block.body for alias in node.names}
    assert told == tl._EXPORTS


@pytest.mark.parametrize("name", ["build", "measure"])
def test_functions_show_their_arguments(name: str) -> None:
    import inspect

    import trt_lessons as tl

    function = getattr(tl, name)
    assert inspect.isfunction(function) and function.__doc__ and len(inspect.signature(function).parameters) > 4


WAITING = ROOT / "drafts" / "next.patch"


@pytest.mark.skipif(not WAITING.exists(), reason="no change of a cell waits for the next recorded run")
def test_changes_that_wait_still_fit() -> None:
    done = subprocess.run(["git", "apply", "--check", WAITING], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
