"""A sweep on Ray Core: a table of cases over any number of cards and machines, resumed from what is recorded.

    found = sweep(table(["digits.onnx"], precision=["fp32", "fp16"], batch=[1, 64]), "results")
    print(found.table())

Ray carries the model to each node once, finds a free card of the asked kind and tells when a node is lost. Each
attempt is a process of its own on a card of its own, and a row of the journal (see `ledger`).
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import attempt
from .cases import Case, content
from .cluster import Cluster
from .ledger import FINAL, Ledger

KIND = "accelerator_type:"  # Ray gives this resource to a node with such a card by itself
IN_FLIGHT = 4  # tasks handed to Ray per slot of the cluster: enough to keep it busy, few to lose


@dataclass
class Sweep:
    """What came out. rows: the newest row per case, in the order of the table; skipped: measured before this run."""

    folder: Path
    rows: list[dict[str, Any]]
    skipped: int = 0
    attempts: int = 0
    files: list[Path] = field(default_factory=list)

    def table(self) -> str:
        """One line per case: status, seconds, tries, and the words of those without a result."""
        lines = [f"{'case':<44}{'status':<10}{'s':>8}{'tries':>6}"]
        for row in self.rows:
            lines.append(f"{row['name']:<44}{row['status']:<10}{row['seconds']:>8.1f}{row['try']:>6}")
            if row["status"] != "ok":
                lines.append(f"    {row['error'].splitlines()[0]:.110}")
        told = Counter(row["status"] for row in self.rows)
        count = ", ".join(f"{n} {status}" for status, n in told.most_common())
        lines.append(f"{len(self.rows)} cases: {count}; {self.skipped} recorded before, {self.attempts} attempts now")
        cards = Counter(f"{row['host']}:{row['device']}" for row in self.rows if row.get("device"))
        lines += [f"cases by card: {', '.join(f'{n} on {card}' for card, n in sorted(cards.items()))}"] if cards else []
        return "\n".join(lines)

    __repr__ = table


def sweep(
    cases: Iterable[Case],
    folder: str | Path = "sweep",
    *,
    address: str | None = None,
    retries: int = 2,
    limit_s: float = 600.0,
    memory: int | None = None,
    patience_s: float = 60.0,
    tell: Callable[[str], None] | None = None,
    run: Callable[..., dict[str, Any]] = attempt.attempt,
) -> Sweep:
    """Build and measure every case that the folder has no result for; a recording per case, a row per attempt.

    address: a Ray cluster ("auto", "ray://..."); None: this process's Ray if it has one, else one started here and
        ended afterwards. retries: further tries after an accident (a lost node, a killed process, a hang, memory);
        what TensorRT refuses is not tried again. limit_s: seconds per try. memory: bytes of host memory per try.
    patience_s: how long to wait for a node of the asked kind before a case is called unplaced.
    tell: called with a line for every row. run: what the worker does with a case (for tests).
    LessonError when Ray is missing, the cluster is not there, or another sweep holds the folder.
    """
    cases = list({case.key: case for case in cases}.values())
    with Ledger(folder) as ledger:
        before = ledger.last()
        todo = [case for case in cases if before.get(case.key, {}).get("status") not in FINAL]
        attempts, told = len(ledger.rows), tell or (lambda line: None)
        try:
            if todo:
                with Cluster(address) as ray:
                    _Run(ray, ledger, retries, (limit_s, memory), patience_s, told, run).all(todo)
        finally:  # a sweep that is interrupted (Ctrl-C) has its results too
            files = ledger.publish()
        last = ledger.last()
        attempts = len(ledger.rows) - attempts
    return Sweep(Path(folder), [last[c.key] for c in cases], len(cases) - len(todo), attempts, files)


@dataclass
class _Run:
    """One run of a sweep: what waits, what is in Ray's hands, what is back."""

    ray: Any
    ledger: Ledger
    retries: int
    limits: tuple[float, int | None]
    patience_s: float
    tell: Callable[[str], None]
    run: Callable[..., dict[str, Any]]

    def all(self, cases: list[Case]) -> None:
        """Until every case has a row that is final, or no tries are left."""
        self.task = self.ray.remote(self.run)
        self.stored: dict[str, Any] = {}
        told = os.environ.get("TRT_LESSONS_BACKEND") != "interpreter"
        self.slot = "GPU" if told and self.ray.cluster_resources().get("GPU", 0) >= 1 else "CPU"
        waiting = deque((case, 1) for case in cases)
        flying: dict[Any, tuple[Case, int, float]] = {}
        self.unplaced_since: dict[str, float] = {}
        while waiting or flying:
            self._submit(waiting, flying)
            done, _ = self.ray.wait(list(flying), timeout=0.5) if flying else ([], time.sleep(0.2))
            for ref in done:
                case, tried, start = flying.pop(ref)
                if self._record(case, tried, self._answer(ref, start)):
                    waiting.append((case, tried + 1))
            self._give_up(waiting, flying)

    def _submit(self, waiting: deque, flying: dict) -> None:
        """Hand cases to Ray, as many as keep it busy."""
        slots = max(int(self.ray.cluster_resources().get(self.slot, 1)), 1)
        for _ in range(len(waiting)):
            if len(flying) >= IN_FLIGHT * slots:
                return
            case, tried = waiting.popleft()
            if not self._placeable(case):
                waiting.append((case, tried))
                continue
            files = [self._put(case, path) for path in (case.model, case.data)]
            ref = self.task.options(**self._options(case)).remote(case.plain(), *files, *self.limits)
            flying[ref] = (case, tried, time.time())

    def _options(self, case: Case) -> dict[str, Any]:
        """What Ray must keep free: a whole card, or a core where no GPU is. Tries are counted here."""
        kind = {f"{KIND}{case.card}": 0.001} if case.card else {}
        return {"num_gpus": int(self.slot == "GPU"), "num_cpus": 1, "resources": kind, "max_retries": 0}

    def _put(self, case: Case, path: str | None) -> Any:
        """A file's place in Ray's object store; the same content goes in once."""
        if path is None:
            return None
        digest = case.hashes[path]
        if digest not in self.stored:
            self.stored[digest] = self.ray.put(content(path))
        return self.stored[digest]

    def _answer(self, ref: Any, start: float) -> dict[str, Any]:
        """The row that a task gave, or one that says what Ray says."""
        try:
            return self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            told = self.ray.exceptions
            lost = isinstance(error, (told.NodeDiedError, told.ObjectLostError, told.TaskCancelledError))
            words = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            if isinstance(error, told.WorkerCrashedError):
                words = "its worker died at once: killed, or crashed"
            status = "lost" if lost else "killed"
            return {"status": status, "error": words, "seconds": round(time.time() - start, 3), "started": start}

    def _record(self, case: Case, tried: int, answer: dict[str, Any]) -> bool:
        """Write the row; True when the case should be tried again."""
        self.ledger.add({"key": case.key, "name": case.name, "case": case.plain(), "try": tried, **answer})
        again = answer["status"] not in (*FINAL, "unplaced") and tried <= self.retries
        words = "" if answer["status"] == "ok" else f": {answer['error'].splitlines()[0]}"
        took = f"{answer['seconds']:.1f} s, try {tried}{', again' if again else ''}"
        self.tell(f"{answer['status']:<8} {case.name} ({took}){words}")
        return again

    def _placeable(self, case: Case) -> bool:
        """Whether some node that lives has what the case needs."""
        alive = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        need = {self.slot, f"{KIND}{case.card}" if case.card else self.slot}
        return any(need <= set(resources) for resources in alive)

    def _give_up(self, waiting: deque, flying: dict) -> None:
        """Rows for cases that no node has been able to take for longer than the patience."""
        for ref, (case, _, _) in list(flying.items()):
            if not self._placeable(case):  # handed over before its last node was lost
                self.ray.cancel(ref, force=True)
        for _ in range(len(waiting)):
            case, tried = waiting.popleft()
            if self._placeable(case):
                self.unplaced_since.pop(case.key, None)
            elif time.time() - self.unplaced_since.setdefault(case.key, time.time()) > self.patience_s:
                kinds = sorted(k[len(KIND) :] for k in self.ray.cluster_resources() if k.startswith(KIND))
                have = f"the cluster has {', '.join(kinds) or 'no named card'}"
                words = f"no node with {case.card or 'a GPU'} for {self.patience_s:g} s; {have}"
                self._record(
                    case, tried, {"status": "unplaced", "error": words, "seconds": 0.0, "started": time.time()}
                )
                continue
            waiting.append((case, tried))
