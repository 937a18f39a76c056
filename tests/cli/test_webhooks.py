"""reconciler webhooks: what came and what became of it, once more, and what never came."""

import json
import re
from typing import Any

import pytest

from tests.sandbox.person import Person

from .support import Shell, dashboard, write

FILES = """\
settings: {namespace: acme, currency: usd}
plans:
  pay: {name: Pay, credits: {default: 1}, prices: {monthly: {amount: 5, interval: month}}}
credit_packs: {starter: {name: Starter, credits: 100, price: 9.99}}
tenants: {acme: {name: Acme, plan: pay}}
payment_links: {shop: {items: [{pack: starter}]}}
"""


@pytest.fixture
def sold(shell: Shell) -> Shell:
    """Apply the files to the sandbox, and let a tenant buy a pack."""
    shell.apply(FILES)
    page = shell.stored("checkout", "acme", "--pack", "starter", "--success-url", "https://x.example/ok").out
    _pay(page.splitlines()[1].strip())
    return shell


def _pay(url: str) -> None:
    with dashboard() as sandbox:
        person = Person(sandbox)
        person.visit(url)
        person.pay()


def _events(shell: Shell, *options: str) -> Any:
    return json.loads(shell("webhooks", "list", "--format=json", *options).out)


def test_sync_finds_what_was_paid(sold: Shell) -> None:
    """A purchase nobody told of is granted, once; the inbox says what was done for whom."""
    assert sold("webhooks", "list").out == "No events.\n"
    done = sold.stored("webhooks", "sync")
    assert done.code == 0, done.err
    assert re.match(r"1 event and 1 object were missing; \d+ done, 0 dead, 0 to be tried again\.", done.out)
    assert "100" in sold("balance", "acme").out
    again = json.loads(sold.stored("webhooks", "sync", "--format=json").out)
    assert (again["events"], again["objects"], again["done"]) == (0, 0, 0)
    found = _events(sold, "--state=done")
    assert {event["tenant"] for event in found["events"]} == {"acme"}
    assert found["depths"]["done"] == len(found["events"])


def test_an_event_is_shown_and_replayed(sold: Shell) -> None:
    """An event has everything but its content; worked off again it grants nothing again."""
    sold.stored("webhooks", "sync")
    event = next(each for each in _events(sold)["events"] if each["type"] == "checkout.session.completed")
    shown = sold("webhooks", "show", event["id"])
    assert "state: done\n" in shown.out
    assert "tenant: acme\n" in shown.out
    done = sold.stored("webhooks", "replay", event["id"], "--format=json")
    assert (done.code, json.loads(done.out)["state"]) == (0, "done")
    assert json.loads(sold("balance", "acme", "--format=json").out)["credits"] == 100_000_000


def test_what_nobody_can_decide_is_dead_until_a_person_does(shell: Shell) -> None:
    """Paid by a link for everybody: exit code 1 and the reason; with a tenant it is granted to it."""
    shell.apply(FILES)
    with dashboard() as sandbox:
        (link,) = sandbox.client().v1.payment_links.list().data
    _pay(f"{link.url}?client_reference_id=acme")
    assert shell.stored("webhooks", "sync").code == 1
    listed = shell("webhooks", "list", "--state=dead")
    assert "neither the purchase nor its customer names a tenant" in listed.out
    assert "dead" in listed.err
    event = _events(shell, "--state=dead")["events"][0]["id"]
    assert shell.stored("webhooks", "replay", event).code == 1
    done = shell.stored("webhooks", "replay", event, "--tenant", "acme")
    assert (done.code, done.err) == (0, "")
    assert json.loads(shell("balance", "acme", "--format=json").out)["credits"] == 100_000_000


@pytest.mark.parametrize("words", [("show",), ("replay", "--sandbox=sandbox.db")])
def test_an_event_that_never_came(sold: Shell, words: tuple[str, ...]) -> None:
    """An id nobody knows is an error that says where to look, with an inbox or without one."""
    done = sold("webhooks", words[0], "evt_x", *words[1:])
    assert done.code == 64
    assert "no event 'evt_x' is in the inbox" in done.err


def test_the_account_has_to_be_named(shell: Shell) -> None:
    """Nothing is looked for without a key or the sandbox; looking at the inbox needs neither."""
    write(FILES)
    assert shell("webhooks", "sync").code == 64
    assert shell("webhooks", "list").code == 0
