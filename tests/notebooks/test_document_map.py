"""Every heading and step of the source document has its cells, and they are there."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest

from trt_lessons.workbook import document_calls

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
PLACES = json.loads((HERE / "document_map.json").read_text("utf-8"))["places"]
HEADINGS = {
    "Nvinfer1": [
        "Nvinfer1",
        "主要组件",
        "1. IBuilder和IBuilderConfig",
        "2. INetworkDefinition",
        "3. ITensor",
        "4. ILayer",
        "5. ICudaEngine和IExecutionContext",
        "6. Weights类",
        "用途和重要性",
    ],
    "TensorRT中执行推理的流程": [
        "TensorRT中执行推理的流程",
        "1. 加载预训练模型",
        "2. 创建IBuilder和INetworkDefinition",
        "3. 构建和优化模型",
        "4. 创建IExecutionContext并执行推理",
        "5. 处理推理结果",
        "6. 资源清理",
    ],
    "学习TensorRT中的网络构建流程": [
        "学习TensorRT中的网络构建流程",
        "图：TensorRT网络构建流程",
        "1. 准备预训练模型",
        "2. 创建IBuilder和INetworkDefinition",
        "3. 模型解析和网络定义",
        "4. 优化配置（使用IBuilderConfig）",
        "5. 构建优化后的推理引擎",
        "6. 序列化和保存推理引擎（可选）",
        "7. 加载和执行推理",
    ],
    "TensorRT 优化技巧": [
        "TensorRT 优化技巧",
        "1. 使用合适的精度",
        "2. 层融合和张量融合",
        "3. 动态形状和静态形状",
        "4. 流水线执行和异步推理",
        "5. 序列化和反序列化引擎",
        "6. 使用TensorRT API进行细粒度优化",
    ],
    "探索如何使用TensorRT进行动态形状推理": [
        "探索如何使用TensorRT进行动态形状推理",
        "1. 定义动态形状",
        "2. 配置构建选项以支持动态形状",
        "3. 在推理时选择合适的优化配置文件",
        "4. 处理不同形状的输入",
    ],
}


@lru_cache
def listed(notebook: str) -> list[dict]:
    """The cells of a notebook; none where the notebook is not there."""
    path = NOTEBOOKS / f"{notebook}.ipynb"
    return json.loads(path.read_text("utf-8"))["cells"] if path.exists() else []


def cells(notebook: str) -> dict[str, str]:
    """id -> kind of each cell."""
    return {c["id"]: c["cell_type"] for c in listed(notebook)}


def sources(notebook: str) -> dict[str, str]:
    """id -> source of each cell."""
    return {c["id"]: "".join(c["source"]) for c in listed(notebook)}


def missing(place: str) -> str:
    """What is wrong with a "notebook#cell", empty when it is there."""
    notebook, _, cell = place.partition("#")
    if not cells(notebook):
        return f"there is no notebook {notebook}"
    return "" if cell in cells(notebook) else f"{notebook} has no cell {cell}"


@pytest.mark.parametrize("place", PLACES, ids=lambda p: f"{p['place']}: {p['says']}"[:60])
def test_the_cells_are_there(place: dict) -> None:
    assert place["cells"], "no cell"
    problems = [found for found in map(missing, place["cells"]) if found]
    assert not problems, "\n".join(problems)


def test_every_heading_has_a_place() -> None:
    mapped = {(p["chapter"], p["place"]) for p in PLACES}
    assert mapped == {(chapter, heading) for chapter, headings in HEADINGS.items() for heading in headings}


@pytest.mark.parametrize("call", list(document_calls.table()), ids=lambda c: c.cpp)
def test_each_corrected_call_runs_somewhere(call: document_calls.Call) -> None:
    """The cell exists, is code, and uses the call."""
    notebook, _, cell = call.runs.partition("#")
    assert cell, "a call names the cell that runs it"
    assert not missing(call.runs)
    assert cells(notebook)[cell] == "code"
    source = next(
        c for c in json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text("utf-8"))["cells"] if c["id"] == cell
    )
    text = "".join(source["source"])
    used = [name.rpartition(".")[2] for name in call.names]
    assert not used or any(name in text for name in used), f"{call.runs} uses none of {used}"
