"""What lesson 09 starts: a sweep with an accident, the two servers under load. Where Ray or Triton cannot be had, each
says so in a line and gives what was recorded (`lab.json`, with machine and date)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend, messages
from ..errors import RecordingError
from ..files import write_atomically
from ..messages import Said, later
from ..records import recordings
from .attempt import attempt
from .cases import Case
from .cluster import Cluster
from .serving.client import Client
from .serving.load import Load, offer

LESSON = "09_past_one_machine"
KEPT = Path(__file__).with_name("lab.json")


def kept(name: str, missing: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """do()'s value; where something is missing, a line that says what, and the value recorded under the name.

    TRT_LESSONS_KEEP=1 writes the value into lab.json: how the shipped ones were made.
    """
    if missing:
        value, note = shipped(name)
        print(f"{messages.told(missing)}; {note}.")
        return value
    value = json.loads(json.dumps(do()))
    keep(name, value)
    return value


def shipped(name: str) -> tuple[dict[str, Any], str]:
    """(the value that lab.json holds under the name, "recorded on ..., date")."""
    found = json.loads(KEPT.read_text())[name]
    return found["value"], Said(later(f"recorded on {found['machine']}, {found['utc'][:10]}"))


def keep(name: str, value: dict[str, Any]) -> None:
    """Write a value into lab.json, with TRT_LESSONS_KEEP=1 and without a GPU."""
    if os.environ.get("TRT_LESSONS_KEEP") != "1" or backend.is_gpu():
        return
    there = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
    there[name] = {"value": value, "machine": f"{os.cpu_count()} CPU cores", "utc": utc}
    write_atomically(KEPT, (json.dumps(there, indent=1, sort_keys=True) + "\n").encode())


def loads(network: str) -> tuple[dict[str, Any], str]:
    """What Ray Serve answered under open-loop load on one and on two cards, and where: ({"1 card": ...}, note).

    network: "heavy" or "light", see tests/benchmarks/load_on_cards.py, which records it. Where no GPU has recorded it:
    one and two replicas on the cores of a CPU, as `lab.json` has them. A value is {"bare", "closed", "loads"}: requests
    per s of the session alone and behind Ray Serve in a closed loop, and a load per rate.
    """
    try:
        found = {n: recordings.recall(f"load, {network}, {n}", LESSON) for n in ("1 card", "2 cards")}
    except RecordingError:
        return shipped(f"load, {network}")
    return {n: one.value for n, one in found.items()}, next(iter(found.values())).note


def no_ray() -> str:
    """Why there is no Ray; empty where there is one."""
    return "" if importlib.util.find_spec("ray") else later("Ray is not installed (make lab SCALE=yes)")


def no_ray_serve() -> str:
    """Why there is no Ray Serve; empty where there is one. Ray without its extra `serve` has no web server."""
    whole = importlib.util.find_spec("starlette")
    return no_ray() or ("" if whole else later("Ray has no Ray Serve here (make lab SCALE=yes)"))


def no_triton() -> str:
    """Why there is no Triton for this backend; empty where there is one."""
    from .serving.server import missing

    if backend.is_gpu() and importlib.util.find_spec("pytriton"):
        return later("nvidia-pytriton has no TensorRT backend, NVIDIA's container of Triton has one")
    return missing()


def sweep_with_an_accident(cases: Sequence[Case], folder: str | Path) -> dict[str, Any]:
    """A sweep on two local workers, one of which is killed at its third case; then the same sweep again.

    {"cases", "measured", "tries", "killed", "again": tries of the second sweep, "skipped": cases it left out}
    """
    return kept("sweep", no_ray(), lambda: _sweep(cases, Path(folder)))


def _sweep(cases: Sequence[Case], folder: Path) -> dict[str, Any]:
    from .sweeping import sweep

    victim = cases[len(cases) // 2].key
    mark = folder / "killed"

    def run(case: dict[str, Any], *rest: Any) -> dict[str, Any]:
        if Case(**case).key == victim and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return attempt(case, *rest)

    folder.mkdir(parents=True, exist_ok=True)
    with Cluster(num_cpus=2):
        first = sweep(cases, folder, run=run, tell=print)
        again = sweep(cases, folder, run=run)
    tries = Counter(json.loads(line)["status"] for line in (folder / "sweep.jsonl").read_text().splitlines())
    measured = sum(row["status"] == "ok" for row in first.rows)
    told = {"cases": len(cases), "measured": measured, "tries": first.attempts, "killed": tries["killed"]}
    return {**told, "again": again.attempts, "skipped": again.skipped}


def triton(name: str, place: Path, inputs: dict[str, np.ndarray], rates: Sequence[float], seconds: float = 3) -> dict:
    """Triton over a model repository, asked at each rate in turn: {"batches": {rows: runs}, "loads": [...]}.

    place: what `repository.write` returned. inputs: one request. A load is {"rate", "kept", "median", "p99"} in
    requests per s and ms.
    """
    from .serving.server import Server

    def do() -> dict[str, Any]:
        with Server(place.parent) as server:
            return _asked(server.url, place.name, inputs, rates, seconds)

    return kept(name, no_triton(), do)


def ray_serve(name: str, model: Any, inputs: dict, rates: Sequence[float], seconds: float = 3, **settings: Any) -> dict:
    """The same behind Ray Serve; settings: those of `Service`."""
    from .serving.replicas import Service

    def do() -> dict[str, Any]:
        with Service(model, **settings) as service:
            return _asked(service.url, service.name, inputs, rates, seconds)

    return kept(name, no_ray_serve(), do)


def _asked(url: str, model: str, inputs: dict, rates: Sequence[float], seconds: float) -> dict[str, Any]:
    """Offer each rate; the loads, and the batches that the server formed."""
    with Client(url, model) as client:
        before = client.batches()  # a server's warm-up counts as runs
        loads = [told(offer(lambda: Client(url, model), [inputs], rate=r, seconds=seconds)) for r in rates]
        new = {rows: count - before.get(rows, 0) for rows, count in client.batches().items()}
    return {"batches": {rows: count for rows, count in new.items() if count}, "loads": loads}


def told(load: Load) -> dict[str, float]:
    """A load in four numbers and its errors."""
    numbers = {"rate": load.rate, "kept": load.kept, "median": load.percentile(50), "p99": load.percentile(99)}
    return {**{k: round(float(v), 2) for k, v in numbers.items()}, "errors": len(load.errors)}
