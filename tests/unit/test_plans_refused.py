"""Plans that must not load: TensorRT's own words, and what `load` makes of them."""

from __future__ import annotations

import pytest

from trt_lessons import backend, compat
from trt_lessons.engines.build import build, load
from trt_lessons.engines.plans import _load_failed
from trt_lessons.errors import PlanError

HEADER = "1: [runtime.cpp::parsePlan::314] Error Code 1: Serialization (Serialization assertion plan->header."
WORDS = {
    "begin as a plan": HEADER + "magicTag == rt::kPLAN_MAGIC_TAG failed.)",
    "damaged or cut short": HEADER + "size == blobSize failed.)",
    "another version of TensorRT": "6: The engine plan file is not compatible with this version of TensorRT, "
    "expecting library version 8.6.1.6 got 8.6.0.12, please rebuild.",
    "another GPU": "6: The engine plan file is generated on an incompatible device, expecting compute 9.0 got "
    "compute 8.6, please rebuild.",
}


@pytest.mark.parametrize("reason", WORDS)
def test_the_reason_is_read_from_the_log(reason):
    problem = _load_failed("x.plan", [WORDS[reason]])
    assert reason in problem.what
    assert WORDS[reason] in problem.why and problem.cure


def tiny(network):
    trt = backend.trt
    x = network.add_input("x", trt.float32, (2, 4))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))


def test_an_outdated_plan():
    plan = build(tiny, level=0, cache=False, timing_cache=False).plan
    with pytest.raises(PlanError, match="another version of TensorRT"):
        load(compat.outdated(plan))
