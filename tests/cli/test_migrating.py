"""Subscribers who move to a new price, on the command line: refused until allowed, skipped where they changed."""

import json

from .support import SIMPLE, Shell, dashboard, write

DEARER = SIMPLE.replace("49.99, interval: month", "59.99, interval: month, on_change: now")


def subscribe(number: int) -> list[str]:
    """Let so many customers subscribe by invoice; return their subscriptions."""
    with dashboard() as sandbox:
        client = sandbox.client().v1
        (price,) = client.prices.list({"lookup_keys": ["acme.plans.pro.prices.monthly"]}).data
        made = []
        for _ in range(number):
            customer = client.customers.create({"email": "somebody@example.com"}).id
            form = {"customer": customer, "items": [{"price": price.id}], "collection_method": "send_invoice"}
            made.append(client.subscriptions.create({**form, "days_until_due": 30}).id)
        return made


def amounts() -> list[int]:
    """Return what each subscription's price is now, sorted."""
    with dashboard() as sandbox:
        found = sandbox.client().v1.subscriptions.list({"limit": 100}).data
        return sorted(each["items"]["data"][0]["price"]["unit_amount"] for each in found)


def state() -> str:
    """Return all that an apply could have written, locks included."""
    with dashboard() as sandbox:
        client = sandbox.client().v1
        kinds = (client.products, client.prices, client.subscriptions, client.subscription_schedules)
        return json.dumps([str(kind.list({"limit": 100})) for kind in kinds])


def test_a_migration_that_nobody_allowed_writes_nothing(shell: Shell) -> None:
    """Without the guard opened it ends with 4 and the account is as it was; with it everybody moves."""
    shell.apply(SIMPLE)
    subscribe(3)
    write(DEARER)
    before = state()
    refused = shell.stored("apply", "--auto-approve")
    assert (refused.code, state() == before) == (4, True)
    assert "149.97 usd per month, then 179.97 usd per month" in " ".join(refused.out.split())
    allowed = shell.stored("apply", "--auto-approve", "--allow=contracts")
    assert (allowed.code, amounts()) == (0, [5999] * 3)


def test_whoever_changed_since_the_plan_is_named_and_left(shell: Shell) -> None:
    """A plan file is applied to the others, ends well, and says who was left; a new plan has them."""
    shell.apply(SIMPLE)
    first, *_ = subscribe(3)
    write(DEARER)
    assert shell.stored("plan", "--out", "plan.json").code == 0
    with dashboard() as sandbox:
        sandbox.client().v1.subscriptions.cancel(first)
        (price,) = sandbox.client().v1.prices.list({"lookup_keys": ["acme.plans.pro.prices.monthly"]}).data
        assert price.unit_amount == 4999
    done = shell.stored("apply", "plan.json", "--allow=contracts")
    assert (done.code, amounts()) == (0, [5999] * 2)
    assert "1 subscriber changed meanwhile" in done.out
    assert f"skipped: update plans.pro.prices.monthly.subscribers.{first}" in done.err
    assert "No changes" in shell.stored("plan").out
