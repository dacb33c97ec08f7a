"""values.yaml of the class on Kubernetes: every key is one of the chart's and holds what the chart takes there.

Keys and types below were read in jupyterhub/zero-to-jupyterhub-k8s, `jupyterhub/values.schema.yaml` at commit 02dd73df;
a `*` stands where the schema lets anything pass (another program's settings).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="no PyYAML here: it comes with JupyterLab")
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "classroom" / "kubernetes"
KINDS = {"int": int, "number": (int, float), "text": str, "list": list, "bool": bool, "any": object}
CHART = """
any: hub.config.* singleuser.extraEnv.*
text: singleuser.image.name singleuser.image.tag singleuser.defaultUrl singleuser.storage.capacity
text: singleuser.storage.homeMountPath
int: singleuser.startTimeout singleuser.uid singleuser.fsGid cull.timeout cull.every cull.maxAge cull.concurrency
int: scheduling.userPlaceholder.replicas
number: singleuser.cpu.guarantee singleuser.cpu.limit singleuser.memory.guarantee singleuser.memory.limit
text: singleuser.memory.guarantee singleuser.memory.limit singleuser.cmd
list: singleuser.cmd singleuser.profileList singleuser.storage.extraVolumes singleuser.storage.extraVolumeMounts
bool: cull.enabled cull.users prePuller.hook.enabled prePuller.continuous.enabled scheduling.userScheduler.enabled
bool: scheduling.podPriority.enabled scheduling.userPlaceholder.enabled
dynamic static none: singleuser.storage.type
"""


def leaves(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of all that are no mappings."""
    if not isinstance(found, dict):
        yield path, found
        return
    for key, value in found.items():
        yield from leaves(value, f"{path}.{key}".lstrip("."))


def taken(path: str, value: Any) -> bool:
    """Whether the chart has such a key and takes such a value there."""
    for line in CHART.strip().splitlines():
        kind, _, keys = line.partition(":")
        if not any(path == key or (key.endswith(".*") and path.startswith(key[:-1])) for key in keys.split()):
            continue
        if kind in KINDS and isinstance(value, KINDS[kind]) and (kind in ("bool", "any") or type(value) is not bool):
            return True
        if kind not in KINDS and value in kind.split():
            return True
    return False


def values() -> dict[str, Any]:
    """The file."""
    return yaml.safe_load((FOLDER / "values.yaml").read_text())


def test_every_key_is_the_charts_and_holds_what_it_takes() -> None:
    assert not [(path, value) for path, value in leaves(values()) if not taken(path, value)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("singleuser.storage.size", "2Gi"),
        ("hub.password", ""),
        ("singleuser.uid", "1000"),
        ("singleuser.cpu.limit", "2"),
        ("singleuser.storage.type", "hostPath"),
        ("cull.enabled", "yes"),
        ("cull.every", True),
    ],
)
def test_what_the_chart_does_not_take(path: str, value: Any) -> None:
    assert not taken(path, value)


def test_what_a_class_needs_is_there() -> None:
    user = values()["singleuser"]
    assert user["storage"]["type"] == "dynamic" and values()["cull"]["enabled"]
    assert user["storage"]["extraVolumeMounts"][0] == {
        "name": "recordings",
        "mountPath": user["extraEnv"]["TRT_LESSONS_RECORDINGS"],
        "readOnly": True,
    }
    (cpu, gpu) = user["profileList"]
    lock = gpu["kubespawner_override"]["environment"]["TRT_LESSONS_GPU_LOCK"]
    assert lock == user["storage"]["extraVolumeMounts"][1]["mountPath"]
    assert cpu["default"] and "nvidia.com/gpu" in gpu["kubespawner_override"]["extra_resource_limits"]
    assert values()["hub"]["config"]["DummyAuthenticator"]["password"] == "", "no password in a file"


def test_the_quota_and_the_table_are_of_these_values() -> None:
    user = values()["singleuser"]
    need = 30 * user["cpu"]["guarantee"], 30 * float(user["memory"]["guarantee"].rstrip("G"))
    hard = yaml.safe_load((FOLDER / "quota.yaml").read_text())["spec"]["hard"]
    assert need[0] <= int(hard["requests.cpu"]) and need[1] <= int(hard["requests.memory"].rstrip("Gi"))
    assert f"{need[0]:.0f}, {need[1]:.0f} GB" in (FOLDER / "README.md").read_text()


def test_the_seconds_of_a_sweep_are_those_of_the_recording() -> None:
    text = (FOLDER / "README.md").read_text()
    file = ROOT / "data" / "recordings" / "nvidia-h200_trt8.6.0" / "04_4_engines_on_disk.json"
    entries = json.loads(file.read_text())["entries"]
    start, plain = entries["start the builder"]["value"], entries["price of portability"]["value"]["plain"]
    assert f"{start:.1f} s (lesson 04_4), a build of the digits network {plain['seconds']:.1f} s" in text
    assert f"its plan has {plain['bytes'] / 1e6:.1f} MB" in text and entries["start the builder"]["utc"][:10] in text
    each = start + plain["seconds"] + 3.2
    assert f"it costs {each:.0f} s, of which {3.2 / each:.0%} are measuring".replace("%", " %") in text
    assert f"1,000 cases x {each:.0f} s / 100 cards = {10 * round(each)} s" in text
