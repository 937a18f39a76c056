"""Numbers that were promised, held to the last unit; the clock is set by hand unless a test says otherwise."""

import json

import pytest

from reconciler.provider.gateway import Gateway
from reconciler.provider.payments.availability import Availability
from tests.cli.support import Shell
from tests.entitlements.worlds import HandClock, at, runtime
from tests.provider.payments_world import Market

LIMITED = "plans: {p: {name: P, prices: {m: {amount: 1, interval: month}}, limits: [LIMIT]}}\n"
LIMITED += "tenants: {acme: {name: A, plan: p}}\n"


def resets(limit: str, now: str, zone: str = "UTC") -> int | None:
    """Return when a limit that was just met begins anew."""
    text = f"settings: {{namespace: acme, default_meter: calls, timezone: {zone}}}\n" + LIMITED.replace("LIMIT", limit)
    with runtime(text, HandClock(now)) as ent:
        return ent.consume("acme", "any").resets_at


def test_number_probe_of_5_seconds_kept_for_30(market: Market) -> None:
    """Nobody is asked again 29.9 seconds after an answer, somebody is at 30; a probe that hangs ends after 5."""
    time_of = market.time
    asked = Availability(Gateway(market.connection()), clock=time_of.clock, within=time_of.within)
    for seconds, probes in ((0, 1), (29.9, 1), (0.1, 2)):
        time_of.now += seconds
        assert asked.look().available
        assert len(time_of.given) == probes
    time_of.now += 30
    time_of.hangs = lambda: True
    began = time_of.now
    assert not asked.look().available
    assert time_of.now - began == 5


@pytest.mark.timeout(300)
def test_number_setup_in_five_minutes(shell: Shell) -> None:
    """From init over validate, plan and apply to the first call that is decided: five minutes at most."""
    for command in (("init", "--template", "credits"), ("validate",)):
        assert shell(*command).code == 0
    assert shell.stored("plan").code == 0
    assert shell.stored("apply", "--auto-approve").code == 0
    assert json.loads(shell("check", "somebody", "any", "--format", "json").out)["reason"] == "unknown_tenant"


@pytest.mark.parametrize(
    ("limit", "now", "zone", "until"),
    [
        ("{of: '*', max: 5, per: hour}", "2027-01-01T10:30:00", "UTC", "2027-01-01T11:00:00"),
        ("{of: '*', max: 10, per: day}", "2027-03-28T00:30:00", "Europe/Berlin", "2027-03-28T22:00:00"),
        ("{of: '*', max: 100, per: month}", "2027-01-15T00:00:00", "UTC", "2027-02-01T00:00:00"),
        ("{of: '*', max: 100, per: month, resets_on: 31}", "2027-02-01T00:00:00", "UTC", "2027-02-28T00:00:00"),
        ("{of: '*', max: 100, per: month, resets_on: 29}", "2028-02-01T00:00:00", "UTC", "2028-02-29T00:00:00"),
        ("{of: '*', max: 100, per: month}", "2027-03-15T00:00:00", "Europe/Berlin", "2027-03-31T22:00:00"),
    ],
)
def test_number_resets_by_hour_day_and_month(limit: str, now: str, zone: str, until: str) -> None:
    """Hours, days and months begin where the calendar of the zone says, on day 29 to 31 and when clocks change too."""
    assert resets(limit, now, zone) == at(until)


def test_number_second_apply_of_nothing(shell: Shell) -> None:
    """The second apply of the same files plans and writes nothing at all."""
    shell("init", "--template", "subscription")
    shell.stored("apply", "--auto-approve")
    done = shell.stored("apply", "--auto-approve", "--format", "jsonl")
    (summary,) = [event for event in map(json.loads, done.out.splitlines()) if event["type"] == "change_summary"]
    assert (summary["total"], summary["applied"], summary["exit_code"]) == (0, 0, 0)
