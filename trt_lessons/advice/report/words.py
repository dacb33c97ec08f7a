"""The sentences of a report: what to do, why, and what every number rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import onnx

from ... import backend
from ...messages import english
from ...records import provenance
from ...records.words import number
from ..reference import in_words
from ..search import LEVEL, Found, Row, lost
from ..subject import inputs_of, typed


def facts(model: onnx.ModelProto) -> dict[str, str]:
    """What an ONNX graph says about itself, in words: inputs, outputs, ops, parameters, opset, what is dynamic."""
    graph = model.graph
    ins, outs = inputs_of(model), {value.name: typed(value) for value in graph.output}
    ops = Counter(node.op_type for node in graph.node)
    free = [f"{name} axis {axis} ({size})" for name, (_, shape) in ins.items() for axis, size in enumerate(shape)
            if not isinstance(size, int)]  # fmt: skip
    return {
        "inputs": "; ".join(_tensor(name, *about) for name, about in ins.items()),
        "outputs": "; ".join(_tensor(name, *about) for name, about in outs.items()),
        "ops": f"{sum(ops.values())}: " + ", ".join(f"{count} {op}" for op, count in ops.most_common()),
        "parameters": f"{sum(math.prod(item.dims) for item in graph.initializer):,}",
        "opset": ", ".join(f"{item.domain or 'ai.onnx'} {item.version}" for item in model.opset_import),
        "made by": f"{model.producer_name} {model.producer_version}".strip() or "not said",
        "dynamic": ", ".join(free) or "nothing: every size is fixed",
    }


def _tensor(name: str, dtype: Any, shape: Sequence[Any]) -> str:
    return f"{name} {dtype} [{', '.join(map(str, shape))}]"


def headline(found: Found) -> str:
    """The report's title: the file, and what to do with it."""
    if found.doubts:
        return f"{found.subject.file}: nothing can be said yet"
    if found.chosen is found.rows[0]:
        return f"{found.subject.file}: leave it in FP32"
    return f"{found.subject.file}: {found.chosen.name}"


def summary(found: Found) -> str:
    """The result in a few sentences for someone who knows neither TensorRT nor this model."""
    if found.doubts:
        return (
            "The model's own answers to this data do not tell one precision from another, so none is recommended. "
            "With inputs from its real work the question can be asked again."
        )
    kept = found.chosen is found.rows[0]
    sentences = [_keep(found) if kept else _take(found)]
    sentences += [] if kept else [_aside(found), _speed(found)]
    sentences.append(_data(found))
    return " ".join(filter(None, sentences))


def _keep(found: Found) -> str:
    others = [row for row in found.rows[1:] if row.name != "TF32"]
    beyond = [row.name for row in others if not row.refused and not row.fits]
    refused = [row.name for row in others if row.refused]
    fit = [row.name for row in others if row.fits]
    told = [f"{_list(beyond)} would change its answers by more than the limit"] if beyond else []
    told += [f"{_list(refused)} cannot be built here"] if refused else []
    told += [f"{_list(fit)} would gain nothing"] if fit else []
    return f"Leave {found.subject.file} in FP32, as it is: {'; '.join(told) or 'nothing else is better'}."


def _take(found: Found) -> str:
    row, first = found.chosen, found.rows[0]
    if row.accuracy is not None and first.accuracy is not None:
        cost = f"it is right in {100 * row.accuracy:.2f} % of the rows in place of {100 * first.accuracy:.2f} %"
    else:
        cost = f"its answers change by at most {number(lost(row, first))} percent of the largest one"
    gain = f"its weights take {number(row.weights / 1e6)} MB in place of {number(first.weights / 1e6)} MB"
    same = row.weights >= first.weights
    return f"Run {found.subject.file} in {row.name}: {cost}{'' if same else f', and {gain}'}."


def _speed(found: Found) -> str:
    row, first = found.chosen, found.rows[0]
    if row.ms is None or first.ms is None:
        return "How much faster it is must be measured on the card it will run on: the same command, there."
    return (
        f"A batch of {found.subject.rows} takes {row.ms:.3f} ms in place of {first.ms:.3f} ms ({english(found.note)})."
    )


