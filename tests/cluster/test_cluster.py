"""Ray as we start it: its token is for this user alone, a start that failed is tried again and then said in words."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from trt_lessons.errors import LessonError
from trt_lessons.scale.cluster import Cluster, own_token


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray's token would be, in a home of its own."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray" / "auth_token"


def test_a_token_is_made_for_this_user_alone(token: Path) -> None:
    own_token()
    assert len(token.read_text(encoding="utf-8")) == 64 and stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700


def test_a_token_that_others_could_read_stays_and_is_closed(token: Path) -> None:
    token.parent.mkdir()
    token.write_text("as it was", encoding="utf-8")
    token.chmod(0o644)
    own_token()
    assert token.read_text(encoding="utf-8") == "as it was" and stat.S_IMODE(token.stat().st_mode) == 0o600


@pytest.mark.parametrize("setting", [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "of the environment")])
def test_no_token_is_written_where_none_is_needed(
    token: Path, setting: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*setting)
    own_token()
    assert not token.exists()


@pytest.mark.parametrize(("failures", "works"), [(1, True), (2, False)])
def test_a_start_that_timed_out_is_tried_once_more(failures: int, works: bool) -> None:
    started = []

    def init(**_: object) -> None:
        started.append(1)
        if len(started) <= failures:
            raise Exception("The current node timed out during startup.")

    cluster = Cluster()
    cluster.ray = SimpleNamespace(init=init, shutdown=lambda: None)
    if works:
        cluster._start({})
    else:
        with pytest.raises(LessonError, match=r"Ray did not start.*\n?.*timed out"):
            cluster._start({})
    assert len(started) == 2


def test_a_cluster_whose_token_this_process_lacks() -> None:
    def init(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")  # what Ray 2.60 says of a missing or a wrong token

    with socket.create_server(("127.0.0.1", 0)) as listens:
        cluster = Cluster(f"127.0.0.1:{listens.getsockname()[1]}")
        cluster.ray = SimpleNamespace(init=init)
        with pytest.raises(LessonError, match=r"does not let this process in(.|\n)*RAY_AUTH_MODE=token"):
            cluster._join()
