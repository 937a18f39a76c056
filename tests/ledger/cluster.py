"""A PostgreSQL server of the tests' own, which may be killed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest


class Cluster:
    """A PostgreSQL of the test's own, which may be killed."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "--pgdata", "data", "--auth", "trust", "--username", "postgres", "--no-sync")
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *words: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        command = [str(self._binaries / program), *words]
        subprocess.run(
            command, check=True, cwd=self._home, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def start(self) -> None:
        """Start it, and wait until it has recovered."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self._home}"
        self._run("pg_ctl", "start", "--pgdata", "data", "--wait", "--options", options, "--log", "log")

    def crash(self) -> None:
        """Stop it without a checkpoint, as a crash does."""
        self._run("pg_ctl", "stop", "--pgdata", "data", "--mode", "immediate")

    def kill_session(self) -> None:
        """Kill the process of one session; the server ends all of them and recovers."""
        with psycopg.connect(self.url, autocommit=True) as db:
            os.kill(db.info.backend_pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill its first process, and start it again once the others have noticed."""
        pid = (self._home / "data" / "postmaster.pid").read_text().partition("\n")[0]
        os.kill(int(pid), signal.SIGKILL)
        for _ in range(300):
            with suppress(subprocess.CalledProcessError):
                return self.start()
            time.sleep(0.1)
        raise TimeoutError("the server does not start again")

    def running(self) -> bool:
        """Tell whether it was started and not stopped."""
        return (self._home / "data" / "postmaster.pid").exists()


def binaries() -> Path | None:
    """Return where this machine has the newest PostgreSQL server, if it has one and may run it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Lend a cluster made of the binaries of this machine; skip where there are none."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL binaries in /usr/lib/postgresql")
    home = Path(tempfile.mkdtemp(prefix="reconciler-pg"))
    try:
        if os.geteuid() == 0:
            try:
                shutil.chown(home, "postgres")
            except LookupError:
                pytest.skip("there is no user postgres to run PostgreSQL as")
        made = Cluster(found, home)
        made.start()
        try:
            yield made
        finally:
            if made.running():
                made.crash()
    finally:
        shutil.rmtree(home)
