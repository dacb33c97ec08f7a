"""values.yaml of the class on Kubernetes: every key is one of the chart's.

The keys below were read in jupyterhub/zero-to-jupyterhub-k8s, `jupyterhub/values.schema.yaml` at commit 02dd73df; a `*`
stands where the schema lets anything pass (another program's settings).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="no PyYAML here: it comes with JupyterLab")
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "classroom" / "kubernetes"
CHART = """
hub.config.* singleuser.image.name singleuser.image.tag singleuser.cmd singleuser.defaultUrl singleuser.startTimeout
singleuser.uid singleuser.fsGid singleuser.cpu.guarantee singleuser.cpu.limit singleuser.memory.guarantee
singleuser.memory.limit singleuser.storage.type singleuser.storage.capacity singleuser.storage.homeMountPath
singleuser.storage.extraVolumes singleuser.storage.extraVolumeMounts singleuser.extraEnv.* singleuser.profileList
cull.enabled cull.users cull.timeout cull.every cull.concurrency cull.maxAge prePuller.hook.enabled
prePuller.continuous.enabled scheduling.userScheduler.enabled scheduling.podPriority.enabled
scheduling.userPlaceholder.enabled scheduling.userPlaceholder.replicas
""".split()


def leaves(found: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of all values that are no mappings."""
    if not isinstance(found, dict):
        yield path
        return
    for key, value in found.items():
        yield from leaves(value, f"{path}.{key}".lstrip("."))


def known(path: str) -> bool:
    """Whether the chart has such a key."""
    return path in CHART or any(path.startswith(key[:-1]) for key in CHART if key.endswith(".*"))


def values() -> dict[str, Any]:
    """The file."""
    return yaml.safe_load((FOLDER / "values.yaml").read_text())


def test_every_key_is_the_charts() -> None:
    assert not [path for path in leaves(values()) if not known(path)]
    assert not known("singleuser.storage.size") and not known("hub.password")


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
