"""Tenants and contracts: what a customer has of its own."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path

from reconciler.config.catalog import load_catalog
from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.compile import compile_catalog
from tests.cli.support import Shell
from tests.entitlements.worlds import HandClock, runtime

from .support import METERS, PRO, applied, decided

RESERVED = {"vex_reserved": 3, "vex_overage_tiers": [{"threshold": 2, "price_per_unit": "0.005"}]}


def test_row_0_2_a_reserved_json_becomes_files(shell: Shell) -> None:
    """A reserved.json is turned into valid files once, and the runtime decides by its reserved units and prices."""
    Path("reserved.json").write_text(json.dumps({"acme": RESERVED}))
    assert shell("import", "--from", "reserved.json", "--out", "billing.d").code == 0
    assert shell("validate").code == 0
    policy = compile_catalog(load_catalog(Path("billing.d")))
    with Entitlements.open(policy, "sqlite://", mode="direct", clock=HandClock()) as ent:
        found = [ent.consume("acme", meter="vex").price for _ in range(4)]
        assert found == [0, 0, 0, Decimal("0.005")]


def test_row_0_3_monthly_reserved_capacity_per_tenant() -> None:
    """Reserved units of two meters are counted by the month, each for itself, and begin anew with the next one."""
    usage = {meter: {"included": number, "overage": "deny"} for meter, number in (("vex", 2), ("fu", 1))}
    clock = HandClock("2027-01-31T23:59:59")
    tenants = {"acme": {"name": "Acme", "usage": usage}, "other": {"name": "Other", "usage": usage}}
    with decided(clock=clock, tenants=tenants) as ent:
        assert [bool(ent.consume("acme", meter="vex")) for _ in range(3)] == [True, True, False]
        assert [bool(ent.consume("acme", meter="fu")) for _ in range(2)] == [True, False]
        assert ent.consume("other", meter="vex")
        clock.set("2027-02-01T00:00:00")
        assert ent.consume("acme", meter="vex")


def test_row_0_18_api_keys_of_tenants() -> None:
    """A key names its tenant, by its hash alone; another tenant's key names that one, and no key none."""
    hashes = {tenant: hashlib.sha256(f"key of {tenant}".encode()).hexdigest() for tenant in ("acme", "other")}
    text = "plans: {p: {name: P, credits: {default: 1}}}\ntenants:\n"
    for tenant, digest in hashes.items():
        text += f'  {tenant}: {{name: T, plan: p, api_keys: [{{id: ci, sha256: "{digest}"}}]}}\n'
    with runtime(text) as ent:
        assert [ent.tenant_of_key(f"key of {tenant}") for tenant in hashes] == [("acme", "ci"), ("other", "ci")]
        assert ent.tenant_of_key("key of nobody") is None
        assert "key of" not in ent.policy.dump()


def test_row_0_24_a_hard_monthly_limit_of_units() -> None:
    """With 49,999 of 50,000 units used, two more are refused as a whole and one more is allowed."""
    plan = {**PRO, "limits": [{"of": "fu", "max": 50000, "per": "month"}]}
    with decided(plans={"pro": plan}, tenants={"acme": {"name": "Acme", "plan": "pro"}}) as ent:
        assert ent.consume("acme", meter="fu", quantity=49_999)
        refused = ent.consume("acme", meter="fu", quantity=2)
        assert (refused.reason, refused.remaining, refused.limit) == (Reason.QUOTA_EXCEEDED, 1, 50000)
        assert ent.consume("acme", meter="fu", quantity=1)


def test_row_1_12_tenants_become_customers() -> None:
    """A tenant is one customer, known by its mark and never by its e-mail; applying again makes no second one."""
    sections = {"plans": {"pro": PRO}, "tenants": {"acme": {"name": "Acme", "email": "a@a.example", "plan": "pro"}}}
    world = applied(plans={"pro": PRO})
    stranger = world.dashboard.v1.customers.create({"name": "Stranger", "email": "a@a.example"})
    for _ in range(2):
        world.apply({"meters": METERS, **sections})
    found = {each.id: each for each in world.dashboard.v1.customers.list({"email": "a@a.example"})}
    assert found.pop(stranger.id).name == "Stranger"
    (customer,) = found.values()
    assert (customer.name, customer.metadata["address"]) == ("Acme", "tenants.acme")
