"""Run notebooks from top to bottom without a browser and store their outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

from ..errors import LessonError
from ..files import home, lesson_number, lesson_order, probe, write_atomically
from ..records.provenance import run_id

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Run:
    """One execution: seconds of wall time, and of each code cell by its id; `error` is empty when every cell ran."""

    notebook: Path
    seconds: float
    error: str = ""
    cells: dict[str, float] = field(default_factory=dict)

    def slowest(self, count: int = 3, least: float = 5) -> str:
        """The cells that took longest, of those that took `least` seconds: "builds 12 s, measure 7 s"."""
        rows = sorted(self.cells.items(), key=lambda row: -row[1])[:count]
        return ", ".join(f"{cell} {seconds:.0f} s" for cell, seconds in rows if seconds >= least)


def notebooks(folder: Path) -> list[Path]:
    """The lessons in a folder, in order."""
    return sorted((p for p in folder.glob("[0-9]*.ipynb") if ".new" not in p.stem), key=lesson_order)


def find_notebook(name: str, folder: Path) -> Path:
    """A notebook by its path, its stem, its number or the beginning of its name: "02", "2", "02_inference_flow"."""
    path = Path(name)
    if path.suffix == ".ipynb" and path.exists():
        return path
    stem = padded(path.name.removesuffix(".ipynb"))
    found = [p for p in notebooks(folder) if p.stem == stem or lesson_number(p.stem) == stem]  # 05 beside 05_2
    found = found or [p for p in notebooks(folder) if p.stem.startswith(f"{stem}_")]
    if len(found) == 1:
        return found[0]
    names = ", ".join(p.stem for p in found or notebooks(folder)) or "none"
    raise LessonError(
        f"No lesson is called {name!r}." if not found else f"{name!r} fits {len(found)} lessons.",
        why=f"in {folder.name}/: {names}",
        cure="Give its number, its name or the path of the notebook.",
    )


def padded(number: str) -> str:
    """A lesson's number with its leading zero: "06" for "6", "04_1" for "4_1"."""
    return f"0{number}" if re.match(r"\d(_|$)", number) else number


def run_each(
    paths: Sequence[Path], run: Callable[[Path, str | None], Run], gpus: Sequence[str] = (), jobs: int = 1
) -> Iterator[Run]:
    """`run(path, gpu)` of every notebook: `jobs` at a time on each GPU, so that none waits. Yields as they end.

    gpus: as CUDA_VISIBLE_DEVICES names them, "0"; none: the machine as it is, `gpu` is None.
    """
    places: list[str | None] = [*(gpus or [None])] * jobs
    if len(places) == 1:
        yield from (run(path, places[0]) for path in paths)
        return
    free: Queue[str | None] = Queue()
    for place in places:
        free.put(place)

    def on_a_free_one(path: Path) -> Run:
        place = free.get()
        try:
            return run(path, place)
        finally:
            free.put(place)

    with ThreadPoolExecutor(len(places)) as pool:
        yield from (done.result() for done in as_completed([pool.submit(on_a_free_one, path) for path in paths]))


def run_notebook(
    path: Path, *, save_to: Path | None = None, timeout: float = 600, record: bool = False, gpu: str | None = None
) -> Run:
    """Execute one notebook in its own folder with this Python; store it, outputs included, in `save_to`.

    timeout: seconds a cell. record: measurements with a name are recorded. gpu: the only one it may see.
    At an error nothing is stored.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    if save_to:
        with _writing(save_to):  # better found before the run than after it
            probe(save_to.parent)
    notebook = nbformat.read(path, as_version=4)
    client = client_for(notebook, path, timeout)
    reached: list[int] = [0]
    started, error = time.perf_counter(), ""
    took: dict[str, float] = {}

    def starts(cell, cell_index: int) -> None:
        reached.append(cell_index)
        took[_id(cell)] = -time.perf_counter()

    def ends(cell, cell_index: int, execute_reply: dict) -> None:
        took[_id(cell)] += time.perf_counter()

    client.on_cell_execute, client.on_cell_executed = starts, ends
    try:
        client.execute(env=environment(record, gpu))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
        error = _explain(notebook.cells[reached[-1]], reached[-1], problem)
    seconds = time.perf_counter() - started
    if save_to and not error:
        with _writing(save_to):
            write_atomically(save_to, encode(notebook))
    return Run(path, seconds, error, {cell: spent for cell, spent in took.items() if spent >= 0})


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """An OSError in here becomes a LessonError about `path`."""
    try:
        yield
    except OSError as error:
        cure = "Make room, mend the permissions, or name another folder: --output DIR"
        raise LessonError(f"{path} cannot be written.", why=str(error), cure=cure) from error


def client_for(notebook, path: Path, timeout: float):
    """An nbclient for a notebook, with this Python as its kernel and the notebook's folder to run in."""
    from nbclient import NotebookClient

    return NotebookClient(
        notebook,
        km=_kernel_of_this_python(),
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent.absolute())}},
    )


def environment(record: bool = False, gpu: str | None = None) -> dict[str, str]:
    """The kernel's environment: this package is found also where it is not installed."""
    found = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))}
    if record:
        env |= {"TRT_LESSONS_RECORD": "1", "TRT_LESSONS_RUN": run_id()}  # one run, whatever the number of notebooks
    if gpu is not None:
        env["CUDA_VISIBLE_DEVICES"] = gpu
    return env


def _kernel_of_this_python():
    """A kernel manager that starts this interpreter, whatever kernels are registered on the machine."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OnlyThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            quiet = "--IPKernelApp.log_level=40"
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=OnlyThisPython())
    folder = tempfile.mkdtemp(prefix="trtl-")
    weakref.finalize(manager, shutil.rmtree, folder, ignore_errors=True)
    if os.name == "posix" and len(folder) < 80:  # sockets in a folder: kernels that start at once may pick one TCP port
        manager.transport, manager.connection_file = "ipc", os.path.join(folder, "k.json")
    return manager


def _id(cell) -> str:
    """A cell's id; "?" in a notebook of a format that has none."""
    return cell.get("id", "?")


def _explain(cell, index: int, problem: Exception) -> str:
    """Which cell failed, its first line, and the end of the traceback."""
    output = next((o for o in cell.get("outputs", []) if o.output_type == "error"), None)
    text = str(problem).strip() if output is None else "\n".join(output.traceback) or output.evalue
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    end = [f"    {line}" for line in ANSI.sub("", text).splitlines()[-15:]]
    return "\n".join([f"cell {index} (id {_id(cell)}): {first}", *end])


def clean(notebook: dict) -> dict:
    """Drop what differs between machines and runs: timestamps, Python's version, paths, widget state."""
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        kept = ("tags", "nbgrader")
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k in kept}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def encode(notebook) -> bytes:
    """A cleaned notebook as bytes, one line of source a line of the file; this machine's folder of temporary files
    is called /tmp."""
    from nbformat.v4 import nbjson

    text = nbjson.writes(clean(notebook), indent=1).replace(f"{tempfile.gettempdir()}/", "/tmp/")
    return (json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n").encode()


def lessons_folder() -> Path:
    """Where the source notebooks lie."""
    return home() / "notebooks"
