"""One GPU machine for a whole class: JupyterHub, each learner with their own copies, measurements taking turns.

As root, in a clone that all users can read (such as /opt/trt-lessons), once `make lab` has built its .venv there:

    python3 tools/environment.py --extra dev --extra classroom --gpu auto
    .venv/bin/jupyterhub -f docs/classroom/jupyterhub_config.py

Learners log in with their accounts on this machine at http://ADDRESS:8000. See README.md beside this file.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STATE = Path(os.environ.get("TRT_LESSONS_HUB", "/var/lib/trt-lessons"))
OWN, TURNS = STATE / "hub", STATE / "turns"  # the hub's own files; the locks of the GPU
for folder, mode in [(STATE, 0o755), (OWN, 0o700), (TURNS, 0o1777)]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)

c = get_config()  # noqa: F821  JupyterHub gives it

# Who may log in: this machine's accounts in this group, with their passwords here (PAM, the default).
c.LocalAuthenticator.allowed_groups = {"learners"}

# The proxy in Python, from the extra `classroom`: no Node.js needed.
c.ConfigurableHTTPProxy.command = [str(BIN / "configurable-http-proxy")]
c.ConfigurableHTTPProxy.pid_file = str(OWN / "proxy.pid")
c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.db_url = f"sqlite:///{OWN}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(OWN / "cookie_secret")

# A learner's server first writes their copies of the lessons, which never touches what they changed.
COPIES = '"$0" -m trt_lessons.cli lab --copies-only --workbook "$HOME/workbook"'
c.Spawner.cmd = ["sh", "-c", COPIES + ' && exec "$0" -m jupyterhub.singleuser "$@"', sys.executable]
c.Spawner.notebook_dir = "~/workbook"
c.Spawner.default_url = "/lab/tree/START.ipynb"
# seconds: a class logs in at the same time, and each server then starts slowly
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 180  # the default, 30, gives up a server that only shares its CPU with thirty others
c.Spawner.environment = {
    "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),  # `trt-lessons` in a learner's terminal
    "TRT_LESSONS_HOME": str(ROOT),
    # JupyterLab without nbgrader's menus, which are for teachers
    "JUPYTER_CONFIG_PATH": str(ROOT / "trt_lessons" / "workbook" / "classroom" / "learners"),
    "TRT_LESSONS_GPU_LOCK": str(TURNS),  # one measurement at a time on each GPU
    "CUDA_MODULE_LOADING": "LAZY",  # less GPU memory for each learner's process
}

# A forgotten notebook keeps its GPU memory: its kernel ends after an hour without work. What is saved stays.
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=3600",
    "--MappingKernelManager.cull_interval=300",
    "--MappingKernelManager.cull_connected=True",
    "--ContentsManager.pre_save_hook=trt_lessons.workbook.copies.saving.without_widgets",
    "--ServerApp.terminado_settings=shell_command=bash",  # no login shell, which would set PATH anew
]
