"""The command line: what each command does with notebooks, and what it says when something is wrong."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from trt_lessons import cli
from trt_lessons.workbook import execute
from trt_lessons.workbook.execute import environment, find_notebook, notebooks, run_notebook

CHECKS = """
from trt_lessons.workbook.exercises import exercise, right, wrong


@exercise("90.1", points=2)
def answer(a):
    return right() if a == 42 else wrong(yours=a, expected="a number", hint="Think.")
"""


def notebook(*sources: str, exercise: str = "") -> dict:
    """A notebook of code cells without outputs; `exercise` adds one with its check."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": s}
        for i, s in enumerate(sources)
    ]
    if exercise:
        grades = {"grade": False, "solution": True, "grade_id": "ex-90-1"}
        task = {**cells[0], "id": "task", "metadata": {"nbgrader": grades}}
        task["source"] = f"### BEGIN SOLUTION\n{exercise}\n### END SOLUTION"
        checks = {"grade": True, "solution": False, "grade_id": "check-90-1", "points": 2}
        check = {**cells[0], "id": "check", "metadata": {"nbgrader": checks}}
        check["source"] = 'import trt_lessons as tl\ntl.check("90.1", answer)'
        cells += [task, check]
    spec = {"name": "other", "display_name": "Other", "language": "python", "env": {}}
    return {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with three small lessons."""
    lessons = tmp_path / "notebooks"
    (lessons / "checks").mkdir(parents=True)
    save = lambda name, nb: (lessons / name).write_text(json.dumps(nb))  # noqa: E731
    save("90_try_it.ipynb", notebook("import os\nprint('hello')", "6 * 7", exercise="answer = 42"))
    save("91_1_fails.ipynb", notebook("x = 1", "# why\nraise ValueError('on purpose')", "x"))
    save("91_2_other.ipynb", notebook("print(1)"))
    (lessons / "checks" / "90_try_it.py").write_text(CHECKS)
    monkeypatch.setenv("TRT_LESSONS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_find_notebook(home: Path) -> None:
    lessons = home / "notebooks"
    for name in ("90", "90_try_it", "90_try_it.ipynb", "notebooks/90_try_it.ipynb"):
        assert find_notebook(name, lessons).name == "90_try_it.ipynb"
    assert find_notebook("91_2", lessons).name == "91_2_other.ipynb"


def test_a_whole_number_wins(home: Path) -> None:
    lessons = home / "notebooks"
    for name in ("90_2_parted", "90_10_late"):
        (lessons / f"{name}.ipynb").write_text(json.dumps(notebook("1")))
    assert find_notebook("90", lessons).name == "90_try_it.ipynb"
    assert find_notebook("90_2", lessons).name == "90_2_parted.ipynb"
    order = ["90_try_it", "90_2_parted", "90_10_late", "91_1_fails", "91_2_other"]
    assert [path.stem for path in notebooks(lessons)] == order


@pytest.mark.parametrize(("name", "words"), [("95", "No lesson"), ("91", "fits 2 lessons"), ("9", "No lesson")])
def test_find_notebook_says_what_there_is(home: Path, capsys, name: str, words: str) -> None:
    assert cli.main(["run", name]) == 1
    error = capsys.readouterr().err
    assert words in error and "91_1_fails" in error and "Traceback" not in error


def test_run_in_place(home: Path, capsys) -> None:
    assert cli.main(["run", "90", "--in-place"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ok") and " s\n" in out
    path = home / "notebooks" / "90_try_it.ipynb"
    first = path.read_bytes()
    stored = json.loads(first)
    assert [c["execution_count"] for c in stored["cells"]] == [1, 2, 3, 4]
    assert [c["id"] for c in stored["cells"]] == ["c0", "c1", "task", "check"]
    assert stored["cells"][3]["outputs"][0]["text"] == ["90.1 right.\n"]
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    assert stored["metadata"]["language_info"] == {"name": "python"}
    assert all(set(c["metadata"]) <= {"tags", "nbgrader"} for c in stored["cells"])
    assert cli.main(["run", "90", "--in-place"]) == 0
    assert path.read_bytes() == first, "a second run stores the same bytes"
    assert not list(path.parent.glob(".*"))


def test_run_stops_at_an_error_and_says_where(home: Path, capsys) -> None:
    path = home / "notebooks" / "91_1_fails.ipynb"
    before = path.read_bytes()
    assert cli.main(["run", "91_1", "--in-place"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAIL") and "cell 1 (id c1): # why" in out and "ValueError: on purpose" in out
    assert "\x1b" not in out
    assert path.read_bytes() == before, "nothing is stored after an error"


def test_run_to_another_folder(home: Path, capsys) -> None:
    before = (home / "notebooks" / "91_2_other.ipynb").read_bytes()
    assert cli.main(["run", "91_2", "--output", "out"]) == 0
    assert json.loads((home / "out" / "91_2_other.ipynb").read_text())["cells"][0]["outputs"]
    assert (home / "notebooks" / "91_2_other.ipynb").read_bytes() == before


def test_a_notebook_at_a_time_on_each_gpu(home: Path, capsys) -> None:
    said = "import os, time\ntime.sleep(0.5)\nprint(os.environ['CUDA_VISIBLE_DEVICES'])"
    for number in (93, 94, 95):
        (home / "notebooks" / f"{number}_gpu.ipynb").write_text(json.dumps(notebook(said)))
    assert cli.main(["run", "93", "94", "95", "--gpus", "0,1", "--output", "out"]) == 0
    out = capsys.readouterr().out
    assert out.count("ok  ") == 3 and "3 of 3 notebooks ran without an error" in out
    told = [json.loads((home / "out" / f"{n}_gpu.ipynb").read_text())["cells"][0]["outputs"] for n in (93, 94, 95)]
    assert sorted({outputs[0]["text"][0] for outputs in told}) == ["0\n", "1\n"]


def test_several_notebooks_at_a_time_take_turns_to_measure(home: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_GPU_LOCK", "")  # so that what `run` sets goes with this test
    monkeypatch.delenv("TRT_LESSONS_GPU_LOCK")
    said = "import os, time\nprint(time.time(), os.environ['TRT_LESSONS_GPU_LOCK'])\ntime.sleep(1)\nprint(time.time())"
    for number in (93, 94):
        (home / "notebooks" / f"{number}_jobs.ipynb").write_text(json.dumps(notebook(said)))
    assert cli.main(["run", "93", "94", "--jobs", "2", "--output", "out"]) == 0
    texts = [json.loads((home / "out" / f"{n}_jobs.ipynb").read_text())["cells"][0]["outputs"] for n in (93, 94)]
    spans = [[float(line.split()[0]) for line in outputs[0]["text"]] for outputs in texts]
    assert max(start for start, _ in spans) < min(end for _, end in spans), "both ran at the same time"
    assert all(outputs[0]["text"][0].endswith(" 1\n") for outputs in texts)
    monkeypatch.setattr("trt_lessons.backend.is_gpu", lambda: True)
    for refused in (["record", "93", "--jobs", "2"], ["run", "93", "--jobs", "0"]):
        assert cli.main(refused) == 1
    said = capsys.readouterr().err
    assert "Nothing is recorded with --jobs." in said and "at least one notebook" in said


@pytest.mark.skipif(os.name != "posix", reason="sockets in a folder are POSIX's")
def test_kernels_that_start_at_once_share_no_port() -> None:
    one, two = execute._kernel_of_this_python(), execute._kernel_of_this_python()
    folders = [Path(manager.connection_file).parent for manager in (one, two)]
    assert {one.transport, two.transport} == {"ipc"} and folders[0] != folders[1]
    del one, two
    gc.collect()
    assert not any(folder.exists() for folder in folders)


def test_the_slowest_cells_are_named(home: Path) -> None:
    path = home / "notebooks" / "97_waits.ipynb"
    path.write_text(json.dumps(notebook("x = 1", "import time\ntime.sleep(0.4)")))
    done = run_notebook(path)
    assert set(done.cells) == {"c0", "c1"} and 0.4 <= done.cells["c1"] < done.seconds
    assert done.slowest(least=0.3) == "c1 0 s" and done.slowest() == ""
    old = json.loads(path.read_text()) | {"nbformat_minor": 4}
    for cell in old["cells"]:
        del cell["id"]
    path.write_text(json.dumps(old))
    assert not run_notebook(path).error, "a notebook whose format has no ids runs too"


def test_stored_outputs_name_no_folder_of_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "own").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home / "own"))
    path = home / "notebooks" / "96_path.ipynb"
    path.write_text(json.dumps(notebook(f"print('{home}/own/tmp123/saved.plan')")))
    assert cli.main(["run", "96", "--in-place"]) == 0
    outputs = json.loads(path.read_text())["cells"][0]["outputs"]
    assert outputs[0]["text"] == ["/tmp/tmp123/saved.plan\n"]


def test_a_recorded_run_has_one_name_in_all_notebooks() -> None:
    one, two = environment(record=True, gpu="0"), environment(record=True, gpu="1")
    assert one["TRT_LESSONS_RUN"] == two["TRT_LESSONS_RUN"] and two["CUDA_VISIBLE_DEVICES"] == "1"
    assert "TRT_LESSONS_RECORD" not in environment() or os.environ.get("TRT_LESSONS_RECORD")


def test_outputs_that_cannot_be_stored_are_found_before_the_run(home: Path, capsys) -> None:
    (home / "file").touch()
    assert cli.main(["run", "90", "--output", str(home / "file")]) == 1
    err = capsys.readouterr().err
    assert "90_try_it.ipynb cannot be written" in err and "cure:" in err


def test_what_no_command_has_words_for(monkeypatch, capsys) -> None:
    def full(args) -> int:
        raise OSError(28, "No space left on device", "course")

    monkeypatch.setattr(cli, "_progress", full)
    assert cli.main(["progress"]) == 1
    assert "No space left on device: 'course'\n  cure:" in capsys.readouterr().err


def test_run_too_long(home: Path) -> None:
    path = home / "notebooks" / "92_slow.ipynb"
    path.write_text(json.dumps(notebook("x = 1", "import time\ntime.sleep(60)")))
    started = time.monotonic()
    done = run_notebook(path, timeout=2)
    assert done.error and "cell 1" in done.error and time.monotonic() - started < 30


@pytest.fixture
def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small repository with a lesson 06 that says what it was given and leaves a report."""
    words = ("MODEL", "DATA", "LIMIT", "BATCH", "REPORTS")
    for word in words:
        monkeypatch.setenv(f"TRT_LESSONS_{word}", "")  # so that what the command sets goes away again
        monkeypatch.delenv(f"TRT_LESSONS_{word}")
    lines = ["import os, pathlib", f"print([os.environ.get(f'TRT_LESSONS_{{w}}') for w in {words}])"]
    lines += ["folder = pathlib.Path(os.environ['TRT_LESSONS_REPORTS'])", "folder.mkdir(exist_ok=True)"]
    lines += ["(folder / f'mine-{len(list(folder.iterdir()))}.html').write_text('')"]
    path = home / "notebooks" / "06_your_own_model.ipynb"
    path.write_text(json.dumps(notebook("\n".join(lines))))
    return home


def test_run_with_a_model_of_yours(own: Path, capsys) -> None:
    from trt_lessons.models import digits

    (own / "mine.onnx").write_bytes(digits.onnx_path().read_bytes())
    assert cli.main(["run", "06", "--model", "mine.onnx", "--limit", "0", "--batch", "16", "--output", "out"]) == 0
    said = json.loads((own / "out" / "06_your_own_model.ipynb").read_text())["cells"][0]["outputs"][0]["text"]
    assert said == [f"{[str(own / 'mine.onnx'), None, '0.0', '16', str(own / 'reports')]}\n"]
    assert f"report: {own / 'reports' / 'mine-0.html'}" in capsys.readouterr().out
    assert cli.main(["run", "06", "--reports", "reports"]) == 0
    out = capsys.readouterr().out
    assert "mine-1.html" in out and "mine-0.html" not in out, "only the new report is named"


def test_a_model_that_cannot_be_read_starts_no_kernel(own: Path, capsys) -> None:
    (own / "half.onnx").write_bytes(b"\x08\x08half of a model")
    (own / "text.npz").write_text("no arrays")
    for options, words in (
        (["--model", "none.onnx"], "there is no file none.onnx"),
        (["--model", "half.onnx"], "is not a whole ONNX model"),
        (["--data", "text.npz"], "is not a whole .npz file"),
        (["--batch", "0"], "A batch of 0"),
    ):
        assert cli.main(["run", "06", *options]) == 1
        told = capsys.readouterr()
        assert words in told.err and "cure:" in told.err and "Traceback" not in told.err and not told.out
    assert not (own / "reports").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["run", "90", "--model", "x.onnx"], "Only lesson 06 takes --model"),
        (["run", "--limit", "1"], "Only lesson 06 takes --limit"),
        (["run", "06", "90", "--data", "x.npz"], "Only lesson 06 takes --data"),
        (["run", "06", "--in-place", "--model", "x.onnx"], "--in-place is for the lesson's own network"),
        (["run", "06", "--record", "--batch", "4"], "--record is for the lesson's own network"),
    ],
)
def test_options_of_lesson_06_where_they_do_not_belong(own: Path, capsys, command: list, words: str) -> None:
    before = (own / "notebooks" / "06_your_own_model.ipynb").read_bytes()
    assert cli.main(command) == 1
    assert words in capsys.readouterr().err
    assert (own / "notebooks" / "06_your_own_model.ipynb").read_bytes() == before


