"""Every TensorRT name that notebooks and package use exists in each version that the workbook supports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from check_names import Names, meant_for, problems

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ["8.6.0", "10.0", "10.16", "11.4"]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
CHECKS = sorted((ROOT / "notebooks").rglob("*.py"))
OURS = frozenset({"execute", "precision"})  # of our own rooms; TensorRT had them on a context and a layer
RTX_ONLY = ROOT / "trt_lessons" / "advice" / "nvidia" / "process.py"  # speaks to TensorRT-RTX; test_nvidia asks it
PACKAGE = sorted(p for p in (ROOT / "trt_lessons").rglob("*.py") if "interpreter" not in p.parts and p != RTX_ONLY)


@pytest.mark.parametrize("path", [*NOTEBOOKS, *CHECKS, *PACKAGE], ids=lambda p: str(p.relative_to(ROOT)))
def test_names_exist_in_every_version(path: Path) -> None:
    found = problems([path], VERSIONS, OURS if path in PACKAGE else frozenset())
    assert not found, "\n".join([*found, "mark a line that is meant for some versions: # trt: <11"])


def test_only_compat_knows_versions() -> None:
    """The remark `# trt:` in the package stands in the room `compat` alone."""
    marked = [p.parent.name for p in PACKAGE if any("# trt:" in line for line in p.read_text("utf-8").splitlines())]
    assert set(marked) <= {"compat"}


@pytest.fixture
def written(tmp_path: Path):
    """A function that writes a source file and says what is wrong with it."""

    def check(source: str) -> list[str]:
        file = tmp_path / "lesson.py"
        file.write_text(source)
        return problems([file], VERSIONS)

    return check


def test_finds_a_name_that_went(written) -> None:
    assert "8.6.0" not in (found := written("trt.BuilderFlag.FP16\n"))[0] and "11.4" in found[0]
    assert "NoSuchThing" in written("trt.NoSuchThing\n")[0]


def test_finds_a_member_of_an_unknown_class(written) -> None:
    assert "max_batch_size" in "".join(written("builder.max_batch_size\n")) or "max_batch_size" not in Names().members
    assert "execute_async_v2" in "".join(written("context.execute_async_v2(b, s)\n"))


def test_leaves_other_packages_alone(written) -> None:
    assert not written("import torch\ntorch.bfloat16\n")


def test_remarks_limit_the_versions(written) -> None:
    assert not written("context.execute_async_v2(b, s)  # trt: <10\n")
    assert meant_for("x  # trt: >=10.12", "10.16") and not meant_for("x  # trt: >=10.12", "10.0")


def test_the_database_is_whole() -> None:
    names = Names()
    assert set(VERSIONS) <= set(names.versions)
    assert all(len(bits) == len(names.versions) for bits in names.bits.values())
    assert len(names.bits) > 900
