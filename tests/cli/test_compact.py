"""reconciler ledger compact: old calls move into an archive, and every report is whole or refused."""

import json
from pathlib import Path

import pytest

from reconciler.entitlements.told import told
from reconciler.ledger import ledger as opening
from tests.entitlements.worlds import at

from .support import Shell, write

DAY = 86_400_000_000
FILES = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}}
plans:
  pro:
    name: Pro
    prices: {monthly: {amount: 49, interval: month}}
    usage: {calls: {included: 3, overage: {unit_amount: 0.25}}}
tenants: {acme: {name: Acme, plan: pro}, bakery: {name: Bakery, plan: pro}}
"""
ARCHIVE = ("--archive", "archive")


class Time:
    """The machine's time, set by hand."""

    now = at("2027-01-20T12:00:00")

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def used(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> tuple[Shell, Time]:
    """Write the files, and let both tenants call in January, February and April."""
    clock = Time()
    monkeypatch.setattr(opening, "system_clock", clock)
    write(FILES)
    for month in (1, 2, 4):
        clock.now = at(f"2027-0{month}-20T12:00:00")
        for tenant in ("acme", "bakery"):
            for number in range(4):
                assert shell("consume", tenant, "any", "--key", f"{month}-{number}").code == 0
    return shell, clock


def _kept(shell: Shell, *period: str) -> int:
    return len(json.loads(shell("usage", "export", "acme", "--format", "json", *period).out))


def test_old_calls_are_archived_and_proved(used: tuple[Shell, Time]) -> None:
    """What lies before the period the bound lies in leaves; the books and the archive prove themselves."""
    shell, _ = used
    assert shell("ledger", "compact", "acme", "--older-than", "50", *ARCHIVE).out == "8 entries archived.\n"
    assert shell("ledger", "compact", "acme", "--older-than", "50", *ARCHIVE).out == "0 entries archived.\n"
    assert shell("ledger", "verify", *ARCHIVE).out == "OK: every entry, book and export adds up.\n"
    assert shell("ledger", "compact", "--older-than", "50", *ARCHIVE).out == "8 entries archived.\n"
    assert sum(len(path.read_bytes().splitlines()) for path in Path("archive").rglob("*.jsonl")) == 16
    next(Path("archive").rglob("*.jsonl")).write_text("")
    done = shell("ledger", "verify", *ARCHIVE)
    assert (done.code, "ends at entry 0" in done.out) == (1, True)


def test_a_report_is_whole_or_refused(used: tuple[Shell, Time]) -> None:
    """Months that are still there are reported as before; of archived ones, or of all, no smaller number is told."""
    shell, _ = used
    april = ("--from", "2027-04-01", "--to", "2027-05-01")
    before = shell("usage", "report", "acme", "--month", "2027-04").out
    assert (_kept(shell), _kept(shell, *april)) == (12, 4)
    assert shell("ledger", "compact", "--older-than", "50", *ARCHIVE).code == 0
    assert shell("usage", "report", "acme", "--month", "2027-04").out == before
    assert _kept(shell, *april) == 4
    for words in (
        ("usage", "report", "acme", "--month", "2027-02"),
        ("usage", "export", "acme"),
        ("usage", "export", "acme", "--from", "2027-02-01", "--to", "2027-05-01"),
        ("invoice", "acme", "--period", "2027-02"),
    ):
        done = shell(*words)
        assert (done.code, "E1136" in done.err) == (1, True), (words, done)


def test_a_running_period_stays_whole(used: tuple[Shell, Time]) -> None:
    """A bound in the middle of a month archives nothing of that month."""
    shell, clock = used
    clock.now = at("2027-04-20T12:00:00")
    assert shell("ledger", "compact", "acme", "--older-than", "60", *ARCHIVE).out == "4 entries archived.\n"
    assert _kept(shell, "--from", "2027-02-01", "--to", "2027-05-01") == 8


def test_calls_stay_for_a_while(used: tuple[Shell, Time]) -> None:
    """Fewer than 40 days are refused: keys protect calls for that long, and Stripe takes units of 35 days."""
    shell, _ = used
    assert shell("ledger", "compact", "--older-than", "39", *ARCHIVE).code == 64
    assert not Path("archive").exists()
    assert _kept(shell) == 12


def test_a_checkpoint_is_told(used: tuple[Shell, Time]) -> None:
    """Whoever reads the entries learns that calls were archived, and how many."""
    shell, _ = used
    shell("ledger", "compact", "acme", "--older-than", "50", *ARCHIVE)
    with opening.open_ledger(f"sqlite:///{Path('usage.db').absolute()}", "read") as books:
        entries = books.store.entries("acme")
    assert [told(entry).text for entry in entries if entry.kind == "checkpoint"] == [
        "Calls up to entry 8 were archived: 8 entries in all."
    ]
