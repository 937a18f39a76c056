"""Write a plan as a comment on the pull request of this run, or change the comment of an earlier run.

A hidden first line, another for each configuration and environment, is how the comment is found again. Comments of
anybody else are left alone, whatever they begin with.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from api import ApiError, call, pages, repository

LIMIT = 65_000
_NOTHING = "### The plan could not be made\n\nThe job's log says why.\n"


def main(file: str) -> int:
    """Comment with a file's text; 0 where it is done or cannot be expected, 1 where GitHub refuses it."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    pull = event.get("pull_request")
    if pull is None:
        return _skip("this is no pull request")
    if ((pull.get("head") or {}).get("repo") or {}).get("full_name") != repository():
        return _skip("a fork's token may not comment; the plan is in the summary of the job")
    try:
        if _is_outrun(pull):
            return _skip("a later commit was pushed, and its plan is the one to show")
        _write(int(pull["number"]), f"{_marker()}\n{_text(Path(file))}")
    except (ApiError, KeyError, TypeError, ValueError) as error:
        reason = str(error).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        sys.stdout.write(f"::error title=reconciler::The comment could not be written. {reason}\n")
        return 1
    return 0


def _skip(why: str) -> int:
    sys.stdout.write(f"::notice title=reconciler::No comment: {why}.\n")
    return 0


def _is_outrun(pull: dict[str, Any]) -> bool:
    """Tell whether the pull request has moved on: a slow run of an older commit must not hide the plan of a newer."""
    return bool(call("GET", f"/pulls/{int(pull['number'])}")["head"]["sha"] != pull["head"]["sha"])


def _marker() -> str:
    names = "INPUT_DIRECTORY", "INPUT_CONFIG", "INPUT_ENV"
    which = json.dumps([os.environ.get(name, "") for name in names])
    return f"<!-- reconciler-comment:{hashlib.sha256(which.encode()).hexdigest()[:16]} -->"


def _text(file: Path) -> str:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    text = text.strip() or _NOTHING
    if len(text) <= LIMIT:
        return text
    return f"{text[:LIMIT].rpartition(chr(10))[0]}\n\n_Cut here; the summary of the job has all of it._\n"


def _write(number: int, body: str) -> None:
    marker = body.split("\n", 1)[0]
    mine = [each for each in pages(f"/issues/{number}/comments") if _is_mine(each, marker)]
    if mine:
        call("PATCH", f"/issues/comments/{int(mine[0]['id'])}", {"body": body})
    else:
        call("POST", f"/issues/{number}/comments", {"body": body})


def _is_mine(comment: dict[str, Any], marker: str) -> bool:
    author = os.environ.get("INPUT_COMMENT_AUTHOR") or "github-actions[bot]"
    return str(comment.get("body", "")).startswith(marker) and (comment.get("user") or {}).get("login") == author


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
