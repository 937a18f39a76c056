"""The history of applies: a file of JSON Lines that is only ever appended to, a line for each apply that has ended."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.planning.plan import Plan

#: How much of the end of a file is read, in bytes; earlier applies are in it, and not shown.
_READ = 4 << 20


def record_of(plan: Plan, ending: str, writes: int, at: datetime, by: str) -> dict[str, Any]:
    """Return the line of an apply: what it was of, how it ended and when, how many writes were made, and by whom.

    There is nothing in it that the plan does not say of itself: no name of a customer, no amount, no secret.
    """
    target = plan.target
    return {
        "at": at.isoformat(timespec="seconds"),
        "ending": ending,
        "account": target.account,
        "mode": target.mode,
        "namespace": target.namespace,
        "environment": target.environment,
        "plan": plan.id,
        "digest": plan.digest,
        "changes": {str(action): number for action, number in sorted(plan.counts.items()) if number},
        "writes": writes,
        "by": by,
        "reconciler": target.tool,
    }


def append_record(file: Path, record: Mapping[str, Any]) -> None:
    """Append a line in one write, so that applies that end together stand below each other; OSError where it fails."""
    line = json.dumps(record, separators=(",", ":")) + "\n"
    with file.open("ab") as stream:
        stream.write(line.encode())


def read_records(file: Path, most: int) -> tuple[list[dict[str, Any]], int]:
    """Return the latest lines, newest first, and how many of those read are none; a file that is not there has none."""
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            start = max(stream.tell() - _READ, 0)
            stream.seek(start)
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return [], 0
    if start:
        lines = lines[1:]
    found, unread = list[dict[str, Any]](), 0
    for line in reversed(lines[-most:]):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and isinstance(record.get("changes", {}), dict):
            found.append(record)
        else:
            unread += 1
    return found, unread
