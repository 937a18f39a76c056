"""Who this run is, for the name on a lock: a run of a pipeline where one is known, else the user; never a secret."""

import getpass
import os
import socket
from collections.abc import Mapping

from reconciler.diagnostics.redact import redact
from reconciler.planning.lock import Holder

#: Who started it, where, and which run, as pipelines name them.
_RUNS = (
    ("GITHUB_ACTOR", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"),
    ("GITLAB_USER_LOGIN", "CI_PROJECT_PATH", "CI_JOB_ID"),
)
_LONGEST = 60


def this_run(environ: Mapping[str, str]) -> Holder:
    """Return the holder that this process is."""
    return Holder(_short(_run(environ) or _user()), _short(socket.gethostname()), os.getpid())


def _run(environ: Mapping[str, str]) -> str | None:
    for actor, project, run in _RUNS:
        if environ.get(run):
            return f"{environ.get(actor, 'somebody')}, {environ.get(project, '')} run {environ[run]}"
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"


def _short(text: str) -> str:
    return redact(text)[:_LONGEST]
