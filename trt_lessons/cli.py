"""The command `trt-lessons`: doctor, lab, run, record, compare, solution, progress, classroom, sweep."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from . import __version__, messages
from .advice import commands as models
from .errors import LessonError
from .files import home, probe
from .measuring import turns
from .messages import told
from .scale import commands as scale
from .workbook.languages import commands as languages


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status. Errors of the workbook are printed without a traceback."""
    args = parser().parse_args(argv)
    try:
        return args.do(args)
    except LessonError as error:
        print(f"trt-lessons: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written: what no command has words for
        cure = "make room, mend the permissions, or name another folder"
        print(f"trt-lessons: {error}\n  cure: {cure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="trt-lessons", description="A workbook that teaches TensorRT.")
    top.add_argument("--version", action="version", version=f"trt-lessons {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    doctor = commands.add_parser("doctor", help="what is wrong here, and the command that mends it")
    doctor.set_defaults(do=_doctor)

    lab = commands.add_parser("lab", help="write the learner's copies and open them in JupyterLab")
    lab.add_argument("--workbook", type=Path, help="folder of the copies (default: workbook/)")
    lab.add_argument("--language", metavar="L", help="en or zh-CN (default: that of the copies, else en)")
    lab.add_argument("--copies-only", action="store_true", help="write the copies, do not start JupyterLab")
    lab.add_argument("--port", type=int, help="port on localhost (default: JupyterLab's choice)")
    lab.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="for JupyterLab, after --")
    lab.set_defaults(do=_lab)

    run = commands.add_parser("run", help="execute notebooks from top to bottom")
    _add_run_options(run)
    run.add_argument("--record", action="store_true", help="record the named measurements (on a GPU)")
    run.set_defaults(do=_run)

    record = commands.add_parser("record", help="execute notebooks on a GPU and record their measurements")
    _add_run_options(record)
    record.set_defaults(do=_record)

    models.register(commands)

    scale.add(commands)

    languages.register(commands)

    compare = commands.add_parser("compare", help="the recordings of two machines beside each other")
    compare.add_argument("mine", nargs="?", help="folder in data/recordings, or a path (default: this machine)")
    compare.add_argument("theirs", nargs="?", help="folder in data/recordings, or a path (default: the other one)")
    compare.add_argument("--lesson", help='"02" (default: all)')
    compare.set_defaults(do=_compare)

    solution = commands.add_parser("solution", help="a solution beside yours")
    solution.add_argument("lesson", help='"02", or one exercise: "02.1"')
    solution.add_argument("--workbook", type=Path, help="folder of the copies (default: workbook/)")
    solution.set_defaults(do=_solution)

    progress = commands.add_parser("progress", help="which exercises are done")
    progress.add_argument("--workbook", type=Path, help="folder of the copies (default: workbook/)")
    agree = progress.add_mutually_exclusive_group()
    agree.add_argument("--share", metavar="NAME", help="your teacher may see it, under this name")
    agree.add_argument("--no-share", action="store_true", help="your teacher may not (any more)")
    progress.set_defaults(do=_progress)

    classroom = commands.add_parser("classroom", help="a nbgrader course out of the lessons, for teachers")
    words = "the course (default: course/); or `status FOLDER`: who is where, who is stuck"
    classroom.add_argument("folder", nargs="*", type=Path, default=[Path("course")], help=words)
    classroom.add_argument("--serve", action="store_true", help="with status: as a page on this machine")
    classroom.add_argument("--port", type=int, default=0, help="with --serve (default: a free one)")
    classroom.add_argument("--lessons", nargs="+", metavar="NOTEBOOK", help='"02" ... (default: all)')
    classroom.set_defaults(do=_classroom)
    return top


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help='"02" or a path (default: all)')
    where = command.add_mutually_exclusive_group()
    where.add_argument("--in-place", action="store_true", help="store the outputs in the notebooks")
    where.add_argument("--output", type=Path, metavar="DIR", help="store copies there")
    command.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds a cell (600)")
    command.add_argument("--gpus", metavar="0,1", help="several GPUs, a notebook at a time on each (default: one GPU)")
    command.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="notebooks at a time on each GPU: quick, but no times to keep (1)",
    )
    own = command.add_argument_group("lesson 06, your own model")
    own.add_argument("--model", type=Path, metavar="ONNX", help="the model (default: the workbook's digits)")
    models.add_options(own)


def _workbook(args: argparse.Namespace) -> Path:
    folder = args.workbook or home() / "workbook"
    if messages.language_of(folder) != "en":
        os.environ.setdefault(messages.SETTING, messages.language_of(folder))
    return folder


