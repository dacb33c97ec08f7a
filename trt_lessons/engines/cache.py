"""Engines and tactic timings kept between runs, in one folder, safe for two processes.

Introduced in lesson 04_4.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import CacheError, PlanError
from ..files import cache_root, probe, sha256, sweep, write_atomically
from .built import BuildReport
from .plans import made_by

_WARNED: set[str] = set()
_PATIENCE = 2.0  # seconds until a process says that it waits for another one's build


class Shelf:
    """The engine cache: `<key>.plan` with `<key>.json` beside it, in one folder.

    A folder that the learner named must work (CacheError); the default one may fail with a warning.
    """

    def __init__(self, cache: str | os.PathLike | bool | None) -> None:
        self.on = cache is not False
        self.named = self.on and not isinstance(cache, bool) and cache is not None
        self.folder = Path(cache) if self.named else cache_root() / "engines" if self.on else None
        self.writable = self.on and self._probe()

    def _probe(self) -> bool:
        try:
            probe(self.folder)
        except OSError as error:
            self._complain(error)
            return False
        return True

    def _complain(self, error: OSError, report: BuildReport | None = None) -> None:
        problem = CacheError(
            f"the cache folder {self.folder} cannot be written",
            why=error.strerror or str(error),
            cure="make room or permit it, name another folder (cache=, TRT_LESSONS_CACHE), or cache=False",
        )
        problem.report = report  # the build itself succeeded: nothing is lost
        if self.named:
            raise problem from error
        if str(self.folder) not in _WARNED:
            _WARNED.add(str(self.folder))
            warnings.warn(f"{problem}\n  going on without the cache", stacklevel=4)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold one key, so that of two processes one builds and the other takes the result; says when it waits."""
        if not self.writable:
            yield
            return
        import filelock

        with ExitStack() as held:
            # a file system without locks: at worst both processes build
            with suppress(OSError, NotImplementedError):
                lock = filelock.FileLock(str(self.folder / f"{key[:40]}.lock"))
                try:
                    held.enter_context(lock.acquire(timeout=_PATIENCE))
                except filelock.Timeout:
                    print("Another process builds this engine; waiting for it ...", flush=True)
                    held.enter_context(lock.acquire())
                for suffix in ("plan", "json"):
                    sweep(self.folder / f"{key}.{suffix}")
            yield

    def take(self, key: str) -> BuildReport | None:
        """The report under a key; a plan that is damaged or does not load is set aside, and that is said."""
        plan_file, facts_file = self.folder / f"{key}.plan", self.folder / f"{key}.json"
        try:
            if not plan_file.is_file():
                return None
            if not facts_file.is_file():
                raise PlanError("its .json is missing: the process that stored it was ended half-way")
            facts = json.loads(facts_file.read_text("utf-8"))
            plan = plan_file.read_bytes()
            if sha256(plan) != facts.pop("plan_sha256"):
                raise PlanError("its sha256 is not the recorded one: it was changed or damaged on disk")
            report = _report_from(facts, plan)
            report.engine()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, PlanError) as error:
            self._set_aside(plan_file, facts_file, error)
            return None
        return report

    def _set_aside(self, plan_file: Path, facts_file: Path, error: Exception) -> None:
        reason = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
        print(f"The cached plan {plan_file.name[:12]}... was set aside (.bad) and is built again: {reason}")
        for file in (plan_file, facts_file):
            try:
                os.replace(file, f"{file}.bad")
            except OSError:
                continue

    def put(self, key: str, report: BuildReport) -> None:
        """Store a report: temporary names first, then renamed, the facts last."""
        if not self.writable:
            return
        facts = {k: v for k, v in asdict(report).items() if k not in ("plan", "from_cache")}
        facts["plan_sha256"] = report.plan_sha256
        try:
            facts_file = self.folder / f"{key}.json"
            facts_file.unlink(missing_ok=True)
            write_atomically(self.folder / f"{key}.plan", report.plan)
            write_atomically(facts_file, json.dumps(facts).encode("utf-8"))
        except OSError as error:
            self.writable = False
            self._complain(error, report)

    def timing_file(self, asked: str | os.PathLike | bool | None) -> Path | None:
        """File of the timing cache for this TensorRT and GPU, or None."""
        if asked is False or (asked in (None, True) and not self.writable):
            return None
        if asked not in (None, True):
            return Path(asked)
        made = made_by()
        label = re.sub(r"[^A-Za-z0-9.]+", "-", f"{made['backend']}-{made['tensorrt']}-{made['gpu'] or 'cpu'}")
        return self.folder / f"timing-{label}.cache"


def _report_from(facts: dict[str, Any], plan: bytes) -> BuildReport:
    """BuildReport from the cache's JSON."""
    for tensor in facts["inputs"] + facts["outputs"]:
        tensor["shape"] = tuple(tensor["shape"])
    facts["profiles"] = [{n: tuple(tuple(s) for s in three) for n, three in p.items()} for p in facts["profiles"]]
    facts["log"] = [tuple(line) for line in facts["log"]]
    return BuildReport(plan=plan, from_cache=True, **facts)


class TimingCache:
    """TensorRT's notes on how fast each tactic was, kept in a file between builds.

    `<file>.sha256` beside it keeps a damaged file from TensorRT, which may not survive reading one.
    """

    def __init__(self, config: Any, file: Path | None) -> None:
        self.config, self.file = config, file
        self.sidecar = Path(f"{file}.sha256")
        self.notes: list[str] = []
        if file is None:
            return
        data = self._read()
        cache = None if data is None else config.create_timing_cache(data)
        if cache is None or not config.set_timing_cache(cache, False):
            self.notes.append(f"the timing cache {file.name} is of another TensorRT or damaged: started afresh")
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)

    def _read(self) -> bytes | None:
        """The file's bytes, b"" where there is none; None where it is not what was written."""
        try:
            data = self.file.read_bytes()
        except OSError:
            return b""
        return data if not self.sidecar.is_file() or self.sidecar.read_text() == sha256(data) else None

    def save(self) -> list[str]:
        """Write what the build learned; returns remarks. A file that cannot be written loses no build."""
        if self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                data = bytes(self.config.get_timing_cache().serialize())
                self.sidecar.unlink(missing_ok=True)
                write_atomically(self.file, data)
                write_atomically(self.sidecar, sha256(data).encode())
            except OSError as error:
                self.notes.append(f"the timing cache was not written: {error.strerror or error}")
        return self.notes