def test_recording_is_told_to_the_kernel() -> None:
    assert execute.environment(record=True)["TRT_LESSONS_RECORD"] == "1"


def test_record_needs_a_gpu(home: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_BACKEND", "interpreter")
    assert cli.main(["record"]) == 1
    assert "nothing to record" in capsys.readouterr().err


def test_no_lessons(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_HOME", str(tmp_path))
    assert cli.main(["run"]) == 1
    assert "There are no lessons" in capsys.readouterr().err


def test_lab_copies(home: Path, capsys) -> None:
    assert cli.main(["lab", "--copies-only"]) == 0
    assert "3 lessons (3 new)" in capsys.readouterr().out
    mine = home / "workbook" / "90_try_it.ipynb"
    mine.write_text(mine.read_text().replace("answer = ...", "answer = 41"))
    cli.main(["lab", "--copies-only"])
    out = capsys.readouterr().out
    assert "90_try_it.ipynb: you changed it" in out
    assert cli.main(["solution", "90"]) == 0
    out = capsys.readouterr().out
    assert "answer = 41" in out and "answer = 42" in out


def test_solution_of_nothing(home: Path, capsys) -> None:
    assert cli.main(["solution", "91_2"]) == 1
    assert "has no exercise" in capsys.readouterr().err
    assert cli.main(["solution", "90.9"]) == 1


def test_progress(home: Path, capsys) -> None:
    cli.main(["lab", "--copies-only"])
    assert cli.main(["progress"]) == 0
    assert "0 of 1 exercises done" in capsys.readouterr().out
    run_notebook(home / "notebooks" / "90_try_it.ipynb", save_to=home / "workbook" / "90_try_it.ipynb")
    done = run_notebook(home / "workbook" / "90_try_it.ipynb")
    assert not done.error
    cli.main(["progress"])
    assert "1 of 1 exercises done" in capsys.readouterr().out


def test_lab_listens_on_localhost_with_a_token(home: Path, monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    command = cli.lab_command(home / "workbook", 8123, [])
    assert "--ip=127.0.0.1" in command and "--port=8123" in command
    assert not any("token" in c or "password" in c or "0.0.0.0" in c for c in command)
    if sys.platform.startswith("linux"):
        assert "--no-browser" in command


def answer(url: str, end: float) -> bytes:
    """What a server says, once it listens: it prints its URL a moment before."""
    while True:
        try:
            return urllib.request.urlopen(url, timeout=10).read()
        except urllib.error.URLError:
            if time.monotonic() > end:
                return b""
            time.sleep(0.2)


def test_lab_starts(home: Path) -> None:
    """JupyterLab comes up headless, serves the copies and asks for its token."""
    command = [sys.executable, "-m", "trt_lessons.cli", "lab", "--", "--ServerApp.port=0"]  # a port of its own
    log = home / "lab.log"
    with log.open("w") as out:
        lab = subprocess.Popen(command, cwd=home, stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        end, url = time.monotonic() + 60, ""
        while not url and time.monotonic() < end:
            assert lab.poll() is None, log.read_text()
            words = log.read_text().replace("=...", "=hidden").split()
            url = next((w for w in words if w.startswith("http://127.0.0.1") and "token=" in w), "")
            time.sleep(0.2)
        assert url, log.read_text()
        base = url.split("/lab")[0]
        assert b"version" in answer(f"{base}/api", end), log.read_text()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/api/contents", timeout=10)
        assert refused.value.code == 403
        assert (home / "workbook" / "90_try_it.ipynb").exists()
    finally:
        lab.terminate()
        lab.wait(20)


def test_doctor_status(capsys, monkeypatch) -> None:
    from trt_lessons import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding(True, "well")])
    assert cli.main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding(False, "ill", "why", "do")])
    assert cli.main(["doctor"]) == 1
    assert "[FAIL] ill" in capsys.readouterr().out


def test_help_names_every_command(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    out = capsys.readouterr().out
    for command in ("doctor", "lab", "run", "record", "compare", "solution", "progress"):
        assert command in out


def test_lab_without_a_home_to_write_to(home: Path, monkeypatch) -> None:
    """Jupyter's folders move into the workbook; where the home can be written they stay."""
    for word in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(word, raising=False)
    monkeypatch.setenv("HOME", str(home / "somebody"))
    assert cli.jupyter_folders(home / "workbook") == {}
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    moved = cli.jupyter_folders(home / "workbook")
    assert moved["JUPYTER_RUNTIME_DIR"] == str(home / "workbook" / ".jupyter" / "runtime") and len(moved) == 3
