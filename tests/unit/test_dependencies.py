"""Every dependency is used: imported here, run as a program, or imported by a dependency that does not bring it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
MODULES = {  # where the module has another name
    "scikit-learn": "sklearn",
    "nvidia-modelopt": "modelopt",
    "nvidia-ml-py": "pynvml",
    "tensorrt-cu12": "tensorrt",
    "tensorrt-cu13": "tensorrt",
    "cuda-bindings": "cuda.bindings",
    "tensorrt-rtx-cu12": "tensorrt_rtx",
    "onnx-graphsurgeon": "onnx_graphsurgeon",
    "myst-nb": "myst_nb",
    "pydata-sphinx-theme": "pydata_sphinx_theme",
}
NEEDED_BY = {  # imported by a dependency that does not bring it
    "onnxscript": "torch.onnx",
    "lief": "modelopt.onnx",
    "cppimport": "modelopt.onnx",
    "onnx-graphsurgeon": "modelopt.onnx",
    "polygraphy": "modelopt.onnx",
    "onnxslim": "modelopt.onnx",
}
RUN = {  # a program or a plugin: the words that start it
    "jupyterlab": r"jupyterlab|jupyter.{1,4}lab",
    "ipykernel": r"ipykernel",
    "pytest-xdist": r"-n \$\(JOBS\)",
    "nbval": r"--nbval",
    "ruff": r"-m ruff",
    "configurable-http-proxy": r"configurable-http-proxy|configurable_http_proxy",
    "jupyterhub": r"jupyterhub",
    "nbgrader": r"nbgrader",
    "myst-nb": r"myst_nb",
    "pydata-sphinx-theme": r"pydata_sphinx_theme",
    "sphinx": r"sphinx",
    "ray": r"import.ray|from ray|\"ray",
    "jupyterlab-language-pack-zh-CN": r"translation-extension",  # found by JupyterLab, whose menus are set to Chinese
}
AWAITED: set[str] = set()  # declared before what will use it


def requirements() -> list[str]:
    """Names of all direct dependencies, those of the extras as well."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for group in table["optional-dependencies"].values() for r in group]
    return sorted({Requirement(r).name for r in [*table["dependencies"], *extras]})


def imports(text: str) -> set[str]:
    """The modules that a program imports, each with its parents: `a.b` gives `a` and `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "importorskip")):
            found |= {str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant)}
    return {".".join(name.split(".")[: i + 1]) for name in found for i in range(name.count(".") + 1)}


def programs(path: Path) -> list[str]:
    """The program in a file; of a notebook its code cells, without IPython's own lines."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return [text]
    cells = ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    return [re.sub(r"^(\s*)[%!].*$", r"\1pass", cell, flags=re.M) for cell in cells]


@cache
def imported_here() -> frozenset[str]:
    """What the package, the lessons, the tools and the other tests import."""
    found: set[str] = set()
    for room in ("trt_lessons", "notebooks", "tests", "tools", "docs"):
        for path in [*(ROOT / room).rglob("*.py"), *(ROOT / room).rglob("*.ipynb")]:
            if path != Path(__file__) and ".ipynb_checkpoints" not in path.parts:
                for text in programs(path):
                    try:
                        found |= imports(text)
                    except SyntaxError:  # a cell that shows one, or a cell's magic
                        continue
    return frozenset(found)


@cache
def starters() -> str:
    """The texts that start programs."""
    files = [ROOT / "Makefile", *(ROOT / ".ci").glob("*"), ROOT / "CONTRIBUTING.md"]
    files += [p for room in ("trt_lessons", "docs", "tests") for p in (ROOT / room).rglob("*.py")]
    files += (ROOT / "docs").rglob("*.md")
    return "\n".join(p.read_text("utf-8") for p in files if p.is_file() and p != Path(__file__))


@pytest.mark.parametrize("name", requirements())
def test_every_dependency_is_used(name: str) -> None:
    module = MODULES.get(name, name.replace("-", "_"))
    if name in imported_here() or module in imported_here() or name in AWAITED:
        return
    if name in RUN:
        assert re.search(RUN[name], starters()), f"nothing starts {name}"
        return
    # ModelOpt is used below, in this file; what it imports is read in its own source
    assert name in NEEDED_BY or module == "modelopt", f"nothing imports {module}: take {name} out of pyproject.toml"
    if name in NEEDED_BY:
        spec = importlib.util.find_spec(NEEDED_BY[name].partition(".")[0])
        folder = Path(spec.submodule_search_locations[0], *NEEDED_BY[name].split(".")[1:])
        wanted = re.compile(rf"^\s*(?:import|from) {module}\b", re.M)
        assert any(wanted.search(p.read_text("utf-8")) for p in folder.rglob("*.py")), f"{NEEDED_BY[name]}, {module}"


def test_modelopt_works_with_what_stands_beside_it() -> None:
    """AutoCast makes FP16 out of a small network, and the answers stay within FP16's rounding."""
    from modelopt.onnx.autocast import convert_to_f16

    rng = np.random.default_rng(0)
    weights = rng.standard_normal((8, 4), np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="matmul")
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, c]) for n, c in (("x", 8), ("y", 4))]
    graph = helper.make_graph([node], "small", value[:1], value[1:], [onnx.numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    half = convert_to_f16(model)
    assert "Cast" in {n.op_type for n in half.graph.node}
    x = rng.standard_normal((2, 8), np.float32)
    session = onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    assert 0 < np.abs(y - x @ weights).max() < 0.02
