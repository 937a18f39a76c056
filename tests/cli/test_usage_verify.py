"""``usage verify`` on the command line: numbers side by side, what is not equal with a remedy, and the exit code."""

import json
from pathlib import Path

import pytest

from reconciler.entitlements import Entitlements
from reconciler.ledger import ledger as opening
from reconciler.sandbox import clock as sandbox_clock
from tests.entitlements.worlds import at

from .support import Shell, dashboard, write
from .test_usage_worker import FILES

TERMS = "email: a@acme.example, subscription: {collection: send_invoice, days_until_due: 30}"
SUBSCRIBED = FILES.replace("name: Acme, plan: pro", f"name: Acme, plan: pro, {TERMS}")
NOW = at("2027-01-10T12:00:00")


@pytest.fixture
def sent(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Let a tenant use 1,234 units in January, sent to the account, at one time for ledger and account."""
    now = shell.now = [NOW]  # type: ignore[attr-defined]
    monkeypatch.setattr(opening, "system_clock", lambda: now[0])
    monkeypatch.setattr(sandbox_clock.time, "time", lambda: now[0] / 10**6)
    write(SUBSCRIBED)
    assert shell.stored("apply", "--auto-approve", "--allow=contracts").code == 0
    with Entitlements.open("billing.d", "sqlite:///usage.db", mode="direct") as runtime:
        assert runtime.consume("acme", meter="calls", units={"calls": 1234})
    now[0] += 3600 * 10**6
    assert shell.stored("usage", "flush").code == 0
    now[0] += 3600 * 10**6
    return shell


def test_equal_numbers_end_with_0(sent: Shell) -> None:
    """What the ledger counted in the running period and Stripe shows is equal; looking changes nothing."""
    before = Path("usage.db").read_bytes()
    done = sent.stored("usage", "verify", "--period", "current")
    assert (done.code, done.out) == (0, "1 meter of tenants compared: 1 equal.\n")
    shown = sent.stored("usage", "verify", "--period", "2027-01", "--all").out.splitlines()
    assert shown[0].split() == ["tenant", "meter", "from", "to", "ledger", "Stripe", "invoiced"]
    assert shown[1].split()[-4:] == ["1,234", "1,234", "-", "equal"]
    done = sent.stored("usage", "verify")
    assert (done.code, done.out) == (0, "0 meters of tenants compared: nothing was used.\n")
    assert Path("usage.db").read_bytes() == before


def test_a_month_from_the_files_to_the_invoice(sent: Shell) -> None:
    """What apply subscribed, a call counted, flush sent and Stripe invoiced is equal: by files and commands alone."""
    sent.now[0] = at("2027-02-10T15:00:00")  # type: ignore[attr-defined]
    done = sent.stored("usage", "verify", "--all")
    assert (done.code, done.out.splitlines()[1].split()[-4:]) == (0, ["1,234", "1,234", "1,234", "equal"])


def test_a_difference_ends_with_1_and_says_what_helps(sent: Shell) -> None:
    """Units somebody else sent are told with their number and a remedy, as text and as JSON; other tenants are not."""
    with dashboard() as sandbox:
        client = sandbox.client()
        payload = {"stripe_customer_id": client.v1.customers.list().data[0].id, "value": "66"}
        client.v1.billing.meter_events.create({"event_name": "acme.meters.calls", "payload": payload})
    done = sent.stored("usage", "verify", "--period", "current")
    assert done.code == 1
    assert "acme calls: Stripe differs (+66): 66 units more at Stripe than were acknowledged\n  = help: See" in done.out
    assert done.out.endswith("1 meter of tenants compared: 1 differs.\n")
    found = json.loads(sent.stored("usage", "verify", "--period", "current", "--format", "json").out)
    assert [(row["verdict"], row["ledger"], row["stripe"], row["invoiced"]) for row in found] == [
        ("differs", 1234, 1300, None)
    ]
    assert found[0]["reasons"][0]["why"] == "Stripe differs"
    other = sent.stored("usage", "verify", "--period", "current", "--tenant", "zoo")
    assert (other.code, "nothing was used" in other.out) == (0, True)


def test_a_tenant_without_a_customer_ends_with_1(sent: Shell) -> None:
    """A tenant that no customer stands for differs, and unknown numbers are question marks."""
    Path("none.json").write_text("{}")
    done = sent.stored("usage", "verify", "--period", "current", "--customers", "none.json")
    assert done.code == 1
    assert "?" in done.out
    assert "acme calls: unknown customer: no customer is marked as acme" in done.out


def test_a_period_that_is_none_is_refused(shell: Shell) -> None:
    """Anything but the words and a month is a mistake of the command line."""
    write(FILES)
    done = shell("usage", "verify", "--period", "last", "--sandbox")
    assert (done.code, "E1034" in done.err) == (64, True)