def _doctor(args: argparse.Namespace) -> int:
    from . import doctor

    findings = doctor.examine()
    print(doctor.report(findings))
    return 1 if any(f.ok is False for f in findings) else 0


def _lab(args: argparse.Namespace) -> int:
    from .workbook.copies import Workbook, menus, start

    target = _workbook(args)
    book = Workbook(home() / "notebooks", target, args.language or "")
    os.environ[messages.SETTING] = book.language
    copies = book.update()
    for line in describe_copies(copies):
        print(line)
    machine = backend_line()
    start.write(target, machine.splitlines()[0])
    if args.copies_only:
        return 0
    print(machine, flush=True)
    command = lab_command(target, args.port, [a for a in args.rest if a != "--"])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(home()), os.environ.get("PYTHONPATH", "")]))
    os.environ.update(without_teachers_menus())  # first, since languages add to the same variable
    os.environ.update(jupyter_folders(target) | menus.settings(target, book.language))
    # so that a terminal and a `!` cell find `trt-lessons`, as the notebooks say
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.execv(command[0], command)


def describe_copies(copies: list) -> list[str]:
    """What the learner should know about the copies: new lessons, what was kept, what lies beside."""
    lessons = [c for c in copies if c.name.endswith(".ipynb")]
    count = {a: sum(c.action == a for c in lessons) for a in ("new", "updated", "merged", "same", "kept", "beside")}
    parts = [f"{n} {told(word)}" for word, n in count.items() if n]
    lines = [told(f"workbook: {len(lessons)} lessons ({', '.join(parts) or told('none yet')})")]
    for copy in copies:
        if copy.action == "kept":
            lines.append(told(f"  {copy.name}: you changed it, so it stays as it is"))
        elif copy.action in ("beside", "merged"):
            lines.append(f"  {copy.name}: {told(copy.note)}")
    return lines


def backend_line() -> str:
    """One line about the backend that the notebooks will use; the reason when there is none."""
    from . import backend

    try:
        return str(backend.describe())
    except LessonError as error:
        return str(error)


def lab_command(root: Path, port: int | None, rest: list[str]) -> list[str]:
    """The command that starts JupyterLab on localhost, with a token, in the learner's folder."""
    from .workbook.copies.saving import HOOK

    command = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={root.absolute()}", f"--ContentsManager.pre_save_hook={HOOK}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if (root / "START.ipynb").exists():
        command.append("--LabApp.default_url=/lab/tree/START.ipynb")
    if os.name == "posix":  # no login shell: /etc/profile may set PATH anew, and `trt-lessons` would not be found
        command.append(f"--ServerApp.terminado_settings=shell_command={shlex.quote(os.environ.get('SHELL') or 'sh')}")
    if port:
        command.append(f"--port={port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen and "--no-browser" not in rest:
        command.append("--no-browser")
    return [*command, *rest]


def without_teachers_menus() -> dict[str, str]:
    """Settings for a JupyterLab without nbgrader's menus: one more folder of Jupyter's configuration, ours first."""
    ours = str(Path(__file__).parent / "workbook" / "classroom" / "learners")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [ours, os.environ.get("JUPYTER_CONFIG_PATH", "")]))}


def jupyter_folders(root: Path) -> dict[str, str]:
    """Settings for Jupyter's own folders: those that cannot be written (a read-only home) lie in the workbook."""
    from jupyter_core import paths

    moved = {}
    for word in ("runtime", "data", "config"):
        try:
            probe(Path(getattr(paths, f"jupyter_{word}_dir")()))
        except OSError:
            moved[f"JUPYTER_{word.upper()}_DIR"] = str(root.absolute() / ".jupyter" / word)
    return moved


def _run(args: argparse.Namespace) -> int:
    from .workbook import execute

    folder = execute.lessons_folder()
    paths = [execute.find_notebook(n, folder) for n in args.notebooks] or execute.notebooks(folder)
    if not paths:
        cure = "Start it in a clone of the repository, or set TRT_LESSONS_HOME to one."
        raise LessonError(f"There are no lessons in {folder}.", cure=cure)
    before = _own_model(args, paths)

    def run(path: Path, gpu: str | None) -> execute.Run:
        save_to = path if args.in_place else (args.output / path.name if args.output else None)
        return execute.run_notebook(path, save_to=save_to, timeout=args.timeout, record=args.record, gpu=gpu)

    failed = 0
    _beside_each_other(args)
    for done in execute.run_each(paths, run, args.gpus.split(",") if args.gpus else (), args.jobs):
        line = f"{'FAIL' if done.error else 'ok  '} {done.notebook.stem:<28} {done.seconds:7.1f} s  {done.slowest()}"
        print(line.rstrip(), flush=True)
        if done.error:
            failed += 1
            print(done.error, flush=True)
    for report in sorted(_reports() - before):
        print(f"report: {report}")
    if len(paths) > 1:
        print(f"{len(paths) - failed} of {len(paths)} notebooks ran without an error")
    return 1 if failed else 0


