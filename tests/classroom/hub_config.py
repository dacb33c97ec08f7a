"""The recipe of docs/classroom with what a test needs: any name logs in, everything in one folder, free ports."""

import os
from pathlib import Path

c = get_config()  # noqa: F821
folder = Path(os.environ["HUB_TEST_FOLDER"])
source = Path(__file__).parents[2] / "docs" / "classroom" / "jupyterhub_config.py"
os.environ["TRT_LESSONS_HUB"] = str(folder / "state")
load_subconfig(str(source))  # noqa: F821

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.LocalAuthenticator.allowed_groups = set()
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "home" / "{username}")
c.Spawner.args = [*c.Spawner.args, "--allow-root"]
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['HUB_TEST_PORT']}"
c.JupyterHub.hub_port = int(os.environ["HUB_TEST_HUB_PORT"])
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['HUB_TEST_API_PORT']}"
c.JupyterHub.services = [{"name": "test", "api_token": os.environ["HUB_TEST_TOKEN"]}]
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles = [{"name": "test", "scopes": scopes, "services": ["test"]}]
# names are measured on the CPU, not recalled, and quickly
c.Spawner.environment = {
    **c.Spawner.environment,
    "TRT_LESSONS_BACKEND": "interpreter",
    "OMP_NUM_THREADS": "1",  # three learners on the two cores of a test machine
    "TRT_LESSONS_REHEARSE": "1",
    "TRT_LESSONS_CACHE": os.environ.get("TRT_LESSONS_CACHE", str(folder / "cache")),
}
