"""Find the plan that was reviewed: the artifact kept for the head of the pull request that became this commit.

Ends with 5 where there is none, which asks for a new plan as a stale one does. What is found is no more trusted than
any plan file: ``apply`` holds it against the files and the account.
"""

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api import ApiError, call, download, pages

LIMIT = 64 * 1024 * 1024
REPLAN = 5


def main(file: str) -> int:
    """Write the reviewed plan to a file; 5 where there is none, 1 where GitHub cannot be asked."""
    sha = os.environ["GITHUB_SHA"]
    try:
        heads = [_head(pull) for pull in pages(f"/commits/{sha}/pulls") if pull.get("merged_at")]
        for head in heads:
            artifact = _artifact(head)
            if artifact is not None:
                data = download(f"/actions/artifacts/{int(artifact['id'])}/zip", LIMIT)
                Path(file).write_bytes(_only_file(data))
                sys.stdout.write(f"The plan reviewed at {head} is in {file}.\n")
                return 0
    except (ApiError, KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        return _error(f"The reviewed plan could not be found. {error}", 1)
    if heads:
        return _error(f"No plan is kept for {heads[0]}. Plan again and have it reviewed.", REPLAN)
    return _error(f"No pull request was merged as {sha}, so no plan was reviewed. Plan again.", REPLAN)


def _error(text: str, code: int) -> int:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::error title=reconciler::{escaped}\n")
    return code


def _head(pull: dict[str, Any]) -> str:
    return str(pull["head"]["sha"])


def _artifact(head: str) -> dict[str, Any] | None:
    """Return the newest plan that a run of this very repository kept for a commit."""
    name = f"reconciler-plan-{os.environ.get('INPUT_ENV') or 'base'}-{head}"
    repository = call("GET", "")["id"]
    found = [
        each
        for each in pages(f"/actions/artifacts?name={quote(name)}", "artifacts")
        if not each["expired"] and each["name"] == name and _is_ours(each.get("workflow_run") or {}, head, repository)
    ]
    return max(found, key=lambda each: str(each["created_at"]), default=None)


def _is_ours(run: dict[str, Any], head: str, repository: int) -> bool:
    return run.get("head_sha") == head and run.get("repository_id") == run.get("head_repository_id") == repository


def _only_file(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = archive.infolist()
        if len(files) != 1 or files[0].file_size > LIMIT:
            raise ValueError("the artifact is not one plan file")
        return archive.read(files[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
