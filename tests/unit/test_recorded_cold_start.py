"""Lesson 04_4 on a real GPU: how much faster a plan loads than it is built, read off the shipped recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from trt_lessons import recordings

LESSON = "04_4_engines_on_disk"
ROOT = Path(__file__).resolve().parents[2] / "data" / "recordings"
FILES = sorted(ROOT.glob(f"*/{LESSON}.json"))
STAGES = ["imports and CUDA", "runtime", "read the file", "deserialize", "context"]
STAGES += ["first inference", "second inference"]

if not FILES:
    pytest.skip(f"{LESSON} has no recording yet: nothing to judge", allow_module_level=True)


@pytest.fixture(params=FILES, ids=lambda path: path.parent.name)
def recorded(request):
    """One machine's recording of the lesson."""
    return recordings.load(request.param)


@pytest.fixture
def cold(recorded):
    """Its cold starts: network -> seconds."""
    return recorded.get("cold start")


def test_it_is_a_real_run(cold):
    assert cold.source == "recorded"
    assert cold.provenance.gpu and cold.provenance.tensorrt


def test_deserializing_is_20_times_faster_than_building(cold):
    """ResNet-50's shape, built at level 0, where a build is quickest."""
    big = cold["ResNet-50"]
    assert big["bytes"] > 90e6  # the weights are in the plan
    assert big["build"] >= 20 * big["deserialize"] > 0


def test_a_new_process_gains_too(cold):
    """Everything a new process does up to its first answer takes less than the build alone."""
    stages = cold["ResNet-50"]["new process"]
    assert list(stages) == STAGES and min(stages.values()) > 0
    assert sum(stages.values()) < cold["ResNet-50"]["build"]
    assert stages["second inference"] < stages["first inference"]


def test_the_builder_must_be_started_too(recorded):
    assert recorded.get("start the builder").value > 0


def test_each_portable_engine_was_measured_or_refused(recorded):
    for name, price in recorded.get("price of portability").value.items():
        assert price.get("refused") or (price["ms"] > 0 and price["bytes"] > 0), name


def test_host_code_needs_permission(recorded):
    """No plan with the lean runtime's code in it was loaded without being allowed to run code."""
    lines = recorded.get("version compatible")["lines"]
    assert lines and "flags" in lines[0]
    flags: list[str] = []
    for line in lines:
        flags = line.get("flags", flags)
        has_code = "VERSION_COMPATIBLE" in flags and "EXCLUDE_LEAN_RUNTIME" not in flags
        if has_code and line.get("allowed") is False:
            assert not line["loaded"], line
