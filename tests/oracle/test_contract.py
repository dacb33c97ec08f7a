"""The build half of the contract tests with NVIDIA's own module in TensorRT's place (`rtx_as_trt`).

Each test either passes whole, or runs until it would use an engine, or stands in `REASONS` with why it cannot pass.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .sides import nvidia_python

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REACHED = "until an engine: "  # what rtx_as_trt ends a test with
# Tests by the end of their name, and why they do not pass on TensorRT-RTX 1.7.1 without a GPU.
REASONS = {
    # RTX is not TensorRT
    r"test_context::test_output_(allocator|shape_is_open_before_the_run)": "RTX has no kernels for NonZero",
    r"test_session::test_an_output_whose_shape_is_known_after_the_run": "RTX has no kernels for NonZero",
    r"test_session::test_(a_stream_of|no_graph_for)_such": "RTX has no kernels for NonZero",
    r"test_layers::test_half_overflows": "RTX has no setter of ITensor.dtype",
    r"test_parser::test_unsupported_names_the_node": "RTX says INVALID_NODE, plugin not found, for an unknown op",
    r"test_control_layers::test_all_turns_of_a_loop": "RTX's compiler ends in an internal error on two of these",
    r"test_control_layers::test_nms_keeps": "RTX's compiler ends in an internal error on the count alone, as 8.6.0's",
    r"test_mistakes::test_mistake.too few numbers for a constant": "RTX raises where a shape cannot be told",
    # its words
    r"test_mistakes::test_mistake.(two types|a profile without|an input as an output)": "other words for it",
    r"test_control_layers::test_layers_at_the_edges": "another number in a default name",
    # the stand-in for an engine
    r"test_build::test_a_(cut_plan_in_memory|plan_that_does_not_load)": "loads a plan, which needs a GPU",
    r"test_engine::test_(damaged_plan_is_refused|foreign_timing_cache)": "a process of its own, which needs a GPU",
    r"test_session::test_a_session_in_another_thread": "an engine is used in a thread, where no test can end",
    # the interpreter is narrower
    r"test_control_layers::test_branches_of_two_shapes": "RTX builds branches of two shapes, the interpreter does not",
}


def stands_for(pattern: str, name: str) -> bool:
    """Does an entry of the list stand for this test?"""
    return re.search(pattern, name.replace(".py::", "::")) is not None


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Test -> (outcome, its last words), from one run in a process that is started again after a crash."""
    python = nvidia_python()
    if python != sys.executable:
        pytest.skip("TensorRT-RTX is not in this environment: make env installs it on Linux and Windows x86-64")
    folder = tmp_path_factory.mktemp("contract")
    results = folder / "results.jsonl"
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
        "TRT_LESSONS_CONTRACT_RESULTS": str(results),
        "TRT_LESSONS_CACHE": str(folder / "cache"),
    }
    for name in [name for name in env if name.startswith("PYTEST_")]:
        del env[name]  # of the run that this one is part of
    command = [python, "-m", "pytest", "-q", "-p", "rtx_as_trt", "-p", "no:cacheprovider", "-n", "1"]
    command += ["--max-worker-restart", "99", "tests/contract", "--ignore", "tests/contract/test_cuda.py"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert results.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    found = {name: (outcome, words) for name, outcome, words in lines}
    for name in re.findall(r"worker 'gw\d+' crashed while running '(.+)'", done.stdout):
        found[name] = ("failed", "the process ended")
    return found


def failed(endings: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Test -> its last words, of those that did not pass."""
    return {name: words for name, (outcome, words) in endings.items() if outcome == "failed"}


def test_nothing_differs_without_a_reason(endings: dict[str, tuple[str, str]]) -> None:
    new = {name: words for name, words in failed(endings).items() if not any(stands_for(p, name) for p in REASONS)}
    assert not new, "\n".join(f"{name}\n{words[-600:]}" for name, words in new.items())


def test_every_reason_is_needed(endings: dict[str, tuple[str, str]]) -> None:
    idle = [pattern for pattern in REASONS if not any(stands_for(pattern, name) for name in failed(endings))]
    assert not idle


def test_most_of_it_is_really_asked(endings: dict[str, tuple[str, str]]) -> None:
    whole = sum(outcome == "passed" for outcome, _ in endings.values())
    reached = sum(outcome == "skipped" and REACHED in words for outcome, words in endings.values())
    print(f"{whole} whole, {reached} until an engine, of {len(endings)}")
    assert whole > 200 and reached > 600
