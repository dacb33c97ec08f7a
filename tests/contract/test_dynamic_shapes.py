"""Dynamic shapes: every shape in every profile gives the right answer, every other one is refused with its cause.

One engine of the strip reader with three profiles that all begin at 1 digit; onnxruntime says what is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import trt_lessons as tl
from trt_lessons import backend, compat
from trt_lessons.errors import BuildError, ShapeError
from trt_lessons.models import strips

MOST = (4, 8, 16)  # digits, by profile
BATCH = 4


def ranges(most: int) -> dict[str, list[tuple[int, ...]]]:
    """1 to BATCH strips of 1 to `most` digits."""
    high = (BATCH, 1, 16, 16 * most)
    return {"strip": [(1, 1, 16, 16), high, high]}


@pytest.fixture(scope="module")
def report() -> Any:
    """The engine of all tests here: FP32, level 0, three profiles."""
    profiles = [ranges(most) for most in MOST]
    return tl.build(strips.onnx_path(), profiles=profiles, precision="fp32", level=0, cache=False)


@pytest.fixture(scope="module")
def sessions(report: Any) -> Any:
    """A session for each profile, all on one engine."""
    engine = report.engine()
    made = [tl.Session(engine, profile=number) for number in range(len(MOST))]
    yield made
    for session in made:
        session.close()


@pytest.fixture(scope="module")
def reference() -> Any:
    """onnxruntime's answer to images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(strips.onnx_path()), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"strip": images})[0]


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Numbers for images of any size, float32 [BATCH, 1, 16, 256]."""
    return np.random.default_rng(0).random((BATCH, 1, 16, 16 * max(MOST)), np.float32)


WIDTHS = [
    (profile, width)
    for profile, most in enumerate(MOST)
    for width in [*range(16, 16 * most + 1, 16), 17, 16 * most - 1]
]


def test_enough_shapes() -> None:
    assert 2 * len(WIDTHS) >= 60


@pytest.mark.parametrize(("profile", "width"), WIDTHS)
def test_every_shape_inside_is_right(sessions, reference, noise, profile: int, width: int) -> None:
    for batch in (1, 1 + width // 16 % BATCH):
        images = np.ascontiguousarray(noise[:batch, ..., :width])
        wanted = reference(images)
        got = sessions[profile].infer(images)["logits"]
        assert got.shape == wanted.shape == (batch, strips.steps(width), 11)
        assert np.abs(got - wanted).max() <= 2e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("batch", range(1, BATCH + 1))
@pytest.mark.parametrize("profile", range(len(MOST)))
def test_every_batch_inside_is_right(sessions, reference, noise, profile: int, batch: int) -> None:
    images = np.ascontiguousarray(noise[:batch, ..., : 16 * MOST[profile]])
    got = sessions[profile].infer(images)["logits"]
    assert np.abs(got - reference(images)).max() <= 2e-3 * np.abs(got).max()


def outside(most: int) -> list[tuple[int, ...]]:
    """Shapes that a profile to `most` digits must refuse."""
    return [
        (1, 1, 16, 15),
        (1, 1, 16, 0),
        (1, 1, 16, 16 * most + 1),
        (1, 1, 16, 32 * most),
        (BATCH + 1, 1, 16, 16),
        (0, 1, 16, 16),
        (1, 1, 15, 16),
        (1, 3, 16, 16),
        (1, 16, 16),
        (1, 1, 1, 16, 16),
    ]


OUTSIDE = [(profile, shape) for profile, most in enumerate(MOST) for shape in outside(most)]


@pytest.mark.parametrize(("profile", "shape"), OUTSIDE)
def test_every_shape_outside_is_refused(sessions, profile: int, shape: tuple[int, ...]) -> None:
    """By the Session in plain words; by TensorRT itself with False and a line in the log.

    `set_input_shape` takes what any profile takes; the run then refuses what its own does not.
    """
    session, log = sessions[profile], compat.shared_log()
    with pytest.raises(ShapeError) as caught:
        session.infer(np.zeros(shape, np.float32))
    assert str(shape) in caught.value.what and caught.value.cure
    if len(shape) == 4:
        assert f"profile {profile} takes" in caught.value.what
    mark, context = len(log.records), session.context
    assert not (context.set_input_shape("strip", shape) and context.execute_async_v3(session.cuda_stream.handle))
    session.shapes_now = session.bound = None  # the context was used behind its back
    assert log.since(mark), "the log says why"


def test_a_refused_shape_changes_nothing(sessions, noise) -> None:
    session = sessions[0]
    images = np.ascontiguousarray(noise[:2, ..., :48])
    before = session.infer(images)["logits"]
    with pytest.raises(ShapeError):
        session.infer(np.zeros((2, 1, 16, 80), np.float32))
    assert np.array_equal(session.infer(images)["logits"], before)


def test_after_a_switch_the_shape_is_set_again(report) -> None:
    engine, stream = report.engine(), backend.cuda.Stream()
    context = engine.create_execution_context()
    assert context.set_input_shape("strip", (1, 1, 16, 64)) and not context.infer_shapes()
    assert context.set_optimization_profile_async(1, stream.handle)
    stream.synchronize()
    assert context.active_optimization_profile == 1
    assert context.set_input_shape("strip", (1, 1, 16, 128)) and not context.infer_shapes()
    assert tuple(context.get_tensor_shape("logits")) == (1, 32, 11)
    if compat.version() >= (9, 0):  # ends the process before
        assert not context.set_optimization_profile_async(len(MOST), stream.handle)


@pytest.mark.parametrize(
    ("shape", "profile", "says"),
    [
        (None, None, "dynamic inputs without a range"),
        (None, {"stripe": [(1, 1, 16, 16)] * 3}, "dynamic inputs without a range"),
        (None, {"strip": [(2, 1, 16, 16), (1, 1, 16, 16), (2, 1, 16, 16)]}, "not usable"),
        (None, {"strip": [(1, 1, 15, 16)] * 3}, "only dimensions of -1 are free"),
        ((1, 1, 16, 16), ranges(4), "only dimensions of -1 are free"),
    ],
)
def test_build_says_what_is_wrong_with_a_profile(shape, profile, says: str) -> None:
    import onnx

    model = onnx.load(strips.onnx_path())
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape or (), strict=False):
        dimension.dim_value = size
    with pytest.raises(BuildError) as caught:
        tl.build(model, profiles=profile, level=0, cache=False)
    assert says in str(caught.value) and caught.value.cure


@pytest.mark.parametrize("kind", ["no profile", "misspelt", "frozen input"])
def test_raw_build_gives_none_and_a_line(log, kind: str) -> None:
    """The three ways in which a profile and a network do not meet; nothing is built, so this is quick."""
    trt = backend.trt
    builder = compat.create_builder(log)
    network = compat.create_network(builder)
    parser = trt.OnnxParser(network, log)
    assert parser.parse_from_file(str(strips.onnx_path()))
    config = builder.create_builder_config()
    compat.quiet_tactics(config)
    profile = builder.create_optimization_profile()
    profile.set_shape("stripe" if kind == "misspelt" else "strip", *ranges(4)["strip"])
    if kind != "no profile":
        config.add_optimization_profile(profile)
    if kind == "frozen input":
        network.get_input(0).shape = (1, 1, 16, 16)
    assert builder.build_serialized_network(network, config) is None
    assert any("rror" in line for line in log.errors)


def test_min_over_opt_is_refused_by_the_config(log) -> None:
    """`set_shape` checks nothing; adding the profile gives -1 and a line."""
    builder = compat.create_builder(log)
    profile = builder.create_optimization_profile()
    low, _, high = ranges(4)["strip"]
    profile.set_shape("strip", high, low, high)
    assert builder.create_builder_config().add_optimization_profile(profile) == -1
    assert any("MIN<=OPT<=MAX" in line for line in log.errors)


@pytest.mark.parametrize(("length", "least"), [(1, 0.97), (4, 0.97), (8, 0.93), (16, 0.90)])
def test_accuracy_for_each_length(sessions, reference, length: int, least: float) -> None:
    """The stated accuracy, and what onnxruntime reads, within 0.5 points."""
    images, texts = strips.make(200, length)
    ours = np.concatenate([sessions[2].infer(part)["logits"] for part in np.split(images, 50)])
    found = strips.accuracy(ours, texts)
    assert found >= least
    assert abs(found - strips.accuracy(reference(images), texts)) < 0.0051


def test_proposed_buckets_read_what_padding_reads() -> None:
    """The ranges of `buckets`, built as profiles of one engine: the same strips are read."""
    lengths = strips.mixed_lengths(60)
    plan = tl.buckets.propose(lengths, 2, largest=16)
    profiles = plan.profiles("strip", lambda n, length: (n, 1, 16, 16 * length), batch=16)
    engine = tl.build(strips.onnx_path(), profiles=profiles, level=0, cache=False).engine()
    sessions = [tl.Session(engine, profile=number) for number in range(len(plan.edges))]
    made = [strips.make(1, int(n), seed=i) for i, n in enumerate(lengths)]
    right = 0
    for number, chosen in tl.buckets.batches(lengths, plan.edges, 16):
        images = np.concatenate([strips.pad(made[i][0], 16 * plan.edges[number]) for i in chosen])
        read = strips.decode(sessions[number].infer(images)["logits"])
        right += sum(text == made[i][1][0] for i, text in zip(chosen, read, strict=True))
    for session in sessions:
        session.close()
    assert right >= 0.95 * len(lengths)
