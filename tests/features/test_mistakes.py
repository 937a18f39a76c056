"""Mistakes of the projects this one succeeds, in the files and at Stripe: each test fails where one comes back."""

import hashlib
import re
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.compile import compile_catalog
from reconciler.money import to_minor
from reconciler.provider.executor import Ending
from reconciler.sandbox import Fault
from tests.cli.support import ROOT, SIMPLE, Shell, dashboard, write
from tests.entitlements.worlds import HandClock

from .support import METERS, PRO, applied, keys, price

TESTS = Path(__file__).parents[1]
KEY = "sk_test_" + "x" * 24


@pytest.mark.parametrize(
    ("amount", "minor"), [("0.005", "0.5"), ("0.008", "0.8"), ("0.001", "0.1"), ("0.0008", "0.08")]
)
def test_mistake_b1_a_price_below_a_cent(amount: str, minor: str, shell: Shell) -> None:
    """A price below a cent is neither nothing nor a thousandfold: it is kept to the last digit and shown as it is."""
    usage = {"calls": {"overage": {"unit_amount": amount}}}
    found = price(applied(plans={"pro": {"name": "Pro", "usage": usage}}), "acme.plans.pro.usage.calls")
    assert (str(found.unit_amount_decimal), found.unit_amount) == (minor, None)
    write(
        f"settings: {{namespace: acme}}\nmeters: {{calls: {{name: C}}}}\nplans: {{pro: {{name: P, usage: {usage}}}}}\n"
    )
    assert f"{amount} usd ({minor})" in shell("plan", "--sandbox").out


@pytest.mark.parametrize("secret", [KEY, "rk_live_" + "y" * 24, "whsec_" + "z" * 32])
def test_mistake_b2_a_key_in_a_file(secret: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key stands in a file or an output, a missing one is an error; the same files without it are fine."""
    write(SIMPLE.replace("name: Pro", f'name: "{secret}"'))
    done = shell("validate")
    assert (done.code, secret in done.out + done.err) == (3, False)
    write(SIMPLE)
    assert shell("validate").code == 0
    assert shell("plan").code == 64
    monkeypatch.setenv("STRIPE_API_KEY", "pk_test_" + "x" * 24)
    done = shell("plan")
    assert (done.code, "x" * 24 in done.out + done.err) == (64, False)


def test_mistake_b3_success_for_what_did_not_happen(shell: Shell) -> None:
    """An apply whose write was refused is no success; one that changes nothing says so; one that works is complete."""
    world = applied()
    plan = world.plan({"meters": METERS, "plans": {"pro": PRO}})
    world.sandbox.faults.add(Fault(method="POST", path="/v1/prices", kind="forbidden"))
    assert world.run(plan).ending is not Ending.COMPLETE
    assert keys(world) == set()
    shell.apply(SIMPLE)
    assert "No changes." in shell.stored("apply").out
    with dashboard() as account:
        assert len(account.client().v1.prices.list().data) == 1


def test_mistake_b8_a_run_that_confirms_itself(shell: Shell) -> None:
    """Without an answer nothing is written; a broken run is taken up by the next without a duplicate."""
    write(SIMPLE)
    assert shell.stored("apply", "--no-input").code != 0
    with dashboard() as account:
        assert account.client().v1.prices.list().data == []
    world = applied()
    plan = world.plan({"meters": METERS, "plans": {"pro": PRO}})
    world.sandbox.faults.add(Fault(method="POST", path="/v1/prices", kind="forbidden", nth=1))
    world.run(plan)
    for _ in range(2):
        world.apply({"meters": METERS, "plans": {"pro": PRO}})
    assert [each.name for each in world.dashboard.v1.products.list({"active": True})] == ["Pro"]
    assert len(world.prices()) == 1


def test_mistake_b9_tests_of_constants() -> None:
    """No test asserts a constant; this one finds one that does."""
    constant = re.compile(r"^\s*assert (True|not False|\d+|\"[^\"]*\"|'[^']*')\s*(,.*|#.*)?$", re.MULTILINE)
    assert constant.search("    assert " + "True")
    assert [path for path in TESTS.rglob("*.py") if constant.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("template", ["per-call", "subscription", "credits", "freemium", "usage-based", "reserved"])
def test_mistake_b13_examples_that_do_not_start(template: str, shell: Shell) -> None:
    """Every template, once written, serves a call to a tenant that may make it, and refuses a stranger."""
    shell("init", "--template", template)
    catalog = load_catalog(Path("billing.d"))
    with Entitlements.open(compile_catalog(catalog), "sqlite://", mode="direct", clock=HandClock()) as ent:
        served = []
        for plan in catalog.file.plans:
            ent.set_subscription(f"on-{plan}", status="active", plan=plan)
            ent.grant(f"on-{plan}", 1000, key="g")
            served.append(any(ent.consume(f"on-{plan}", tool) for tool in ("any", "basic-search", "simple-lookup")))
        for tenant, own in catalog.file.tenants.items():
            meter = next(iter(own.usage))
            served.append(bool(ent.consume(tenant, meter=meter)))
        assert served
        assert all(served)
        assert ent.consume("stranger", "any").reason is Reason.UNKNOWN_TENANT


def test_mistake_b13_the_example_catalogue_serves_a_call() -> None:
    """The catalogue in this repository decides calls, and the key whose hash it shows names its tenant."""
    policy = compile_catalog(load_catalog(ROOT / "billing.d"))
    with Entitlements.open(policy, "sqlite://", mode="direct", clock=HandClock()) as ent:
        assert ent.tenant_of_key("bakery") == ("bakery", "shop")
        assert ent.consume("bank", meter="vex")
        assert hashlib.sha256(b"bakery").hexdigest() not in str(ent.tenant_of_key("bakery"))


def test_mistake_b25_lists_that_end_at_the_first_page() -> None:
    """With more products of others than a page holds before ours, ours are found: a second apply writes nothing."""
    world = applied(plans={"pro": PRO})
    for number in range(101):
        world.dashboard.v1.products.create({"name": f"Other {number}"})
    world.sandbox.requests.clear()
    world.apply({"meters": METERS, "plans": {"pro": PRO}})
    assert world.writes() == []


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("19.99", "usd", 1999), ("0.29", "usd", 29), ("1.15", "eur", 115), ("29", "jpy", 29), ("0.290", "kwd", 290)],
)
def test_mistake_b26_a_cent_lost_in_a_float(amount: str, currency: str, minor: int) -> None:
    """Amounts reach Stripe to the last minor unit, in currencies of two, no and three places."""
    assert to_minor(Decimal(amount), currency) == minor
    plan = {"name": "P", "currency": currency, "prices": {"m": {"amount": amount, "interval": "month"}}}
    assert price(applied(plans={"p": plan}), "acme.plans.p.prices.m").unit_amount == minor
