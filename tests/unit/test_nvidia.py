"""NVIDIA's compiler asked in a process of its own: what it answers, and that nothing that happens there reaches us."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import platform
import random
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from trt_lessons import layers, models, nvidia
from trt_lessons.advice.nvidia import process
from trt_lessons.errors import CacheError, LessonError, ModelFileError

HERE = nvidia.available()
needs_it = pytest.mark.skipif(not HERE, reason=f"NVIDIA's compiler is not here: {HERE.why}")
RANGE = {"images": ((1, 1, 32, 32), (8, 1, 32, 32), (32, 1, 32, 32))}
WEIGHTS = np.ones((1, 4), np.float32)
trt = None  # in the asked process NVIDIA's


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a temporary folder that only this test uses; at the end no question has left anything."""
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "exchange"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def model(op: str = "Relu", domain: str = "", **attributes: object) -> onnx.ModelProto:
    """One node, [2, 4] float32."""
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 4]) for n in ("x", "y")]
    node = helper.make_node(op, ["x"], ["y"], name="only", domain=domain, **attributes)
    return helper.make_model(
        helper.make_graph([node], "one", sides[:1], sides[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def instead(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Another program in the place of the one that asks, as a wrong wheel would be."""
    monkeypatch.setattr(nvidia, "_imports", lambda *_: nvidia.Availability(True, "", version="0"))
    monkeypatch.setattr(nvidia, "_unfit_system", lambda: None)
    monkeypatch.setattr(nvidia.importlib.util, "find_spec", lambda _: True)
    begin = "import json, os, signal, time\ntell = lambda **x: print(json.dumps(x), file=open('answers.jsonl', 'a'))\n"
    monkeypatch.setattr(nvidia, "_command", lambda: [nvidia.sys.executable, "-c", begin + program])


def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the wheel."""
    monkeypatch.setattr(nvidia.importlib.util, "find_spec", lambda _: None)


PARSED = """tell(kind='version', version='0')
tell(kind='parse', parsed=True, refused=[], seconds=0, log=[], network=[])
"""
BUILT = """tell(kind='build', card='SM86', built=True, seconds=1, plan_bytes=9, layers='', calls=0, phases=[], log=[])
"""
LITTLE = """import resource, runpy
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
runpy.run_path('process.py')
"""


@needs_it
def test_digits_on_four_cards() -> None:
    answer = nvidia.ask(models.digits.onnx_path(), ("SM80", "SM86", "SM89", "SM120"), RANGE)
    assert answer.verdict == "built" and answer.source == "asked" and answer.version
    assert answer.inputs == [{"name": "images", "dtype": "FLOAT", "shape": [-1, 1, 32, 32]}]
    assert list(answer.builds) == ["SM80", "SM86", "SM89", "SM120"] and len(answer.network) == 55
    for build in answer.builds.values():
        assert len(build.table) == 25 and build.plan_bytes > 5_000_000 and build.calls > 100
        found = layers.fusion(answer.network, build.table)
        assert not found.lost and ["stem.conv", "stem.norm", "stem.relu"] in list(found.held.values())
        assert build.table.count("type")["runtime_fusion"] == 12


@needs_it
def test_the_second_answer_comes_from_the_cache_and_is_the_same() -> None:
    first, second = (nvidia.ask(model(), "SM86") for _ in range(2))
    assert (first.source, second.source) == ("asked", "cache")
    assert {**first.to_dict(), "source": ""} == {**second.to_dict(), "source": ""}
    assert nvidia.ask(model(), "SM89").source == nvidia.ask(model("Neg"), "SM86").source == "asked"


@needs_it
def test_a_damaged_cache_is_asked_again(tmp_path: Path) -> None:
    nvidia.ask(model(), "SM86")
    for file in (tmp_path / "cache" / "nvidia").iterdir():
        file.write_text(file.read_text()[:100])
    assert nvidia.ask(model(), "SM86").source == "asked"


@needs_it
def test_what_the_parser_refuses_it_says() -> None:
    answer = nvidia.ask(model("NoSuchOp", domain="mine"), "SM86")
    assert answer.parsed is False and answer.verdict == "not parsed" and not answer.builds
    assert answer.refused[0]["op"] == "NoSuchOp" and answer.refused[0]["words"]


@needs_it
@pytest.mark.parametrize("bad", [b"", b"this is text" * 20, bytes(400)])
def test_what_is_no_model_is_not_parsed(bad: bytes) -> None:
    assert nvidia.ask(bad, "SM86").verdict == "not parsed"


@needs_it
def test_a_dynamic_input_without_a_profile_is_refused_in_nvidias_words() -> None:
    answer = nvidia.ask(models.digits.onnx_path(), "SM86")
    assert answer.parsed and answer.verdict == "refused"
    assert "profile" in " ".join(answer["SM86"].errors)


def doubled(network):
    """Reads another function, an array and a module."""
    x = network.add_input("x", trt.float32, (2, 4))
    return finish(network, network.add_elementwise(x, weights(network), trt.ElementWiseOperation.PROD))


def weights(network):
    return network.add_constant((1, 4), np.ascontiguousarray(WEIGHTS * 2)).get_output(0)


def finish(network, layer):
    network.mark_output(layer.get_output(0))


def fails(network):
    raise ValueError("on purpose")


def marks_nothing(network):
    assert network.num_outputs == 0


@needs_it
def test_a_network_made_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    from trt_lessons.interpreter import tensorrt

    monkeypatch.setitem(globals(), "trt", tensorrt)
    answer = nvidia.ask(doubled, "SM86")
    assert answer.verdict == "built", answer
    assert [x["type"] for x in answer.network] == ["CONSTANT", "ELEMENTWISE"] and answer.name == "doubled"
    assert nvidia.ask(doubled, "SM86").source == "cache"
    monkeypatch.setitem(globals(), "WEIGHTS", WEIGHTS + 1)
    assert nvidia.ask(doubled, "SM86").source == "asked"


@needs_it
def test_a_function_that_fails_is_an_answer() -> None:
    assert nvidia.ask(fails, "SM86").verdict == "your function raised ValueError: on purpose"
    assert nvidia.ask(marks_nothing, "SM86").refused[0]["code"] == "NO_OUTPUT"


def test_functions_that_cannot_be_sent() -> None:
    if not HERE:
        pytest.skip(HERE.why)
    here = 1
    for function in (lambda network: None, lambda network: here, [].append, len):
        with pytest.raises(LessonError, match="cannot be sent"):
            nvidia.ask(function, "SM86")


def test_a_crash_keeps_what_was_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, PARSED + BUILT + "os.kill(os.getpid(), signal.SIGSEGV)")
    answer = nvidia.ask(model(), ("SM86", "SM89"))
    assert answer.parsed and answer["SM86"].built and answer.verdict == "built for SM86"
    assert answer.ended == answer["SM89"].verdict == "NVIDIA's compiler ended with signal 11 (SIGSEGV)"
    assert nvidia.ask(model(), ("SM86", "SM89")).source == "asked", "a crash is not kept"


def test_a_hang_is_stopped_with_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "child"
    child = f"import subprocess; c = subprocess.Popen(['sleep', '1000']); open({str(note)!r}, 'w').write(str(c.pid))\n"
    instead(monkeypatch, PARSED + child + "time.sleep(1000)")
    answer = nvidia.ask(model(), "SM86", timeout=1)
    assert answer.verdict == "NVIDIA's compiler was stopped after 1 s; give more time with timeout="
    state = Path(f"/proc/{note.read_text()}/stat")
    deadline = time.monotonic() + 5
    while state.exists() and state.read_text(encoding="utf-8").split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or state.read_text(encoding="utf-8").split()[2] == "Z"


@needs_it
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_at_ten_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(*args, **options):
        child = popen(*args, **options)
        if options.get("start_new_session"):
            begun.append(child)
            threading.Timer(random.uniform(0, 0.4), child.send_signal, [signal.SIGKILL]).start()
        return child

    monkeypatch.setattr(nvidia.subprocess, "Popen", start)
    answers = [nvidia.ask(models.digits.onnx_path(), ("SM86", "SM89"), RANGE, cache=False) for _ in range(10)]
    assert len(begun) == 10 and all(c.returncode is not None for c in begun)
    assert all("signal 9" in a.ended or a.verdict == "built" for a in answers) and any(a.ended for a in answers)
    monkeypatch.undo()
    assert nvidia.ask(model(), "SM86", cache=False).verdict == "built"


@needs_it
def test_no_memory_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "_command", lambda: [nvidia.sys.executable, "-c", LITTLE])
    assert nvidia.ask(models.digits.onnx_path(), "SM86", RANGE).ended.startswith("NVIDIA's compiler ended with")


@needs_it
def test_it_ends_when_its_parent_is_gone(own_folders: Path) -> None:
    folder = own_folders / "orphan"
    folder.mkdir()
    (folder / "process.py").write_bytes(Path(process.__file__).read_bytes())
    (folder / "request.json").write_text("{}")
    code = "import process, time; process.threading.Thread(target=process.end_with_the_parent).start(); time.sleep(60)"
    child = subprocess.Popen([nvidia.sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait(10) == 1 and not folder.exists()


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, PARSED)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CacheError, match="No space left on device") as caught:
        nvidia.ask(model(), "SM86")
    assert "TMPDIR" in caught.value.cure


def test_a_cache_that_cannot_be_written_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    instead(monkeypatch, PARSED + "tell(kind='end')")
    with pytest.warns(UserWarning, match="not kept"):
        assert nvidia.ask(model(), ()).verdict == "parsed"


@needs_it
def test_two_at_once() -> None:
    answers: dict[int, nvidia.Answer] = {}
    asked = [threading.Thread(target=lambda i=i: answers.update({i: nvidia.ask(model(), "SM86")})) for i in range(2)]
    [t.start() for t in asked]
    [t.join() for t in asked]
    assert [answers[i].verdict for i in range(2)] == ["built", "built"]


def test_more_than_two_gigabytes(tmp_path: Path) -> None:
    if not HERE:
        pytest.skip(HERE.why)
    large = tmp_path / "large.onnx"
    with open(large, "wb") as file:
        file.truncate(2**31)  # a hole: it takes no disk
    with pytest.raises(ModelFileError, match="2,147,483,648 bytes") as caught:
        nvidia.ask(large)
    assert "save_as_external_data" in caught.value.cure


@pytest.mark.parametrize("what", [3, None, "no_such_file.onnx"])
def test_what_cannot_be_asked(what: object, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, PARSED)
    with pytest.raises(ModelFileError):
        nvidia.ask(what, "SM86")


def test_a_card_that_is_not_known() -> None:
    with pytest.raises(LessonError, match="SM120") as caught:
        nvidia.ask(model(), "H100")
    assert "H100" in caught.value.what


def test_without_the_wheel_one_line_and_no_error(monkeypatch, capsys, tmp_path: Path) -> None:
    missing(monkeypatch)
    answer = nvidia.ask(model())
    assert answer.source == "missing" and answer.verdict == answer.ended and "make lab" in answer.ended
    assert len(capsys.readouterr().out.splitlines()) == 1


@needs_it
def test_without_the_wheel_the_recorded_answer_is_shown(monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setenv("TRT_LESSONS_HOME", str(tmp_path))
    monkeypatch.setenv("TRT_LESSONS_RECORD", "1")
    asked = nvidia.ask(model(), "SM86", recorded="08/relu")
    monkeypatch.delenv("TRT_LESSONS_RECORD")
    missing(monkeypatch)
    told = nvidia.ask(model(), "SM86", recorded="08/relu")
    assert told.source == "recorded" and {**told.to_dict(), "source": ""} == {**asked.to_dict(), "source": ""}
    assert capsys.readouterr().out.startswith("Recorded with TensorRT-RTX 1.7")


@pytest.mark.parametrize(
    ("system", "machine", "libc", "why"),
    [
        ("Darwin", "arm64", ("", ""), "macOS"),
        ("Linux", "aarch64", ("glibc", "2.39"), "aarch64"),
        ("Linux", "x86_64", ("glibc", "2.17"), "glibc 2.28 or later, here is glibc 2.17"),
        ("Linux", "x86_64", ("", ""), "another C library"),
    ],
)
def test_systems_that_it_is_not_made_for(monkeypatch, system: str, machine: str, libc: tuple, why: str) -> None:
    for name, value in (("system", system), ("machine", machine), ("libc_ver", libc)):
        monkeypatch.setattr(platform, name, lambda value=value: value)
    there = nvidia.available()
    assert not there and why in there.why and "Linux or Windows" in there.cure


@pytest.mark.parametrize(
    ("source", "ok", "says"),
    [
        (
            "raise OSError('lib: cannot open shared object')",
            False,
            "cannot open shared object",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", False, "signal 11"),
        ("__version__ = '1.4.0.76'; Builder = 1", True, "tested with 1.7"),
        ("x = 1", False, "Builder"),
    ],
)
def test_wheels_that_are_damaged_or_of_another_version(monkeypatch, tmp_path: Path, source, ok, says) -> None:
    (tmp_path / "tensorrt_rtx.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(nvidia, "_unfit_system", lambda: None)
    nvidia._imports.cache_clear()
    there = nvidia.available()
    nvidia._imports.cache_clear()
    assert bool(there) is ok and says in there.why and (ok or "force-reinstall" in there.cure)


def test_the_summary_says_layers_and_size_for_each_card() -> None:
    made = nvidia.Build("SM86", True, seconds=0.25, plan_bytes=5_380_508, table=layers.Table([]))
    other = nvidia.Build("SM89", False, seconds=0.5)
    found = {
        "mine": nvidia.Answer("mine", True, builds={"SM86": made, "SM89": other}),
        "half": nvidia.Answer("half", True, builds={"SM86": made}),
        "no": nvidia.Answer("no", False),
    }
    assert [line.split() for line in nvidia.summary(found).splitlines()] == [
        ["model", "layers", "SM86", "SM89", "seconds"],
        ["mine", "0", "0", "/", "5.4", "refused", "0.8", "s"],
        ["half", "0", "0", "/", "5.4", "-", "0.2", "s"],
        ["no", "0", "not", "parsed"],
    ]


@needs_it
def test_lesson_08_names_the_outputs_that_are_free() -> None:
    """Where the compiler is missing, the check of exercise 08.1 goes by this list."""
    path = Path(__file__).resolve().parents[2] / "notebooks" / "checks" / "08_ask_nvidias_compiler.py"
    spec = importlib.util.spec_from_file_location("checks_of_lesson_08", path)
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)
    names = [n.output[0] for n in onnx.load(models.digits.onnx_path()).graph.node if n.name.startswith("block5")]
    counts = {name: checks.layers_with(name) for name in names}
    assert tuple(sorted(checks.FREE)) == tuple(sorted(n for n, (before, after) in counts.items() if after == before))


def test_answers_survive_json() -> None:
    build = nvidia.Build("SM86", False, log=[("ERROR", "no")], phases=[("a", "", 2)])
    answer = nvidia.Answer("x", True, builds={"SM86": build})
    again = nvidia.Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert again.to_dict() == answer.to_dict() and again["SM86"].errors == ["no"] and again.verdict == "refused"
