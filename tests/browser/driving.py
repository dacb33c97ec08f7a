"""Driving JupyterLab: its server with a learner's workbook, and what a test clicks, waits for and finds there."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "return window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"

PATH = "return window.jupyterapp.shell.currentWidget?.context?.path"
SELECT = """
const book = window.jupyterapp.shell.currentWidget.content;
book.activeCellIndex = book.widgets.findIndex(cell => cell.model.id === arguments[0]);
if (arguments[1] !== null) book.activeCell.model.sharedModel.setSource(arguments[1]);
book.activeCell.model.executionCount = null;
"""
RUN = """
const book = window.jupyterapp.shell.currentWidget.content;
return book.widgets.find(cell => cell.model.id === arguments[0]).model.executionCount !== null;
"""


@contextlib.contextmanager
def running_lab(home: Path, folder: Path, *more: str) -> Iterator[str]:
    """`trt-lessons lab` for the repository `home`, copies and settings in `folder`; its address with the token.

    more: arguments of the command.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_VERSION", "PYTEST_CURRENT_TEST")}
    env |= {"TRT_LESSONS_HOME": str(home), "PYTHONUNBUFFERED": "1", "TRT_LESSONS_BACKEND": "interpreter"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    env |= {"JUPYTER_CONFIG_DIR": str(folder / "jupyter"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    options = ["--no-browser", "--ServerApp.port=0", "--LabApp.expose_app_in_browser=True"]
    workbook = ["--workbook", str(folder / "workbook")]
    command = [sys.executable, "-m", "trt_lessons.cli", "lab", *workbook, *more, "--", *options]
    log = folder / "lab.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=env)
    try:
        yield wait(lambda: re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+", log.read_text()), 90)[0]
    finally:
        process.terminate()
        process.wait(30)


def wait(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What `what()` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
    return found


def find(browser: Any, css: str, text: str = "") -> Callable[[], list]:
    """The elements that fit and show this text; for `wait`."""
    found = "return [...document.querySelectorAll(arguments[0])].filter(e => e.textContent.includes(arguments[1]))"
    return lambda: browser.execute_script(found, css, text)


def do(browser: Any, command: str, **how: Any) -> None:
    """One of JupyterLab's own commands, as its menus give them."""
    browser.execute_script("window.jupyterapp.commands.execute(arguments[0], arguments[1])", command, how)


def click(browser: Any, element: Any) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def kernel_is(browser: Any, status: str) -> bool:
    """Whether the open notebook's kernel is in this state."""
    return browser.execute_script(KERNEL) == status


def open_notebook(browser: Any, name: str) -> None:
    """Open a notebook, or wait until it is open, with its kernel at rest."""
    do(browser, "docmanager:open", path=name)
    wait(lambda: browser.execute_script(PATH) == name)
    wait(lambda: kernel_is(browser, "idle"))


def run_cell(browser: Any, cell: str, source: str | None = None) -> None:
    """Run one cell of the open notebook, by its id, with another source where one is given; wait for its end."""
    browser.execute_script(SELECT, cell, source)
    do(browser, "notebook:run-cell")
    wait(lambda: browser.execute_script(RUN, cell))
