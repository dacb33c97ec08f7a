"""Save what a real GPU run gave, and give it back, with its origin, where there is no GPU.

One JSON file a lesson and machine: `data/recordings/<gpu>_trt<version>/<lesson>.json`. From lesson 00 on.
`TRT_LESSONS_RECORD=1` writes (on TensorRT only), `TRT_LESSONS_RECORDINGS` names another folder,
`TRT_LESSONS_RECORDED_GPU` chooses among the machines that were recorded. `TRT_LESSONS_REHEARSE=1`, for authors:
without a GPU everything is computed on the CPU instead of recalled, and says so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import RecordingError
from ..files import sweep, write_atomically
from ..messages import Said, told
from . import provenance as origin
from .codec import decode, encode
from .provenance import Provenance

SCHEMA = 1
_current: dict[str, str | None] = {"lesson": None}


@dataclass(frozen=True)
class Recorded:
    """A value and where it comes from. source: "measured", "recorded" or "interpreter".

    Indexing, iteration and len() reach through to the value.
    """

    value: Any
    source: str
    provenance: Provenance | None

    @property
    def note(self) -> str:
        """Where the value comes from, for the corner of a figure."""
        if self.source == "interpreter" or self.provenance is None:
            return Said("onnxruntime on this CPU, not TensorRT")
        return self.provenance.note(self.source)

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __str__(self) -> str:
        return str(self.note)


# -- the current lesson -----------------------------------------------------------------------------------
def lesson(name: str) -> None:
    """Say which lesson runs ("02_inference_flow"): its recordings are read and written from here on.

    Prints one line: the backend, and whose figures are shown where there is no GPU.
    """
    from .. import backend

    _current["lesson"] = name
    line = f"{name}: {backend.describe()}"
    if recording():
        path = _path_to_write(name)
        if path.exists():
            load(path)  # a damaged file is better found before the run than after it
        line += told(f"; recording as run {origin.run_id()}")
    elif not backend.is_gpu():
        found = _newest(name)
        if found:
            line += told(f"; GPU figures: {found.note()}")
    print(line)


def current_lesson() -> str:
    """The lesson named by `lesson(...)`."""
    name = _current["lesson"]
    if name is None:
        raise RecordingError(
            "No lesson is running, so a named result has nowhere to go.",
            cure='Call tl.lesson("<notebook name>") first, as every notebook does in its first cell.',
        )
    return name


def recording() -> bool:
    """Whether results with a name are written: TRT_LESSONS_RECORD=1, and TensorRT is running."""
    from .. import backend

    return os.environ.get("TRT_LESSONS_RECORD", "0") not in ("", "0") and backend.is_gpu()


def recalling() -> bool:
    """Whether a named result comes from a recording here: no GPU, and no rehearsal."""
    from .. import backend

    return not backend.is_gpu() and os.environ.get("TRT_LESSONS_REHEARSE", "0") in ("", "0")


# -- reading and writing a value ----------------------------------------------------------------------------
def live_or_recorded(name: str, fn: Callable[[], Any], **about: Any) -> Recorded:
    """fn()'s value on TensorRT (recorded when asked), the recording of `name` elsewhere.

    A name that no GPU has recorded yet is computed here, by the interpreter, and says so.
    The value may be numbers, text, lists, tuples, dicts, NumPy arrays, Measurements, nested as you like.
    about: model_sha256, plan_sha256, options, kept with the recording.
    """
    from .. import backend

    if recalls(name):
        return recall(name)
    value = fn()
    encoded = encode(value)  # always, so that a value that cannot be recorded is found in any live run
    if not backend.is_gpu():
        return Recorded(value, "interpreter", None)
    where = origin.here(**about)
    if recording():
        _write(current_lesson(), name, encoded, where)
    return Recorded(value, "measured", where)


def save(name: str, value: Any, where: Provenance | None = None) -> None:
    """Record `value` under `name` in the current lesson's file when recording; otherwise do nothing."""
    if recording():
        _write(current_lesson(), name, encode(value), where or origin.here())


def there(name: str) -> bool:
    """Whether `live_or_recorded(name, ...)` gives what a GPU gave: a GPU, a rehearsal, or a recording."""
    return not recalling() or _holding(name, current_lesson(), roots()) is not None


def recalls(name: str) -> bool:
    """Whether a result of this name is recalled here; says in a line where it is not, for want of a recording."""
    if not recalling():
        return False
    if not there(name):
        print(told(f"{name!r} is not recorded on a GPU yet: taken here, on this CPU."))
        return False
    return True


