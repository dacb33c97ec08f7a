"""JupyterLab's defaults for one workbook: menus in the learner's language, names of lessons that are not cut off."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...files import write_atomically

PLUGIN = "@jupyterlab/translation-extension:plugin"
FILES = "@jupyterlab/filebrowser-extension:browser"


def settings(workbook: Path, language: str) -> dict[str, str]:
    """Variables for JupyterLab: menus in this language, and a list of files with room for their names.

    A folder in the workbook is added to Jupyter's, and holds both as defaults: who chose otherwise in JupyterLab's
    settings keeps it.
    """
    defaults: dict[str, dict] = {FILES: {"showLastModifiedColumn": False}}
    if language != "en":
        defaults[PLUGIN] = {"locale": language.replace("-", "_")}
    folder = workbook.absolute() / ".jupyter" / "language"
    file = folder / "labconfig" / "default_setting_overrides.json"
    content = json.dumps(defaults).encode()
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    others = os.environ.get("JUPYTER_CONFIG_PATH", "")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [str(folder), others]))}
