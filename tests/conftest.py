"""Which backend the tests run on, and a closing word about every test that did not run.

`pytest` runs on the interpreter. `pytest -m gpu` runs the contract tests and plays the exercises on TensorRT;
there nothing is skipped for want of a GPU: it fails instead.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent


def _on_gpu(config: pytest.Config) -> bool:
    """True for `pytest -m gpu`."""
    return re.search(r"(?<!not )\bgpu\b", config.option.markexpr or "") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Choose the backend before any test module imports the package."""
    os.environ["TRT_LESSONS_BACKEND"] = "tensorrt" if _on_gpu(config) else "interpreter"
    os.environ.setdefault("MPLBACKEND", "agg")
    _start_nbval_kernels_again()


def _start_nbval_kernels_again() -> None:
    """nbval's kernels use TCP ports, chosen before they are taken: two that start at once may be given the same one.

    The second then dies before it answers; it is started again, twice at most.
    """
    try:
        import nbval.kernel
    except ImportError:  # a machine that only runs the contract tests
        return
    start = nbval.kernel.start_new_kernel
    if getattr(start, "again", False):
        return

    def start_new_kernel(*arguments, **settings):
        for _ in range(2):
            try:
                return start(*arguments, **settings)
            except RuntimeError as problem:
                if "died before replying" not in str(problem):
                    raise
        return start(*arguments, **settings)

    start_new_kernel.again = True
    nbval.kernel.start_new_kernel = start_new_kernel


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Contract tests and the player are the gpu tests; one marked gpu by hand runs on a GPU only."""
    for item in items:
        by_hand = item.get_closest_marker("gpu") is not None
        if by_hand and not _on_gpu(config):
            item.add_marker(pytest.mark.skip(reason="needs TensorRT and a GPU: pytest -m gpu"))
        if HERE / "contract" in item.path.parents or item.path.name == "test_player.py":
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's engine cache; one cache for all tests of a process."""
    if "TRT_LESSONS_CACHE" not in os.environ:
        monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class Place(NamedTuple):
    """Where a process listens."""

    process: str
    ip: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it; "::ffff:127.0.0.1" is the IPv4 address in IPv6."""
        return ipaddress.ip_address(self.ip.removeprefix("::ffff:")).is_loopback


@pytest.fixture
def listening() -> Callable[[], list[Place]]:
    """All places where Ray's processes that this one started listen; a test's browser listens too, and is not Ray's."""
    import psutil

    def find() -> list[Place]:
        words = {p: " ".join(p.cmdline())[:60] for p in psutil.Process().children(recursive=True)}
        rays = {p: said for p, said in words.items() if said.startswith("ray::") or "/ray/" in " ".join(p.cmdline())}
        found = [(said, c) for p, said in rays.items() for c in p.net_connections("inet")]
        return [Place(said, c.laddr.ip, c.laddr.port) for said, c in found if c.status == psutil.CONN_LISTEN]

    return find


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Every skip, counted by reason: nothing passes by not running."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.section("tests that did not run")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:>4}  {reason}")
    backend = os.environ["TRT_LESSONS_BACKEND"]
    terminalreporter.line(f"{len(skipped)} skipped in all; backend: {backend}")


def _reason(report) -> str:
    """The reason of a skip, without the words that pytest puts before it."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()
