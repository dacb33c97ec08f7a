"""The C++ program of docs/cpp.md: every TensorRT name in it is NVIDIA's, has its Python twin, and the program compiles.

NVIDIA's headers are not here. Names are compared with the lists of members in NVIDIA's C++ documentation
(cpp_names.json); the program is compiled against declarations of our own in cpp/, for TensorRT 8, 10 and 11.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "cpp.md").read_text("utf-8")
PROGRAM = re.search(r"```cpp\n(.*?)```", PAGE, re.S)[1]
LISTED = json.loads((HERE / "cpp_names.json").read_text("utf-8"))
PYTHON = json.loads((HERE / "trt_names.json").read_text("utf-8"))
OLD_ONLY = {"NetworkDefinitionCreationFlag.kEXPLICIT_BATCH"}


def without_words(program: str) -> str:
    """A program without comments and strings."""
    return re.sub(r'//[^\n]*|"[^"\n]*"', "", program)


def used(program: str) -> set[str]:
    """The last parts of TensorRT's names in a program: interfaces, makers, methods called by pointer, enum values."""
    code = without_words(program)
    found = set(re.findall(r"\b(I[A-Z][a-z]\w+)\b", code)) | set(re.findall(r"\b(create[A-Z]\w+)\s*\(", code))
    found |= set(re.findall(r"(?:->|engine\.)(\w+)\s*\(", code)) | set(re.findall(r"::(k[A-Z][A-Z0-9_]+)\b", code))
    return found | set(re.findall(r"\b(Dims\d*)\b", code))


def unknown(program: str) -> set[str]:
    """What a program uses and NVIDIA's lists do not have."""
    return used(program) - {name.rpartition(".")[2] for name in LISTED["names"]}


def test_every_name_is_listed() -> None:
    assert len(used(PROGRAM)) > 25
    assert not unknown(PROGRAM)


@pytest.mark.parametrize("old, new", [("enqueueV3", "enqueueV2"), ("kTF32", "kTF23"), ("IRuntime", "IRunTime")])
def test_a_name_that_is_not_tensorrts_is_found(old: str, new: str) -> None:
    assert unknown(PROGRAM.replace(old, new)) == {new}


def test_nothing_is_listed_that_is_not_used() -> None:
    code = without_words(PROGRAM)
    assert not [name for name in LISTED["names"] if not re.search(rf"\b{name.rpartition('.')[2]}\b", code)]


def test_every_class_names_its_page() -> None:
    owners = {name.partition(".")[0] for name in LISTED["names"] if "." in name and name.startswith("I")}
    assert owners - {"ILogger"} == set(LISTED["sources"])
    assert all(s["page"].startswith("https://docs.nvidia.com/") and s["version"] for s in LISTED["sources"].values())


@pytest.mark.parametrize("name", [name for name, twin in LISTED["names"].items() if twin])
def test_the_python_twin_exists(name: str) -> None:
    there = PYTHON["names"].get(LISTED["names"][name], "")
    missing = [v for v, here in zip(PYTHON["versions"], there or "0" * 7, strict=True) if here == "0"]
    if name in OLD_ONLY:
        assert missing and all(v.startswith("11") for v in missing)
        assert re.search(rf"#if NV_TENSORRT_MAJOR < 10\n.*{name.rpartition('.')[2]}.*\n#endif", PROGRAM)
    else:
        assert not missing, f"{LISTED['names'][name]} is missing in {missing}"


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.parametrize("major", [8, 10, 11])
def test_it_compiles(major: int, tmp_path: Path) -> None:
    (tmp_path / "digits.cpp").write_text(PROGRAM)
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-DNV_TENSORRT_MAJOR={major}"]
    command = ["g++", *options, f"-I{HERE / 'cpp'}", str(tmp_path / "digits.cpp")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_every_call_of_the_document_has_a_row() -> None:
    table = PAGE.partition("## Calls then and now")[2]
    calls = json.loads((HERE.parents[1] / "data" / "document_calls.json").read_text("utf-8"))["calls"]
    rows = {re.search(r"(\w+)\(|$", row)[1] for row in re.findall(r"^\| `([^`]+)`", table, re.M)}
    wanted = {re.search(r"(\w+)\(", call["cpp"])[1] for call in calls if "calibration" not in call["cpp"]}
    assert wanted - rows == set() and "IInt8Calibrator" in table
