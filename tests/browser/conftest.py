"""A headless Chromium for the tests of this folder; without one they are skipped, and counted as skipped."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser window of 1366 x 768 that notes each address it asks for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra `site`)")
    if not (BROWSER and DRIVER):
        pytest.skip("no chromium with its chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    window.set_page_load_timeout(60)
    yield window
    window.quit()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *args: Any) -> None:
        """No lines."""


@pytest.fixture(scope="session")
def serve() -> Iterator[Any]:
    """serve(folder) -> the address on loopback where the folder is."""
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
