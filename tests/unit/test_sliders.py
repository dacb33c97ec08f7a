"""Sliders show recorded values, at every place, and stand still where nobody watches."""

from __future__ import annotations

import numpy as np
import pytest

import trt_lessons as tl
from trt_lessons import progressbar
from trt_lessons.plots import sliders


def all_sliders() -> list[sliders.Slider]:
    return [sliders.batch(), sliders.depth(), sliders.profile(), sliders.int8_scale(np.linspace(-3, 5, 1000))]


@pytest.mark.parametrize("number", range(4))
def test_each_place_shows_the_values_that_are_there(number: int) -> None:
    slider = all_sliders()[number]
    box = slider.widget()
    control, words, picture = box.children
    pictures = set()
    for x in slider.places:
        control.value = x
        for name, curve in slider.series.items():
            assert (f"{name} {curve[x]:.4g} {slider.unit}" in words.value) if x in curve else (name not in words.value)
        pictures.add(picture.value)
    assert len(pictures) == len(slider.places)


def test_the_batch_slider_shows_the_recording() -> None:
    box = sliders.batch().widget()
    box.children[0].value = 32
    recorded = tl.recordings.recall("digits, batch 32, graph", "04_6_a_host_that_keeps_up").value.median()
    assert f"CUDA graph {recorded:.4g} ms" in box.children[1].value


def test_the_depth_slider_shows_the_recording() -> None:
    box = sliders.depth().widget()
    box.children[0].value = 8
    recorded = tl.recordings.recall("filter, depth 8", "04_3_streams_and_graphs").value
    assert f"{recorded.throughput / recorded.batch:.4g} queries/s" in box.children[1].value


def test_the_profile_slider_shows_the_recording() -> None:
    recorded = tl.recordings.recall("opt moved", "05_dynamic_shapes")["opt 256"][96]
    assert f"opt 256 {recorded:.4g} ms" in sliders.profile().text(96)


def test_a_scale_that_reaches_all_clips_nothing() -> None:
    slider = sliders.int8_scale([0.0, 1.0, 100.0])
    assert slider.series["numbers clipped"][100] == 0 and slider.series["numbers clipped"][50] > 30


@pytest.mark.parametrize("watched", [True, False])
def test_a_still_picture_where_nobody_watches(monkeypatch, watched: bool) -> None:
    monkeypatch.setattr(progressbar, "enabled", lambda: watched)
    data, about = sliders.depth()._repr_mimebundle_()
    assert ("application/vnd.jupyter.widget-view+json" in data) is watched
    assert data["image/png"] and data["text/plain"].startswith("<Slider: ") and about["image/png"]["alt"]