def _holding(name: str, wanted: str, places: list[Path]) -> LessonRecording | None:
    """The file with `name`: the wanted lesson's, or another lesson's, since lessons are split and moved."""
    own = (_newest(wanted, [place]) for place in places)
    mine = next((one for one in own if one and name in one.entries), None)
    if mine:
        return mine
    others = [one for path in files(places=places) if name in (one := load(path)).entries]
    return max(_of_the_machine(others), key=lambda one: one.utc, default=None)


def recall(name: str, lesson: str | None = None) -> Recorded:
    """The recording of `name` in the current lesson, or in another one: on a GPU too, and the workbook's own where
    TRT_LESSONS_RECORDINGS has none of that lesson (yet). A name that moved to another lesson is found there."""
    wanted, places = lesson or current_lesson(), folders() if lesson else roots()
    if holding := _holding(name, wanted, places):
        return holding.get(name)
    found = next(filter(None, (_newest(wanted, [place]) for place in places)), None)
    if found is None:
        raise RecordingError(
            f"There is no recording of the lesson '{wanted}'.",
            why=f"looked in {', '.join(map(str, places))}",
            cure="Record it on a GPU (trt-lessons record), or check the lesson's name.",
        )
    return found.get(name)


# -- files --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LessonRecording:
    """One checked file. entries: name -> {"value", "run", "utc", ...}; runs: run id -> machine, versions."""

    path: Path
    lesson: str
    runs: dict[str, dict[str, Any]]
    entries: dict[str, dict[str, Any]]

    @property
    def machine(self) -> str:
        """Folder name of the machine, such as nvidia-h200_trt8.6.0."""
        return self.path.parent.name

    @property
    def utc(self) -> str:
        """Time of the newest entry."""
        return max((entry["utc"] for entry in self.entries.values()), default="")

    def provenance(self, name: str) -> Provenance:
        """Where the entry comes from."""
        entry = self.entries[name]
        about = {k: decode(v) for k, v in entry.items() if k not in ("value", "run")}
        return Provenance.from_dict({**self.runs[entry["run"]], "run": entry["run"], **about})

    def get(self, name: str) -> Recorded:
        """The entry's value with its origin."""
        if name not in self.entries:
            raise RecordingError(
                f"'{name}' is not recorded in the lesson '{self.lesson}' ({self.machine}).",
                why="the lesson's file holds: " + (", ".join(sorted(self.entries)) or "nothing"),
                cure="Use one of these names, or run the notebook on a GPU with TRT_LESSONS_RECORD=1.",
            )
        where = self.provenance(name)
        return Recorded(decode(self.entries[name]["value"], where, name), "recorded", where)

    def note(self) -> str:
        """Machine, version and date of the newest entry."""
        newest = max(self.entries, key=lambda name: self.entries[name]["utc"])
        return self.provenance(newest).note("recorded")


