"""TensorRT's own engines, as lesson 04_2 recorded them: every layer is accounted for, none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from trt_lessons import layers, recordings

LESSON = "04_2_fusion"
ALL = sorted((Path(__file__).resolve().parents[2] / "data" / "recordings").glob("*/*.json"))
FILES = [path for path in ALL if path.stem == LESSON]
MODELS = {"layers of digits": 10, "layers of resnet50": 50}  # name of the recording -> convolutions at least


def recorded(path: Path, name: str) -> tuple[list[dict], layers.Table]:
    """(network layers, engine layers) of one recording."""
    value = recordings.load(path).get(name).value
    return value["network"], layers.Table.from_dict(value["layers"])


@pytest.mark.skipif(not ALL, reason="no lesson was recorded yet")
def test_the_lesson_is_recorded():
    assert FILES, f"other lessons are recorded, {LESSON} is not: run it on a GPU with TRT_LESSONS_RECORD=1"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_layer_is_accounted_for(path, name):
    network, table = recorded(path, name)
    found = layers.fusion(network, table)
    assert found.lost == [] and table.lost == []
    everything = set(found.where) | set(found.absorbed)
    assert everything == {layer["name"] for layer in network}
    assert not set(found.where) & set(found.absorbed)
    nothing_inside = [row.name for row in table if not row.origins and not row.added]
    assert nothing_inside == [], "engine layers that hold no network layer and are no copies either"


@pytest.mark.parametrize(("name", "least"), MODELS.items())
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_convolutions_run_once_and_fused(path, name, least):
    network, table = recorded(path, name)
    found = layers.fusion(network, table)
    convolutions = [layer["name"] for layer in network if layer["type"] == "CONVOLUTION"]
    assert len(convolutions) >= least
    assert {n: len(found.where[n]) for n in convolutions} == dict.fromkeys(convolutions, 1)
    assert len(found.fused) > least / 2, "TensorRT fuses most convolutions with what follows"
    assert len(table) < len(network)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_names_are_read_alone_as_with_the_network(path, name):
    """The names in the table give back the same origins when they are parsed again."""
    network, table = recorded(path, name)
    names = [layer["name"] for layer in network]
    for row in table:
        assert set(layers.origins(row.name, names)) <= set(row.origins), row.name


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_sizes_are_known(path, name):
    """The bytes that the lesson counts: known for every layer that holds arithmetic."""
    _, table = recorded(path, name)
    assert all(row.bytes_moved or row.type == "NoOp" for row in table if row.origins)
