"""A GitHub of one repository on the loopback, and a runner that carries the steps of a composite action out."""

import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

ROOT = Path(__file__).parents[2]
REPOSITORY, REPOSITORY_ID = "acme/shop", 7
TOKEN = "token-of-the-job"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())


@dataclass
class GitHub:
    """What the repository holds, what was asked, and which path answers with which status."""

    url: str = ""
    head: str = "a" * 40
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[int, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)

    def keep(self, name: str, head: str, files: Mapping[str, bytes], **more: Any) -> dict[str, Any]:
        """Keep an artifact of a run on a commit."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for each, data in files.items():
                archive.writestr(each, data)
        number = len(self.artifacts) + 1
        run = {"head_sha": head, "repository_id": REPOSITORY_ID, "head_repository_id": REPOSITORY_ID}
        made = f"2026-01-01T00:00:{number:02}Z"
        kept = {"id": number, "name": name, "expired": False, "created_at": made, "workflow_run": run, **more}
        self.artifacts.append(kept)
        self.files[number] = stream.getvalue()
        return kept


@contextmanager
def github() -> Iterator[GitHub]:
    """Serve a GitHub."""
    state = GitHub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            state.asked.append((self.command, parts.path, self.headers.get("Authorization")))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            failing = next((code for path, code in state.failing.items() if path in parts.path), None)
            if failing:
                self.send_error(failing)
                return
            answer = _route(state, self.command, parts.path, parse_qs(parts.query), body)
            self.send_response(302 if isinstance(answer, str) else 200)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  the names are the library's

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _route(state: GitHub, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
    tail = path.removeprefix(f"/repos/{REPOSITORY}")
    size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
    window = slice((page - 1) * size, page * size)
    if method == "POST":
        state.comments.append({"id": len(state.comments) + 1, "user": {"login": "github-actions[bot]"}, **body})
        return state.comments[-1]
    if method == "PATCH":
        comment = next(each for each in state.comments if each["id"] == int(tail.rpartition("/")[2]))
        comment.update(body)
        return comment
    if tail == "":
        return {"id": REPOSITORY_ID}
    if tail.endswith("/comments"):
        return state.comments[window]
    if tail.endswith("/pulls"):
        return state.pulls[window]
    if tail.startswith("/pulls/"):
        return {"head": {"sha": state.head}}
    if tail == "/actions/artifacts":
        named = [each for each in state.artifacts if each["name"] == query["name"][0]]
        return {"total_count": len(named), "artifacts": named[window]}
    if tail.endswith("/zip"):
        return f"{state.url}/blob/{tail.split('/')[-2]}"
    return state.files[int(path.rpartition("/")[2])]


@dataclass(frozen=True)
class Ran:
    """A use of the action that has ended: exit code of the failed step or 0, outputs, summary, log, steps that ran."""

    code: int
    outputs: dict[str, str]
    summary: str
    log: str
    steps: tuple[str, ...]


@dataclass
class Runner:
    """Carries out the action's steps as GitHub's runner would: conditions, inputs, outputs, PATH, one shell each."""

    folder: Path
    environ: dict[str, str]
    event: dict[str, Any] = field(default_factory=dict)
    kept: list[tuple[str, Path]] = field(default_factory=list)

    def use(self, **inputs: str) -> Ran:
        """Use the action with inputs, ``_`` for ``-``."""
        given = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
        chosen = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(chosen) <= set(given)
        run = _Run(self, {**given, "token": TOKEN, **chosen})
        return run.all()


class _Run:
    def __init__(self, runner: Runner, inputs: dict[str, str]) -> None:
        self.runner = runner
        self.inputs = inputs
        self.steps: dict[str, dict[str, str]] = {}
        self.failed = 0
        self.path = runner.environ["PATH"]
        self.log, self.summary, self.ran = "", "", list[str]()

    def all(self) -> Ran:
        for step in ACTION["runs"]["steps"]:
            if self._wanted(step.get("if", "success()")):
                self.ran.append(step["name"])
                self._step(step)
        outputs = {name: str(self._fill(entry["value"])) for name, entry in ACTION["outputs"].items()}
        return Ran(self.failed, outputs, self.summary, self.log, tuple(self.ran))

    def _wanted(self, condition: str) -> bool:
        text = condition.removeprefix("${{").removesuffix("}}").strip()
        if "always()" not in text and self.failed:
            return False
        return bool(self._value(text))

    def _value(self, expression: str) -> Any:
        """Evaluate the few kinds of expression the action has."""
        names = {"inputs": self.inputs, "steps": self.steps, "github": self._github()}

        def look(match: re.Match[str]) -> str:
            found: Any = names
            for part in match[0].split("."):
                found = {} if found is None else found.get("" if part == "outputs" else part, {})
            return repr(found or "")

        text = re.sub(r"(?<!')\b(inputs|steps|github)(\.[A-Za-z_-]+)+", look, expression)
        text = text.replace("&&", "and").replace("||", "or").replace("always()", "True").replace("success()", "True")
        return eval(text, {"__builtins__": {}}, {})

    def _github(self) -> dict[str, Any]:
        return {"token": TOKEN, "event_name": self.runner.environ["GITHUB_EVENT_NAME"], "event": self.runner.event}

    def _fill(self, text: str) -> str:
        return re.sub(r"\$\{\{(.+?)\}\}", lambda match: str(self._value(match[1].strip())), str(text))

    def _step(self, step: dict[str, Any]) -> None:
        if "uses" in step:
            self.runner.kept.append((self._fill(step["with"]["name"]), Path(self._fill(step["with"]["path"]))))
            return
        temp = self.runner.folder / "temp"
        files = {name: temp / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
        for file in files.values():
            file.write_text("")
        environ = {
            **self.runner.environ,
            **{name: str(file) for name, file in files.items()},
            **{name: self._fill(value) for name, value in step.get("env", {}).items()},
            "PATH": self.path,
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.runner.folder / self._fill(step.get("working-directory", ".")),
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.log += done.stdout + done.stderr
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        self.path = os.pathsep.join([*files["GITHUB_PATH"].read_text().split(), self.path])
        if "id" in step:
            self.steps[step["id"]] = {"": read_outputs(files["GITHUB_OUTPUT"].read_text())}  # type: ignore[dict-item]
        self.failed = self.failed or done.returncode


def read_outputs(text: str) -> dict[str, str]:
    """Read a file of step outputs as the runner does."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n")[:-1])
    for line in lines:
        name, heredoc, mark = line.partition("<<")
        if not heredoc:
            name, _, found_value = line.partition("=")
            found[name] = found_value
            continue
        value: list[str] = []
        while (each := next(lines)) != mark:
            value.append(each)
        found[name] = "\n".join(value)
    return found


def program(folder: Path) -> Path:
    """Write a ``reconciler`` that runs this source, and return the directory it is in."""
    home = folder / "bin"
    home.mkdir(exist_ok=True)
    script = home / "reconciler"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m reconciler "$@"\n')
    script.chmod(0o755)
    return home
