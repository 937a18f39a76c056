"""Small notes beside the figures: when something was read last, and what it came to, as JSON."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.service.figures import tables


class Note(NamedTuple):
    """What was noted, and when, in microseconds."""

    at: int
    said: Mapping[str, Any]


def note(name: str, at: int, said: Mapping[str, Any]) -> Statement:
    """Return what writes a note, in place of the one before."""
    return Statement(tables.NOTE, (name, at, json.dumps(said, sort_keys=True)))


def read_note(store: AnnexStore, name: str) -> Note | None:
    """Return a note; ``None`` where there is none."""
    rows = store.ask("SELECT at, said FROM figure_note WHERE name = ?", (name,))
    return Note(rows[0][0], json.loads(rows[0][1])) if rows else None
