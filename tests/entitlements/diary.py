"""A tenant's life in a few words a day: calls, refunds, reservations, grants, at instants that go on."""

import contextlib
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.periods import instant
from reconciler.entitlements.purchases import Purchase

from .worlds import HandClock, runtime

FILES = """
settings: {namespace: acme, default_meter: calls, currency: usd}
meters: {calls: {name: Calls}, rows: {name: Rows}}
tools: {load: {counts: {rows: {from: argument.rows}}}}
plans:
  credits: {name: Credits, credits: {default: 2, tools: {chat: 10}, included: 30}}
  payg: {name: Pay as you go, per_call: {default: 1.00, tools: {chat: 0.25}}}
  pro:
    name: Pro
    usage: {calls: {included: 3, overage: {unit_amount: 0.25}}, rows: {included: 5, overage: deny, per: month}}
credit_packs: {starter: {name: Starter, credits: 100, bonus: 10, price: 9.99, expires_after: 40 days}}
tenants: {acme: {name: Acme, plan: credits, credits: [{id: welcome, amount: 7, expires: 2027-02-10}]}}
"""
TOOLS = ("chat", "search", "load")
HOURS = (0, 1, 30, 24 * 9, 24 * 33)
WORDS = tuple(
    "call call call units refund refund reserve reserve commit release grant pack void plan seal buy buy".split()
)

#: Drawn lives: words, each with a number and how many hours later it happens.
lives = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 5), st.sampled_from(HOURS)), max_size=40)


def live(life: list[tuple[str, int, int]], url: str = "sqlite://", tenant: str = "acme") -> Entitlements:
    """Let a tenant live, and return its runtime; what is refused leaves no trace."""
    clock = HandClock("2027-01-01T10:00:00")
    ent = runtime(FILES, clock, url)
    relive(ent, clock, life, tenant)
    return ent


def relive(ent: Entitlements, clock: HandClock, life: list[tuple[str, int, int]], tenant: str = "acme") -> None:
    """Let a tenant of an open runtime live."""
    start = ent.ledger.store.read(tenant).seq
    for place, (word, number, hours) in enumerate(life):
        clock.now += hours * 3_600_000_000
        with contextlib.suppress(LookupError, ValueError):
            _DO[word](ent, tenant, number, f"k{start}.{place}", life, place, start)


def _call(ent: Any, tenant: str, number: int, key: str, *_: Any) -> None:
    tool = TOOLS[number % 3]
    ent.consume(tenant, tool, quantity=number % 2 + 1, units={"rows": number} if tool == "load" else None, key=key)


def _units(ent: Any, tenant: str, number: int, key: str, *_: Any) -> None:
    ent.consume(tenant, meter="rows", quantity=number, key=key)


def _refund(ent: Any, tenant: str, number: int, key: str, _life: Any, place: int, start: int) -> None:
    of = max(place - 1 - number, 0)
    renew = instant(ent.ledger.store.now()) + timedelta(days=5) if number % 2 else None
    ent.refund(tenant, f"k{start}.{of}", key=key, credits=number or None, renew_until=renew)


def _reserve(ent: Any, tenant: str, number: int, key: str, *_: Any) -> None:
    ent.reserve(tenant, TOOLS[number % 2], quantity=number + 1, key=key, seconds=86_400)


def _end(word: str) -> Any:
    def end(ent: Any, tenant: str, number: int, _key: str, life: Any, place: int, start: int) -> None:
        held = [f"k{start}.{each}" for each in range(place) if life[each][0] == "reserve"]
        if held and word == "commit":
            ent.commit(tenant, ent.request(tenant, TOOLS[0], None, number, None, held[-1]), owed=False)
        elif held:
            ent.release(tenant, held[-1])

    return end


def _grant(ent: Any, tenant: str, number: int, key: str, *_: Any) -> None:
    until = instant(ent.ledger.store.now()) + timedelta(days=number) if number else None
    ent.grant(tenant, number + 1, key=key, expires=until, reason="by hand")


def _pack(ent: Any, tenant: str, _number: int, key: str, *_: Any) -> None:
    ent.grant(tenant, pack="starter", key=key)


def _buy(ent: Any, tenant: str, number: int, key: str, life: Any, place: int, start: int) -> None:
    """Buy a pack, or hear of an older purchase that a part of it was paid back, or is not any more."""
    bought = [each for each in range(place) if life[each][0] == "buy"]
    name = f"k{start}.{bought[0]}" if bought else key
    paid = Purchase(name, tenant, ent.ledger.store.now(), (("starter", 1),), 1000)
    ent.ledger.submit(ent.fulfilling(paid._replace(returned=(0, 250, 1000, 0, 500, 999)[number])))


def _void(ent: Any, tenant: str, _number: int, key: str, life: Any, place: int, start: int) -> None:
    lots = [f"k{start}.{each}" for each in range(place) if life[each][0] in ("grant", "pack")]
    if lots:
        ent.void(tenant, lots[-1], key=key, reason="disputed")


def _plan(ent: Any, tenant: str, number: int, key: str, *_: Any) -> None:
    ent.set_subscription(tenant, plan=("pro", "payg", "credits")[number % 3], status="active", key=key)


def _seal(ent: Any, *_: Any) -> None:
    ent.seal(ent.ledger.store.now() // 1_000_000)


_DO = {
    "call": _call,
    "units": _units,
    "refund": _refund,
    "reserve": _reserve,
    "commit": _end("commit"),
    "release": _end("release"),
    "grant": _grant,
    "pack": _pack,
    "void": _void,
    "buy": _buy,
    "plan": _plan,
    "seal": _seal,
}
