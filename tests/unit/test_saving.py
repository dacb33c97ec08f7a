"""A notebook is saved without widgets, which could not be shown again, and with everything else."""

from __future__ import annotations

import json

from trt_lessons import cli
from trt_lessons.workbook.copies.saving import HOOK, VIEW, without_widgets


def shown(**data: object) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": {k.replace("_", "/"): v for k, v in data.items()}}


def saved(*outputs: dict) -> list[dict]:
    cells = [{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "source": "y", "outputs": list(outputs)}]
    content = {"cells": cells, "metadata": {"widgets": {"state": {}}, "kernelspec": {}}}
    model = {"type": "notebook", "content": content}
    without_widgets(model, path="a.ipynb", contents_manager=None)
    assert model["content"]["metadata"] == {"kernelspec": {}}
    return model["content"]["cells"][1]["outputs"]


def test_widgets_go_and_the_rest_stays() -> None:
    words = {"output_type": "stream", "name": "stdout", "text": "02.a  Your guess"}
    widget = shown(text_plain="VBox()")
    widget["data"][VIEW] = {"model_id": "1"}
    slider = shown(text_plain="<Slider>", image_png="iVBOR")
    slider["data"][VIEW] = {"model_id": "2"}
    figure = shown(image_png="iVBOR", text_html="<img>")
    result = saved(words, widget, slider, figure)
    assert result == [words, shown(text_plain="<Slider>", image_png="iVBOR"), figure]
    assert VIEW not in json.dumps(result)


def test_other_files_are_left_alone() -> None:
    for model in ({"type": "file", "content": "text"}, {"type": "notebook", "content": None}, {"type": "directory"}):
        before = dict(model)
        without_widgets(model)
        assert model == before


def test_jupyters_server_finds_the_hook(tmp_path) -> None:
    from traitlets import import_item

    assert import_item(HOOK) is without_widgets
    assert f"--ContentsManager.pre_save_hook={HOOK}" in cli.lab_command(tmp_path, None, [])