def _aside(found: Found) -> str:
    """What the chosen precision does to outputs that are no part of the error."""
    name = found.chosen.name
    told = [
        f"Its whole numbers in {output!r}, which are no part of that, have {in_words(by[name])}: look at those first."
        for output, by in found.aside.items()
        if by.get(name)
    ]
    return " ".join(told)


def _data(found: Found) -> str:
    if found.subject.real:
        return ""
    return "The inputs were random numbers: ask again with real ones (--data) before you decide."


def _list(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def remarks(found: Found) -> list[str]:
    """What a reader has to know beside the headline, a sentence each."""
    told = [
        f"Times: {english(found.note)}." if found.chosen.ms is not None else "Times need a GPU: there are none here."
    ]
    told += [f"{row.name} is not in the race: {row.refused.rstrip('.')}." for row in found.rows if row.refused]
    told += [f"{row.name}: {line.rstrip('.')}." for row in found.rows for line in row.kept[:5]]
    told += [f"{row.name}: and {len(row.kept) - 5} more like these." for row in found.rows if len(row.kept) > 5]
    told += found.remarks
    apart = f"The FP32 engine is {number(100 * found.against_onnxruntime)} % away from onnxruntime"
    if not backend.is_gpu():
        told.append("Errors come from the interpreter, onnxruntime on the CPU; TF32 rounds on a GPU only.")
    elif found.against_onnxruntime > 0.01:
        told.append(f"{apart}. That is much: TensorRT may read this model otherwise than it is meant.")
    else:
        told.append(f"{apart}: TensorRT reads the model as it is meant.")
    return told


def numbers_from(found: Found) -> str:
    """Which machine and which version each column of numbers is from."""
    now = provenance.here()
    errors = english(now.note("measured")) if backend.is_gpu() else on_the_cpu()
    told = [f"errors: {errors}"]
    if any(row.ms is not None for row in found.rows):
        told.append(f"times: {english(found.note)}")
    if any(row.plan is not None for row in found.rows):
        told.append(f"plans: {english(found.note)}")
    return f"Where the numbers are from: {'; '.join(told)}; weights: counted in the graph."


def on_the_cpu() -> str:
    """What computes without a GPU, with its version and the day."""
    now = provenance.here()
    return f"the interpreter, onnxruntime {now.packages.get('onnxruntime', '')} on this CPU, {now.date}"


def method(found: Found) -> str:
    """How errors and times were taken."""
    labelled = found.subject.labels is not None
    unit = "points of accuracy" if labelled else "percent of relative error (largest difference over largest number)"
    told = (
        f"Limit: {found.limit:g} {unit}, against the FP32 engine without TF32. "
        f"Data: {found.subject.data}. Optimization level {LEVEL}"
    )
    if all(row.ms is None for row in found.rows):
        return f"{told}."
    return (
        f"{told}; times are medians of the compute time of a batch of {found.subject.rows}, "
        "launched as a CUDA graph, without copies."
    )


def verdict(row: Row, found: Found) -> str:
    """A row's last word."""
    if row is found.chosen and not found.doubts:
        return "chosen"
    return "the reference" if row is found.rows[0] else "within the limit" if row.fits else "beyond the limit"


def origin(found: Found) -> dict[str, Any]:
    """The machine and the versions, for the end of the page."""
    now, told = provenance.here(), backend.describe()
    rows = {
        "backend": told.backend,
        "GPU": now.gpu or "none",
        "TensorRT": now.tensorrt if backend.is_gpu() else f"the interpreter, with the names of {now.tensorrt}",
        "driver, CUDA": f"{now.driver}, {now.cuda}" if now.driver else "",
        "times": found.note,
        "seconds": seconds(found),
        "date": now.utc,
        "commit of the workbook": now.commit + (" with changes" if now.dirty else ""),
        "packages": ", ".join(f"{name} {version}" for name, version in now.packages.items()),
    }
    return {key: value for key, value in rows.items() if value}


def seconds(found: Found) -> str:
    """How long each stage took so far, in words."""
    told = found.spent.seconds()
    parts = ", ".join(f"{name} {number(told[name])}" for name in told if name != "total")
    return f"{number(told['total'])} until this page was written: {parts}"
