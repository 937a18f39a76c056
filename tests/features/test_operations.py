"""Reports, exports and operations: what was used and what it cost, and what keeps a service running."""

import csv
import io
import json
import sqlite3
import threading
from pathlib import Path

import pytest
import stripe

from reconciler.diagnostics.redact import redact
from reconciler.entitlements.retention import archive_old
from reconciler.ledger.compaction import proved
from reconciler.ledger.verify import verify
from reconciler.resources.version import API_VERSION
from tests.cli.support import SIMPLE, Shell, write
from tests.entitlements.audit import audit
from tests.entitlements.worlds import runtime
from tests.ledger.test_compaction import Books

from .support import PRO, applied, price

KEY = "sk_test_" + "x" * 24
FILES = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, fu: {name: Fallback units}}
tools: {exchange: {counts: {calls: 1, fu: {from: result.units}}}}
plans:
  pro:
    name: Pro
    usage:
      calls: {included: 2, overage: {unit_amount: 0.50}}
      fu: {included: 100, overage: {unit_amount: 0.001}}
tenants: {acme: {name: Acme, plan: pro}, other: {name: Other, plan: pro}}
"""


@pytest.fixture
def used(shell: Shell) -> Shell:
    """Let a tenant make four calls: two within what is included, two beyond."""
    write(FILES)
    for number in range(4):
        assert shell("consume", "acme", "exchange", "--units", "fu=60", "--key", f"k{number}").code == 0
    return shell


@pytest.mark.parametrize("prefix", ["sk_test_", "rk_test_", "whsec_"])
def test_row_0_1_no_secret_in_a_file(shell: Shell, prefix: str) -> None:
    """A key or signing secret in a file is refused wherever it stands, and not shown; its mere prefix is a word."""
    write(SIMPLE + f"# a key begins with {prefix}\n")
    assert shell("validate").code == 0
    write(SIMPLE + f"# env: {prefix}{'x' * 24}\n")
    refused = shell("validate")
    assert (refused.code, "x" * 24 in refused.out + refused.err) == (3, False)


def test_row_0_15_the_whole_loop_end_to_end(shell: Shell) -> None:
    """Setup, a second plan, a changed price and drift go from the files to Stripe and back, against the sandbox."""
    shell.apply(SIMPLE)
    assert shell.stored("doctor").code == 0
    shell.apply(SIMPLE.replace("49.99", "59.99"))
    assert "No changes" in shell.stored("plan").out
    assert shell.stored("drift", "--detailed-exitcode").code == 0


def test_row_0_17_usage_by_meter_and_tool(used: Shell) -> None:
    """A report has what was used by tool and meter, within and beyond what is included, and what it comes to."""
    (acme,) = json.loads(used("usage", "report", "acme", "--format", "json").out)
    found = {row["meter"]: (row["units"], row["within"], row["beyond"]) for row in acme["meters"] if row["meter"]}
    assert found == {"calls": (4, 2, 2), "fu": (240, 100, 140)}
    assert {row["tool"]: row["calls"] for row in acme["rows"] if row["calls"]} == {"exchange": 4}


def test_row_0_25_the_monthly_report_is_that_of_the_rating(used: Shell) -> None:
    """The month's money is what the calls were told they cost: two at half a unit, and 140 at a thousandth."""
    (acme,) = json.loads(used("usage", "report", "acme", "--format", "json").out)
    assert {row["meter"]: row["money"] for row in acme["meters"] if row["meter"]} == {"calls": "1", "fu": "0.14"}


def test_row_1_25_an_export_of_usage(used: Shell) -> None:
    """Every call is a row for each of its meters, in CSV and JSON; no other tenant's rows are among them."""
    rows = list(csv.DictReader(io.StringIO(used("usage", "export", "acme").out)))
    assert sum(int(row["units"]) for row in rows if row["meter"] == "fu") == 240
    assert len(json.loads(used("usage", "export", "acme", "--format", "json").out)) == len(rows) == 8
    assert list(csv.DictReader(io.StringIO(used("usage", "export", "other").out))) == []


