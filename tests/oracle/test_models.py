"""The interpreter beside NVIDIA's parser and builder (TensorRT-RTX), over all models of the onnx package's tests."""

from __future__ import annotations

from collections import Counter

import pytest

from . import sides
from .reasons import RTX, reason

MOST_REASONS, LEAST_AGREED, LEAST_RUN = 60, 0.97, 0.97
Answers = dict[str, dict[str, dict]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """{side: {model: answer}} of both sides."""
    python = sides.nvidia_python()
    if python is None:
        pytest.skip("TensorRT-RTX is not installed (NVIDIA's compiler without a GPU: Linux and Windows on x86-64)")
    return sides.both(python, sides.models())


def _verdicts(answers: Answers) -> dict[str, tuple[str, str]]:
    """{model: the verdicts of (the interpreter, NVIDIA)}."""
    ours, theirs = answers["interpreter"], answers["nvidia"]
    return {name: (ours[name]["verdict"], theirs[name]["verdict"]) for name in theirs}


def _differ(answers: Answers) -> set[str]:
    return {name for name, pair in _verdicts(answers).items() if len({v == "accepts" for v in pair}) == 2}


def _told(answers: Answers, names: set[str]) -> list[str]:
    return [f"{n}: {[(s, answers[s][n]['verdict'], answers[s][n]['words']) for s in answers]}" for n in sorted(names)]


def test_all_models_were_asked(answers: Answers) -> None:
    """1,827 in onnx 1.21.0; a wheel that leaves the folder `node` out has far fewer."""
    assert len(answers["nvidia"]) == len(answers["interpreter"]) > 1800


def test_no_exception_leaves_the_interpreter(answers: Answers) -> None:
    """Neither an exception nor the end of the process."""
    names = {n for n, (ours, _) in _verdicts(answers).items() if ours in ("exception", "crash")}
    assert not names, _told(answers, names)


def test_every_disagreement_has_a_named_reason(answers: Answers) -> None:
    """The models that the list names differ, and no others: a reason that is no longer needed fails too."""
    differ, listed = _differ(answers), {n for n in answers["nvidia"] if reason(n)}
    assert differ == listed, _told(answers, differ ^ listed)


def test_the_list_is_short_and_the_sides_agree(answers: Answers) -> None:
    """Fewer than 60 models are listed; 97 % of those that no difference of RTX's excuses are agreed on."""
    listed = {n for n in answers["nvidia"] if reason(n)}
    asked = {n for n in answers["nvidia"] if not reason(n, RTX)}
    agreed = len(asked - _differ(answers)) / len(asked)
    print(sorted(Counter(_verdicts(answers).values()).items()), f"agreed on {agreed:.1%}")
    assert len(listed) < MOST_REASONS and agreed >= LEAST_AGREED, (len(listed), agreed)


def test_numbers_are_right(answers: Answers) -> None:
    """Of the models that both accept and that come with outputs, at least 97 % are run and all those are right."""
    both = {n for n, pair in _verdicts(answers).items() if pair == ("accepts", "accepts")}
    stored = {n for n in both if sides.has_outputs(n)}
    ran = {n: answers["interpreter"][n]["right"] for n in stored if "right" in answers["interpreter"][n]}
    wrong = {n: right for n, right in ran.items() if right is not True}
    assert not wrong and len(ran) >= LEAST_RUN * len(stored), (wrong, len(ran), len(stored))
