"""What JupyterLab saves of widgets: nothing, since a notebook that is opened again could only show an error there.

`trt-lessons lab` hands `without_widgets` to the server. The words above a widget, a slider's picture and every other
output are saved as they are, and running the cell brings the widget back with what was kept.
"""

from __future__ import annotations

from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"
HOOK = f"{__name__}.without_widgets"


def without_widgets(model: dict[str, Any], **about: Any) -> None:
    """Take the views of widgets out of a notebook that is about to be saved, in place (a hook of Jupyter's server)."""
    content = model.get("content")
    if model.get("type") != "notebook" or not isinstance(content, dict):
        return
    content.get("metadata", {}).pop("widgets", None)
    for cell in content.get("cells", []):
        if cell.get("outputs"):
            cell["outputs"] = [output for output in map(_without_view, cell["outputs"]) if output]


def _without_view(output: dict[str, Any]) -> dict[str, Any] | None:
    """The output without its widget; None where nothing else was shown."""
    data = output.get("data", {})
    if VIEW not in data:
        return output
    kept = {kind: value for kind, value in data.items() if kind != VIEW}
    return {**output, "data": kept} if set(kept) - {"text/plain"} else None