def test_row_2_12_an_export_of_a_period(used: Shell) -> None:
    """A period's rows are exported, half open, for whoever calls it by a timetable."""
    everything = used("usage", "export", "--from", "2020-01-01", "--to", "2120-01-01", "--format", "jsonl").out
    assert len(everything.splitlines()) == 8
    assert used("usage", "export", "--from", "2020-01-01", "--to", "2020-01-02", "--format", "jsonl").out == ""


def test_row_2_12_retention(tmp_path: Path) -> None:
    """Calls older than 90 days leave for an archive; balances stay, and ledger and archive prove every one of them."""
    books = Books("sqlite://", tmp_path)
    books.live(days=125)
    policy, store, before = books.runtime.policy, books.store, books.runtime.balance("acme")
    parts = list(archive_old(store, policy, "acme", 90, books.archive))
    assert sum(part.archived for part in parts) > 10
    assert books.runtime.balance("acme").lots == before.lots
    assert (verify(store), proved(store, "acme", books.archive)) == ([], [])
    calls = [entry for entry in store.entries("acme", 0, 10_000) if entry.kind == "consume"]
    assert min(entry.at for entry in calls) <= books.clock.now - 90 * 86_400_000_000


def test_row_0_19_an_audit_log_that_proves_itself(used: Shell) -> None:
    """The ledger's entries are verified one by one, and an altered one is found."""
    assert used("ledger", "verify").code == 0
    raw = Path("usage.db").read_bytes()
    assert raw.count(b"exchange") > 4
    for path in Path().glob("usage.db*"):
        path.write_bytes(path.read_bytes().replace(b'"exchange"', b'"exchangf"'))
    assert used("ledger", "verify").code != 0


def test_row_0_22_prices_in_several_currencies() -> None:
    """One price has its own amount in each currency, in that currency's minor units."""
    monthly = {"amount": "49.99", "interval": "month", "currency_options": {"eur": "45.99", "jpy": "7000"}}
    found = price(applied(plans={"pro": {**PRO, "prices": {"monthly": monthly}}}), "acme.plans.pro.prices.monthly")
    options = {code: option["unit_amount"] for code, option in found.to_dict()["currency_options"].items()}
    assert options == {"usd": 4999, "eur": 4599, "jpy": 7000}


def test_row_1_21_secrets_come_from_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is read from the environment and refused in a file; the version of the API is one that is fixed in code."""
    write(SIMPLE + "# " + KEY.replace("x", "y") + "\n")
    assert shell("validate").code == 3
    write(SIMPLE)
    assert shell("plan").code == 64
    monkeypatch.setenv("STRIPE_API_KEY", KEY.replace("test", "live"))
    assert shell("plan").code == 5
    assert stripe.api_version == API_VERSION


def test_row_1_24_the_ledger_is_a_file_that_grows_with_its_version(tmp_path: Path) -> None:
    """A ledger is made where there is none, opened again, and copied while it is in use by SQLite's own means."""
    text = "plans: {p: {name: P, credits: {default: 1}}}\ntenants: {acme: {name: A, plan: p}}\n"
    with runtime(text, url=f"sqlite:///{tmp_path / 'usage.db'}") as ent:
        ent.grant("acme", 5, key="g")
        with sqlite3.connect(tmp_path / "usage.db") as source, sqlite3.connect(tmp_path / "copy.db") as copy:
            source.backup(copy)
        ent.grant("acme", 5, key="later")
    with runtime(text, url=f"sqlite:///{tmp_path / 'copy.db'}") as ent:
        assert audit(ent).credits == 5_000_000


