"""What each policy of a change comes to: the figures of ``docs/contracts.md``, billed by the sandbox after an apply."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from .world import World

DOCS = Path(__file__).parents[2] / "docs" / "contracts.md"
HALF, FEBRUARY = datetime(2027, 1, 16, 12, tzinfo=UTC), datetime(2027, 2, 1, 2, tzinfo=UTC)
MARCH = datetime(2027, 3, 1, 2, tzinfo=UTC)
Change = Callable[[dict[str, Any], str], None]


def files() -> dict[str, Any]:
    """Return a plan at 40.00, another at 50.00, and a tenant of the first that is sent its invoices."""
    return {
        "plans": {
            "pro": {"name": "Pro", "prices": {"monthly": {"amount": "40", "interval": "month"}}},
            "team": {"name": "Team", "prices": {"monthly": {"amount": "50", "interval": "month"}}},
        },
        "tenants": {
            "acme": {
                "name": "Acme",
                "email": "billing@acme.example",
                "plan": "pro",
                "subscription": {"collection": "send_invoice", "days_until_due": 30},
            }
        },
    }


def dearer(sections: dict[str, Any], policy: str) -> None:
    """Raise the price that the tenant pays."""
    sections["plans"]["pro"]["prices"]["monthly"] |= {"amount": "50", "on_change": policy}


def another_plan(sections: dict[str, Any], policy: str) -> None:
    """Give the tenant the dearer plan."""
    sections["tenants"]["acme"]["plan"] = "team"
    sections["tenants"]["acme"]["subscription"]["on_change"] = policy


def billed(change: Change, policy: str) -> list[str]:
    """Change the files in the middle of January; return what the invoices after it come to, in major units."""
    world, sections = World(), files()
    world.apply(sections)
    world.clock.now = int(HALF.timestamp())
    change(sections, policy)
    world.apply(sections)
    totals = []
    for time in (FEBRUARY, MARCH):
        world.clock.now = int(time.timestamp())
        found = world.dashboard.v1.invoices.list().data
        totals.append(found[0].total)
    assert len(found) == 3
    return [f"{total // 100}.{total % 100:02}" for total in totals]


def told(heading: str) -> dict[str, list[str]]:
    """Read a table of the docs below its heading: the last two cells by the policy in the first."""
    section = DOCS.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [re.findall(r"[^|]+", line) for line in section.splitlines() if line.startswith("| `")]
    return {row[0].split("`")[1]: [cell.strip() for cell in row[-2:]] for row in rows[1:]}


@pytest.mark.parametrize(
    ("heading", "change"), [("When a price changes", dearer), ("When a tenant changes", another_plan)]
)
def test_the_docs_tell_what_is_billed(heading: str, change: Change) -> None:
    """The invoices of February and March after a change in the middle of January are those of the docs' tables."""
    policies = told(heading)
    assert len(policies) == (4 if change is dearer else 3)
    assert policies == {policy: billed(change, policy) for policy in policies}
