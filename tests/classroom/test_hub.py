"""The JupyterHub recipe on localhost: three learners run lesson 02 at once, take turns, and find the command."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from trt_lessons.workbook.copies import grade, source_of

pytest.importorskip("jupyterhub", reason="the extra `classroom` needs Python 3.11 or later")
import websocket

HERE = Path(__file__).parent
LESSON = "02_inference_flow.ipynb"
LEARNERS = ("ada", "bob", "cyd")
TOGETHER = """
import time
time.sleep(max(0, {start} - time.time()))
for _ in range(3):
    tl.measure(session, images[:1], duration_s=0.2)
"""


def free_ports(count: int) -> list[int]:
    """Ports on localhost that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Hub:
    """A hub of its own, and what learners do in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.token = folder, secrets.token_hex(16)
        public, hub, api = free_ports(3)
        self.at = f"127.0.0.1:{public}"
        ports = {"HUB_TEST_PORT": public, "HUB_TEST_HUB_PORT": hub, "HUB_TEST_API_PORT": api}
        env = {**os.environ, **{k: str(v) for k, v in ports.items()}}
        env |= {"HUB_TEST_FOLDER": str(folder), "HUB_TEST_TOKEN": self.token}
        self.log = (folder / "hub.log").open("w")
        command = [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "hub_config.py")]
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=self.log, stderr=self.log)

    def ask(self, method: str, path: str, **how: object) -> requests.Response:
        """A request through the proxy, as JupyterLab in a browser makes it."""
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, f"http://{self.at}{path}", headers=headers, timeout=60, **how)

    def wait(self, path: str, ready: object, seconds: float = 200) -> dict:
        """The answer of `path` once `ready(answer)`; fails with the end of the hub's log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                answer = self.ask("GET", path)
                if answer.ok and ready(answer.json()):
                    return answer.json()
            except (requests.ConnectionError, requests.JSONDecodeError):
                pass
            time.sleep(0.3)
        pytest.fail(f"{path} did not answer:\n" + (self.folder / "hub.log").read_text()[-4000:])

    def stop(self) -> None:
        """End the hub, and with it the proxy and every learner's server."""
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.log.close()


class Learner:
    """One learner with a server and a kernel."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.base = hub, f"/user/{name}/api"
        assert hub.ask("POST", f"/hub/api/users/{name}").status_code == 201
        assert hub.ask("POST", f"/hub/api/users/{name}/server").status_code in (201, 202)
        hub.wait(f"/hub/api/users/{name}", lambda user: user["servers"].get("", {}).get("ready"))
        self.notebook = hub.ask("GET", f"{self.base}/contents/{LESSON}").json()["content"]
        kernel = hub.ask("POST", f"{self.base}/kernels", json={"name": "python3"}).json()
        address = f"ws://{hub.at}{self.base}/kernels/{kernel['id']}/channels"
        headers = [f"Authorization: token {hub.token}"]
        self.socket = websocket.create_connection(address, header=headers, timeout=300)

    def run(self, code: str) -> str:
        """What a cell prints; an error ends with its name and text."""
        number = uuid.uuid4().hex
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps({**message, "buffers": []}))
        text, left = "", {"reply", "idle"}
        while left:
            came = json.loads(self.socket.recv())
            if came["parent_header"].get("msg_id") != number:
                continue
            kind, body = came["header"]["msg_type"], came["content"]
            if kind == "stream":
                text += body["text"]
            elif kind == "error":
                text += f"ERROR {body['ename']}: {body['evalue']}"
            elif kind == "execute_reply":
                left.discard("reply")
            elif kind == "status" and body["execution_state"] == "idle":
                left.discard("idle")
        return text

    def type(self, line: str, wanted: str) -> str:
        """Type a line in a terminal of one's own; what it shows up to `wanted`."""
        name = self.hub.ask("POST", f"{self.base}/terminals").json()["name"]
        address = f"ws://{self.hub.at}{self.base.removesuffix('/api')}/terminals/websocket/{name}"
        headers = [f"Authorization: token {self.hub.token}"]
        terminal, shown = websocket.create_connection(address, header=headers, timeout=60), ""
        terminal.send(json.dumps(["stdin", line + "\r"]))
        while wanted not in shown:
            kind, *text = json.loads(terminal.recv())
            shown += text[0] if kind == "stdout" else ""
        terminal.close()
        return shown

    def play(self) -> list[str]:
        """The whole lesson from the learner's own copy, with right answers; the printed words of each check."""
        said = []
        answers = {c["id"]: c for c in json.loads((HERE.parents[1] / "notebooks" / LESSON).read_text())["cells"]}
        for cell in self.notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            solves = grade(cell).get("solution")
            assert "SOLUTION" not in source_of(cell)
            text = self.run(source_of(answers[cell["id"]]) if solves else source_of(cell))
            assert "ERROR" not in text or "raises-exception" in cell["metadata"].get("tags", []), text
            if grade(cell).get("grade"):
                said.append(text)
        return said


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A running hub."""
    made = Hub(tmp_path_factory.mktemp("hub"))
    try:
        made.wait("/hub/api/", lambda answer: "version" in answer)
        yield made
    finally:
        made.stop()


def turns_taken(hub: Hub) -> list[tuple[float, ...]]:
    """(start, end, process) of each measurement that had the machine for itself, in order."""
    rows = (hub.folder / "state" / "turns" / "cpu.lock").read_text().splitlines()
    return sorted(tuple(map(float, row.split())) for row in rows)


def test_three_learners_share_one_machine(hub: Hub) -> None:
    with ThreadPoolExecutor(3) as pool:
        learners = list(pool.map(lambda name: Learner(hub, name), LEARNERS))
        for said in pool.map(Learner.play, learners):
            assert [text.split(".")[1] for text in said] == ["1 right", "2 right", "3 right"], said
        of_the_lesson = len(turns_taken(hub))
        start = time.time() + 1
        said = list(pool.map(lambda one: one.run(TOGETHER.format(start=start)), learners))
        assert not [text for text in said if "ERROR" in text], said
    assert learners[0].run("!trt-lessons --version").startswith("trt-lessons 0.")
    assert "not found" not in learners[1].type("trt-lessons --version", "trt-lessons 0.")
    turns = turns_taken(hub)
    assert of_the_lesson >= 3 and len(turns) == of_the_lesson + 3 * 3
    assert len(set(Counter(pid for *_, pid in turns).values())) == 1 and len({pid for *_, pid in turns}) == 3
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(turns))
    last = turns[-9:]
    assert last[-1][1] - last[0][0] >= 9 * 0.2  # they were asked for at the same moment
    for name in LEARNERS:
        assert (hub.folder / "home" / name / "workbook" / LESSON).exists()
