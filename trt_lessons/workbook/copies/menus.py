"""JupyterLab's own menus in the learner's language, for one workbook: the other settings of the learner stay theirs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...files import write_atomically

PLUGIN = "@jupyterlab/translation-extension:plugin"


def settings(workbook: Path, language: str) -> dict[str, str]:
    """Variables for JupyterLab that make its menus speak this language; none for English.

    A folder in the workbook is added to Jupyter's, and holds the language as a default: who chose another one in
    JupyterLab's settings keeps it.
    """
    if language == "en":
        return {}
    folder = workbook.absolute() / ".jupyter" / "language"
    file = folder / "labconfig" / "default_setting_overrides.json"
    content = json.dumps({PLUGIN: {"locale": language.replace("-", "_")}}).encode()
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    others = os.environ.get("JUPYTER_CONFIG_PATH", "")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [str(folder), others]))}
