"""``reconciler report``: months, forms, and figures that are added up when they are asked for."""

import csv
import io
import json

import pytest

from .support import Shell, write


@pytest.fixture
def sold(shell: Shell) -> Shell:
    """Let a tenant whose name is a formula make a call."""
    write(
        "settings: {namespace: acme, currency: usd, default_meter: calls, default_plan: c}\n"
        "meters: {calls: {name: Calls}}\nplans: {c: {name: C, per_call: {default: 0.25}}}\n"
    )
    assert shell("consume", "=1+1", "search", "--key", "one").code == 0
    return shell


def test_report_on_the_command_line(sold: Shell) -> None:
    """Without figures a report says how to get them; then it tells them as text, JSON, and CSV without formulas."""
    missing = sold("report", "usage")
    assert (missing.code, "E1134" in missing.err) == (1, True)
    done = sold("report", "usage", "--refresh", "--format", "csv")
    assert done.code == 0, done.err
    found = list(csv.DictReader(io.StringIO(done.out)))
    told = [(row["tenant"], row["tool"], row["calls"], row["charged"]) for row in found]
    assert told[0] == ("'=1+1", "search", "1", "0.25")
    assert json.loads(sold("report", "tools", "--format", "json").out)["rows"][0]["calls"] == 1
    text = sold("report", "revenue").out
    assert "tool  search" in text
    assert "unknown: no invoices were read yet" in sold("report", "revenue").err
    assert sold("report", "usage", "--period", "1999").out.endswith("nothing\n")


@pytest.mark.parametrize("period", ["2027-13", "27-01", "2027-02..2027-01", "..", "2027-01..", "1969", "x"])
def test_a_period_that_is_none_is_refused(sold: Shell, period: str) -> None:
    """What is no month, no year and no stretch of them is refused with how to write it."""
    sold("report", "usage", "--refresh")
    done = sold("report", "usage", "--period", period)
    assert (done.code, "E1034" in done.err) == (64, True)
    assert sold("report", "usage", "--period", "2026-11..2027-01").code == 0


def test_refresh_reads_the_account(shell: Shell) -> None:
    """With an account, refreshing reads its invoices too: none is then a figure, and nothing is unknown."""
    shell.apply(
        "settings: {namespace: acme, currency: usd}\nplans: {p: {name: P, prices: {m: {amount: 5, interval: month}}}}\n"
    )
    assert shell.stored("report", "revenue", "--refresh").code == 0
    found = json.loads(shell("report", "revenue", "--format", "json").out)
    assert (found["rows"], found["unknown"]) == ([], [])