def _beside_each_other(args: argparse.Namespace) -> None:
    """With --jobs measurements take turns; what is recorded wants the GPU for itself."""
    if args.jobs < 1:
        raise LessonError(f"--jobs {args.jobs}: at least one notebook runs at a time.")
    if args.jobs == 1:
        return
    if args.record:
        why = "other notebooks' builds on the same GPU disturb what is measured"
        raise LessonError(
            "Nothing is recorded with --jobs.", why=why, cure="Leave it out, or give more GPUs: --gpus 0,1"
        )
    os.environ.setdefault(turns.SETTING, "1")


_OWN = ("model", "data", "limit", "batch", "reports")


def _own_model(args: argparse.Namespace, paths: list[Path]) -> set[Path]:
    """Hand the options of lesson 06 to its notebook, by TRT_LESSONS_... variables; the reports there are by now.

    A model that cannot be read is found here, before a kernel starts.
    """
    is_06 = [path.stem.startswith("06_") for path in paths]
    given = {word: value for word in _OWN if (value := getattr(args, word)) is not None}
    if given and is_06 != [True]:
        options = ", ".join(f"--{word}" for word in given)
        raise LessonError(f"Only lesson 06 takes {options}.", cure="trt-lessons run 06 --model model.onnx")
    if given and (args.in_place or args.record):
        option = "--in-place" if args.in_place else "--record"
        raise LessonError(f"{option} is for the lesson's own network.", cure="Leave it out; --output DIR keeps a copy.")
    if any(is_06) and not (args.in_place or args.record):
        given.setdefault("reports", Path(os.environ.get("TRT_LESSONS_REPORTS", "reports")))
    if set(given) & {"model", "data", "batch"}:
        from .advice import subject

        subject.read(args.model, args.data, batch=args.batch)
    for word, value in given.items():
        os.environ[f"TRT_LESSONS_{word.upper()}"] = str(value.absolute() if isinstance(value, Path) else value)
    return _reports()


def _reports() -> set[Path]:
    return set(Path(os.environ.get("TRT_LESSONS_REPORTS", "reports")).glob("*.html"))


def _record(args: argparse.Namespace) -> int:
    from . import backend

    if not backend.is_gpu():
        raise LessonError(
            "There is nothing to record here.",
            why=f"a recording is made by TensorRT on a GPU, and this is: {backend.describe()}",
            cure="Start it on a machine with a GPU: trt-lessons record",
        )
    args.record = True
    return _run(args)


def _compare(args: argparse.Namespace) -> int:
    from .advice.comparison import compare
    from .workbook import execute

    lesson = execute.find_notebook(args.lesson, execute.lessons_folder()).stem if args.lesson else None
    print(compare(args.mine, args.theirs, lesson))
    return 0


def _solution(args: argparse.Namespace) -> int:
    from .workbook.copies.solution import show

    show(args.lesson, _workbook(args))
    return 0


def _progress(args: argparse.Namespace) -> int:
    from .workbook import keeping
    from .workbook.progress import progress_lines

    workbook = _workbook(args)
    file = workbook / keeping.PROGRESS_FILE
    if args.share is not None or args.no_share:
        keeping.share(file, "" if args.no_share else args.share.strip())
        words = "Your teacher may see it, with your last try and its hint." if args.share else "Nobody else sees it."
        print(told(words))
        return 0
    if not file.exists():
        print(told("Nothing is done yet in this workbook."))
    checks = workbook / "checks"
    if not checks.is_dir():
        checks = home() / "notebooks" / "checks"
    print("\n".join(progress_lines(checks, file)))
    return 0


def _classroom(args: argparse.Namespace) -> int:
    from .workbook import classroom, execute
    from .workbook.classroom import status

    source = execute.lessons_folder()
    if args.folder[0] == Path("status"):
        return status.command(args.folder[1:], source / "checks", args.port if args.serve else None)
    if len(args.folder) > 1:
        raise LessonError("A course is one folder.", cure="trt-lessons classroom FOLDER, or classroom status FOLDER")
    folder = args.folder[0]
    names = args.lessons or [path.stem for path in execute.notebooks(source)]
    lessons = [execute.find_notebook(name, source) for name in names]
    print("\n".join(classroom.make_course(folder, lessons)))
    print(f"Students get {folder}/release. Go on there with nbgrader: docs/classroom/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
