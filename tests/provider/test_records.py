"""The history of applies: a line for each, appended and read back, whatever else stands in the file."""

import json
from datetime import UTC, datetime
from pathlib import Path

from reconciler.provider.records import append_record, read_records, record_of
from tests.loop.world import World

PLANS = {"plans": {"pro": {"name": "Pro", "prices": {"monthly": {"amount": "49.99", "interval": "month"}}}}}


def test_an_apply_is_one_line(tmp_path: Path) -> None:
    """A line says what was applied where, how it ended and by whom; the latest one is read first."""
    plan, file = World().plan(PLANS), tmp_path / "history.jsonl"
    for number, ending in enumerate(("partly", "complete")):
        append_record(file, record_of(plan, ending, number, datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC), "somebody"))
    assert len(file.read_text().splitlines()) == 2
    found, unread = read_records(file, 10)
    assert ([each["ending"] for each in found], unread) == (["complete", "partly"], 0)
    latest = found[0]
    assert (latest["at"], latest["by"], latest["writes"]) == ("2027-01-02T03:04:05+00:00", "somebody", 1)
    assert (latest["namespace"], latest["changes"], latest["plan"]) == ("acme", {"create": 2}, plan.id)


def test_what_is_no_line_is_counted(tmp_path: Path) -> None:
    """Lines that cannot be read are left out and counted; a file that is not there has none."""
    file = tmp_path / "history.jsonl"
    assert read_records(file, 10) == ([], 0)
    file.write_text('{"ending": "complete"}\nnot json\n[1]\n{"changes": 7}\n{"ending": "half')
    assert read_records(file, 10) == ([{"ending": "complete"}], 4)
    assert read_records(file, 2) == ([], 2)


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    """Of a file that has grown large the latest lines are read, and none that was cut."""
    file = tmp_path / "history.jsonl"
    line = json.dumps({"ending": "complete", "by": "x" * 1000}) + "\n"
    file.write_text(line * 6000)
    found, unread = read_records(file, 10_000)
    assert unread == 0
    assert 3000 < len(found) < 6000
