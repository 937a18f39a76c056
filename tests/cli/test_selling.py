"""checkout, link and portal on the command line: words, JSON, exit codes, and which account."""

import json

import pytest

from reconciler.provider.payments import Outcome, Watcher, waiting
from tests.sandbox.person import Person

from .support import STATE, Shell, dashboard, process

FILES = """\
settings: {namespace: acme, currency: usd}
plans:
  pro: {name: Pro, prices: {monthly: {amount: 49.99, interval: month}, annual: {amount: 499, interval: year}}}
  old: {name: Old, status: legacy, prices: {monthly: {amount: 1, interval: month}}}
credit_packs: {starter: {name: Starter, credits: 100, price: 9.99}}
payment_links: {starter: {items: [{pack: starter}]}}
portal: {return_url: "https://shop.example/account"}
"""
CHECKOUT = ("checkout", "acme", "--plan", "pro", "--price", "monthly", "--success-url", "https://shop.example/ok")
SIMULATED = "Simulated, in the sandbox: no money moves."


@pytest.fixture
def sold(shell: Shell) -> Shell:
    """Apply the files to the sandbox."""
    shell.apply(FILES)
    return shell


def test_a_checkout_page_is_told(sold: Shell) -> None:
    """The address stands on a line of its own, with the key that finds the page again and that it is simulated."""
    done = sold.stored(*CHECKOUT, "--key", "order-7")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("Checkout session for acme, plans.pro: cs_test_")
    assert lines[1].startswith("  http://127.0.0.1/c/pay/cs_test_")
    assert "key order-7" in lines[2]
    assert lines[3] == f"  {SIMULATED}"


def test_a_page_as_json(sold: Shell) -> None:
    """Programs get every field; the same key gives the same page."""
    first, second = (json.loads(sold.stored(*CHECKOUT, "--key=k", "--format=json").out) for _ in range(2))
    assert first == second
    assert (first["simulated"], first["livemode"], first["state"]) == (True, False, "open")
    assert (first["tenant"], first["sells"], first["key"]) == ("acme", "plans.pro", "k")


def test_without_a_key_or_the_sandbox_nothing_is_sold(sold: Shell) -> None:
    """No key and no --sandbox is an error that says both ways out; the sandbox never stands in."""
    done = sold(*CHECKOUT)
    assert (done.code, done.out) == (64, "")
    assert "STRIPE_API_KEY" in done.err
    assert "--sandbox" in done.err


def test_an_outage_is_an_error(sold: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there sells nothing, and nothing is simulated in its place."""
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_" + "x" * 20)
    done = sold(*CHECKOUT, "--api-base", "http://127.0.0.1:9")
    assert (done.code, done.out) == (1, "")
    assert "error[E1401]" in done.err


def test_what_is_not_sold_exits_64(sold: Shell) -> None:
    """A plan that is no longer sold is refused with what to do."""
    done = sold.stored("link", "acme", "--plan", "old")
    assert (done.code, done.out) == (64, "")
    assert "error[E1405] plan 'old'" in done.err
    assert "help: Name one whose status is active." in done.err


def test_a_live_key_needs_its_environment(sold: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live key sells nothing unless the environment says so, and does not wait either."""
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_" + "x" * 20)
    for arguments in (CHECKOUT, ("link", "wait", "cs_test_1"), ("portal", "acme")):
        done = sold(*arguments)
        assert (done.code, "E1010" in done.err) == (5, True)


def test_the_word_for_may_be_left_out(sold: Shell) -> None:
    """``link acme`` is ``link for acme``, options before or behind; a tenant called wait needs the word."""
    spellings = (
        ("link", "acme", "--pack", "starter"),
        ("link", "for", "acme", "--pack", "starter"),
        ("link", "--pack", "starter", "acme"),
        ("link", "-q", "acme", "--pack", "starter"),
    )
    found = {sold.stored(*arguments).out.splitlines()[1] for arguments in spellings}
    assert len(found) == 1
    assert "client_reference_id=acme" in found.pop()
    assert "client_reference_id=wait" in sold.stored("link", "for", "wait", "--pack", "starter").out


def test_a_named_link_has_no_other_choice(sold: Shell) -> None:
    """--name stands alone."""
    assert sold.stored("link", "acme", "--name", "starter", "--pack", "starter").code == 64
    assert sold.stored("link", "acme", "--name", "starter").code == 0


def test_the_portal_needs_a_customer(sold: Shell) -> None:
    """Without one it says so; with one it opens."""
    done = sold.stored("portal", "acme")
    assert (done.code, "error[E1409]" in done.err) == (1, True)
    with dashboard() as sandbox:
        mark = {"managed_by": "reconciler/acme", "address": "tenants.acme"}
        customer = sandbox.client().v1.customers.create({"metadata": mark}).id
    done = sold.stored("portal", "acme", "--return-url", "https://shop.example/x")
    assert done.out.startswith("Portal session for acme: bps_")
    assert f"customer {customer}" in done.out


def test_waiting_for_what_was_paid(sold: Shell) -> None:
    """A paid link ends with 0 and names the session; a page that has expired with 1."""
    link = json.loads(sold.stored("link", "acme", "--plan", "pro", "--interval", "year", "--format=json").out)
    page = json.loads(sold.stored(*CHECKOUT, "--format=json").out)
    with dashboard() as sandbox:
        person = Person(sandbox)
        person.visit(link["url"])
        person.pay(email="a@acme.example")
        sandbox.client().v1.checkout.sessions.expire(page["id"])
    done = sold.stored("link", "wait", link["id"])
    assert (done.code, done.out.splitlines()[1]) == (0, SIMULATED)
    assert done.out.startswith(f"{link['id']} is paid in cs_test_")
    expired = sold.stored("link", "wait", page["id"], "--format=json")
    assert (expired.code, json.loads(expired.out)["state"]) == (1, "expired")


def test_waiting_in_vain_exits_7(sold: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may still be paid ends with 7, in words and as JSON, and nothing is written."""
    monkeypatch.setattr(waiting, "DEADLINE", 0.05)
    page = json.loads(sold.stored(*CHECKOUT, "--format=json").out)
    done = sold.stored("link", "wait", page["id"])
    assert done.code == 7
    told = "was not paid in time: it is open, after 1 look. Nothing was changed."
    assert done.out.splitlines()[0] == f"{page['id']} {told}"
    assert json.loads(sold.stored("link", "wait", page["id"], "--format=json").out)["seen"] == "open"


def test_a_watch_that_nobody_answers_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is not open."""
    shell.apply(FILES)

    def silent(_self: Watcher, name: str) -> Outcome:
        return Outcome(name, "timeout", "", 6, simulated=False)

    monkeypatch.setattr(Watcher, "watch", silent)
    done = shell.stored("link", "wait", "cs_test_1")
    assert (done.code, "nothing answered" in done.out, "money" in done.out) == (7, True, False)


def test_nothing_can_act_on_the_terminal(sold: Shell) -> None:
    """A name is shown as text, whatever is in it."""
    done = sold.stored("checkout", "a\u202eb", *CHECKOUT[2:])
    assert done.code == 64
    assert "\u202e" not in done.err + done.out


@pytest.mark.usefixtures("sold")
def test_pages_are_told_in_a_process_of_its_own() -> None:
    """The threads that work is left to keep no process from ending."""
    done = process(*CHECKOUT, f"--sandbox={STATE}")
    assert (done.code, done.err) == (0, "")