def checksum(content: dict[str, Any]) -> str:
    """sha256 over everything in the file but the checksum itself."""
    body = {k: v for k, v in content.items() if k != "checksum"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def load(path: str | Path) -> LessonRecording:
    """Read and check one file; refused, with the reason, when it is not as it was written."""
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise RecordingError(f"The recording {path} cannot be read.", why=str(error), cure=_restore(path)) from None
    return _load(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _load(path: Path, _mtime: int, _size: int) -> LessonRecording:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        why = f"it was cut short or is not JSON ({error})"
        raise RecordingError(f"The recording {path} cannot be read.", why=why, cure=_restore(path)) from None
    what = f"The recording {path} is refused."
    if not isinstance(content, dict) or "schema" not in content:
        raise RecordingError(what, why="it is not a recording: it names no schema", cure=_restore(path))
    if content["schema"] != SCHEMA:
        raise RecordingError(
            what,
            why=f"it has schema {content['schema']!r}, this version of trt-lessons reads schema {SCHEMA}",
            cure="Use the trt-lessons version that wrote it, or record again.",
        )
    if content.get("checksum") != checksum(content):
        why = "its content does not fit its checksum: it was changed after it was recorded"
        raise RecordingError(what, why=why, cure=_restore(path))
    return LessonRecording(path, content["lesson"], content["runs"], content["entries"])


def _restore(path: Path) -> str:
    return f"Restore it (git checkout -- {path.name}, in its folder) or record the lesson again on a GPU."


def shipped_root() -> Path:
    """The folder of the recordings that come with the workbook."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "data" / "recordings"
    return inside if inside.is_dir() else package.parent / "data" / "recordings"


def roots() -> list[Path]:
    """Folders that are searched, the one named by TRT_LESSONS_RECORDINGS first and alone when it is set."""
    told = os.environ.get("TRT_LESSONS_RECORDINGS")
    return [Path(told)] if told else [shipped_root()]


def folders() -> list[Path]:
    """`roots()`, and after them the workbook's own where TRT_LESSONS_RECORDINGS names another."""
    return list(dict.fromkeys([*roots(), shipped_root()]))


def files(lesson: str | None = None, places: list[Path] | None = None) -> list[Path]:
    """Recording files of one lesson, or of all, over all machines; places: other folders than `roots()`."""
    pattern = f"*/{lesson or '*'}.json"
    return sorted(path for root in places or roots() if root.is_dir() for path in root.glob(pattern))


def machines(places: list[Path] | None = None) -> list[str]:
    """Folder names of the machines that have recordings; places: other folders than `roots()`."""
    return sorted({path.parent.name for path in files(places=places)})


def _newest(lesson: str, places: list[Path] | None = None) -> LessonRecording | None:
    """The lesson's recording: of the machine in TRT_LESSONS_RECORDED_GPU, else the newest."""
    found = [load(path) for path in files(lesson, places)]
    chosen = _of_the_machine(found)
    if found and not chosen:
        raise RecordingError(
            f"TRT_LESSONS_RECORDED_GPU is '{_wanted_machine()}', and no such machine recorded '{lesson}'.",
            why="recorded machines: " + ", ".join(one.machine for one in found),
            cure="Name one of these, or unset TRT_LESSONS_RECORDED_GPU.",
        )
    return max((one for one in chosen if one.entries), key=lambda one: one.utc, default=None)


def _wanted_machine() -> str:
    return os.environ.get("TRT_LESSONS_RECORDED_GPU", "")


def _of_the_machine(found: list[LessonRecording]) -> list[LessonRecording]:
    """Those of the machine in TRT_LESSONS_RECORDED_GPU; all where none is wanted."""
    if not (wanted := _wanted_machine()):
        return found
    key = origin.folder_name(wanted, "").removesuffix("_trt")
    return [one for one in found if one.machine == wanted or one.machine.startswith(key)]


def _path_to_write(lesson: str) -> Path:
    from .. import backend

    told = backend.describe()
    return roots()[0] / origin.folder_name(told.gpu, told.trt_version) / f"{lesson}.json"


def _write(lesson: str, name: str, encoded: Any, where: Provenance) -> None:
    write(_path_to_write(lesson), lesson, name, encoded, where)


def write(path: Path, lesson: str, name: str, encoded: Any, where: Provenance) -> None:
    """Put one entry into the lesson's file: under a lock, written aside and renamed, other entries kept."""
    write_all(path, lesson, [(name, encoded, where)])


def write_all(path: Path, lesson: str, new: list[tuple[str, Any, Provenance]]) -> None:
    """Put several entries, (name, encoded value, origin), into the lesson's file at once, as `write` does one."""
    with _locked(path):
        sweep(path)
        runs, entries = {}, {}
        if path.exists():
            old = load(path)
            runs, entries = dict(old.runs), dict(old.entries)
        for name, encoded, where in new:
            machine = where.to_dict()
            about = {k: machine.pop(k) for k in ("utc", "model_sha256", "plan_sha256", "options")}
            run = machine.pop("run") or origin.run_id()
            runs[run] = machine
            about = {k: encode(v) for k, v in about.items() if v not in (None, {})}
            entries[name] = {"value": encoded, "run": run, **about}
        used = {entry["run"] for entry in entries.values()}
        content = {
            "schema": SCHEMA,
            "lesson": lesson,
            "runs": {k: v for k, v in sorted(runs.items()) if k in used},
            "entries": dict(sorted(entries.items())),
        }
        content["checksum"] = checksum(content)
        write_atomically(path, _text(content).encode("utf-8"))


def _text(content: dict[str, Any]) -> str:
    """JSON with a line an entry, so that git shows what changed."""
    lines = []
    for key, value in content.items():
        if key in ("entries", "runs"):
            rows = [f"  {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in value.items()]
            lines.append(f' "{key}": {{\n' + ",\n".join(rows) + "\n }")
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(path.parent / f".{path.stem}.lock"), timeout=60)
        with lock:
            yield
    except Timeout:
        raise RecordingError(
            f"Another process holds {path.name} for over a minute.", cure="Let it end, then record again."
        ) from None
    except OSError as error:
        raise RecordingError(
            f"The recording {path} cannot be written.",
            why=str(error),
            cure="Make room, or name a folder you may write with TRT_LESSONS_RECORDINGS.",
        ) from error