def test_row_1_31_a_doctor(shell: Shell) -> None:
    """The doctor finds a healthy installation healthy, and names the check that fails, with what to do."""
    shell("init")
    shell.stored("apply", "--auto-approve")
    assert shell.stored("doctor").code == 0
    done = shell("doctor", "--format", "json")
    failed = {check["name"]: check["remedy"] for check in json.loads(done.out)["checks"] if check["verdict"] == "fail"}
    assert (done.code, list(failed), "STRIPE_API_KEY" in failed["key"]) == (1, ["key"], True)


def test_row_1_34_long_runs_are_marked(request: pytest.FixtureRequest) -> None:
    """Long randomised runs have a marker of their own and no plain run has them."""
    assert any(line.startswith("soak:") for line in request.config.getini("markers"))
    assert not any(item.get_closest_marker("soak") for item in request.session.items) or "soak" in (
        request.config.option.markexpr.replace("not soak", "")
    )


def test_row_2_13_a_clean_end(tmp_path: Path) -> None:
    """A runtime that is closed has written down everything it answered, what waits for Stripe too."""
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with runtime(FILES, url=url) as ent:
        assert all(ent.consume("acme", meter="calls", key=f"k{number}") for number in range(5))
    with runtime(FILES, url=url) as ent:
        assert audit(ent).credits == 0
        assert ent.balance("acme").allowances[0].used == 5


def test_row_3_8_many_instances_share_a_ledger(tmp_path: Path) -> None:
    """Two instances on one ledger allow together what one alone would: ten credits are ten calls."""
    text = "plans: {p: {name: P, credits: {default: 1}}}\ntenants: {acme: {name: A, plan: p}}\n"
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    allowed: list[bool] = []
    with runtime(text, url=url) as one, runtime(text, url=url) as two:
        one.grant("acme", 10, key="g")
        work = [
            lambda ent=ent: allowed.extend(bool(ent.consume("acme", "any")) for _ in range(8)) for ent in (one, two)
        ]
        threads = [threading.Thread(target=each) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(allowed), sum(allowed), audit(one).credits) == (16, 10, 0)


def test_row_3_9_tenants_are_apart() -> None:
    """What one tenant has and uses is no other's."""
    with runtime(
        "plans: {p: {name: P, credits: {default: 1}}}\ntenants: {a: {name: A, plan: p}, b: {name: B, plan: p}}\n"
    ) as ent:
        ent.grant("a", 1, key="g")
        assert [bool(ent.consume(tenant, "any")) for tenant in ("b", "a")] == [False, True]


def test_row_3_10_a_missing_key_is_told_and_no_key_is_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key both ways out are said; a key that is refused is shown by no more than its kind."""
    write(SIMPLE)
    done = shell("plan")
    assert (done.code, "STRIPE_API_KEY" in done.err, "--sandbox" in done.err) == (64, True, True)
    assert "x" * 24 not in redact(f"the key {KEY} was refused")
    monkeypatch.setenv("STRIPE_API_KEY", KEY.replace("test", "live"))
    done = shell("plan")
    assert (done.code, "x" * 24 in done.out + done.err) == (5, False)


def test_row_4_1_a_live_key_needs_a_word(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live key is refused unless the environment that is named says live; a test key is not."""
    write(SIMPLE + "environments: {production: {account: acct_ExampleAcme, mode: live}}\n")
    monkeypatch.setenv("STRIPE_API_KEY", KEY.replace("test", "live"))
    assert shell("plan").code == 5
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    assert shell("plan", "--env", "production").code == 5
    monkeypatch.delenv("STRIPE_API_KEY")
    assert shell("plan", "--sandbox").code == 0


def test_row_4_3_a_preflight_before_the_first_write() -> None:
    """An account that moved since the plan was made is found before anything is written."""
    world = applied(plans={"pro": PRO})
    plan = world.plan({"plans": {"pro": {**PRO, "name": "Pro 2"}}})
    (product,) = world.dashboard.v1.products.list({"active": True}).data
    world.dashboard.v1.products.update(product.id, {"name": "Edited"})
    world.sandbox.requests.clear()
    with pytest.raises(Exception, match="plan"):
        world.run(plan)
    assert world.writes() == []
