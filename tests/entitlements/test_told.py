"""Entries told in sentences: every kind there is, with its amounts, and the links between them."""

import ast
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings

from reconciler.entitlements import Entitlements
from reconciler.entitlements.books import OWN
from reconciler.entitlements.purchases import Purchase
from reconciler.entitlements.told import SENTENCES, told

from .audit import entries_of
from .diary import live, lives
from .worlds import HandClock, policy, runtime

ROOM = Path(__file__).parents[2] / "reconciler" / "entitlements"


def written() -> set[str]:
    """Return every kind of entry that the code writes."""
    found = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "enter":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def sentences(ent: Entitlements, tenant: str = "acme") -> list[tuple[str, str, str | None]]:
    """Return kind, text and link of all entries of a tenant, oldest first."""
    entries = entries_of(ent, tenant)
    following = [*entries[1:], None][: len(entries)]
    tellings = [told(entry, after) for entry, after in zip(entries, following, strict=True)]
    return [(entry.kind, each.text, each.of) for entry, each in zip(entries, tellings, strict=True)]


def test_every_kind_has_a_sentence() -> None:
    """Each kind of entry that the code writes is told in words of its own, and no other kind is."""
    assert written() == set(SENTENCES)


@settings(max_examples=30)
@given(life=lives)
def test_every_entry_is_told(life: list[Any]) -> None:
    """Whatever happened is one sentence, without the ledger's own keys; a link leads to an entry that there is."""
    ent = live(life)
    for kind, text, of in sentences(ent):
        assert text.endswith("."), (kind, text)
        assert not any(word in text for word in ("\n", OWN, "entry of the kind")), (kind, text)
        assert of is None or ent.ledger.store.entry("acme", of) is not None


def test_a_story_is_told() -> None:
    """Grants, calls, reservations and refunds say what moved, and a refund names its call."""
    clock = HandClock()
    plans = "plans: {c: {name: C, credits: {default: 2, tools: {chat: 10}}}}"
    ent = runtime(f"{plans}\ntenants: {{acme: {{name: A, plan: c}}}}", clock)
    ent.grant("acme", 100, key="gift", reason="welcome")
    ent.consume("acme", "chat", key="one")
    ent.refund("acme", "one", key="back")
    with ent.reserve("acme", "search", key="hold", seconds=60) as hold:
        hold.commit(0)
    ent.reserve("acme", "search", key="gone", seconds=60)
    clock.now += 61_000_000
    ent.sweep()
    ent.void("acme", "gift", key="away", reason="disputed")
    assert sentences(ent) == [
        ("grant", "Granted 100 credits: welcome.", None),
        ("consume", "Called chat for 10 credits (calls +1); 90 credits left.", None),
        ("refund", "Refunded a call: 10 credits went back to where they came from (calls -1).", "one"),
        ("refunded", "So far 10 credits of this call were refunded, and its units count no more.", "one"),
        ("reserve", "Set aside 2 credits for a call of search.", None),
        ("commit", "Finished a reserved call of search free of charge (calls +1); 100 credits left.", "hold"),
        ("reserve", "Set aside 2 credits for a call of search.", None),
        ("lapse", "A reservation ran out of time: 2 credits went back.", "gone"),
        ("void", "Took away what was left of a grant, 100 credits: disputed.", "gift"),
        ("voided", "From here on nothing comes back to a grant that was taken away.", "gift"),
    ]


def test_lent_calls_are_told(tmp_path: Path) -> None:
    """Calls lent to a process, and what became of them, are told without the names the ledger gives them."""
    files = "plans: {c: {name: C, credits: {default: 1}}}\ntenants: {acme: {name: A, plan: c}}"
    lending = Entitlements.open(policy(files), f"sqlite:///{tmp_path}/u.db", mode="lease", journal=tmp_path / "journal")
    with lending as ent:
        ent.grant("acme", 1000, key="gift")
        for _ in range(100):
            ent.consume("acme", "chat")
    with runtime(files, url=f"sqlite:///{tmp_path}/u.db") as ent:
        found = {kind: text for kind, text, _ in sentences(ent)}
    assert {"lease", "settle"} <= set(found)
    assert re.fullmatch(r"Lent \d+ calls of chat to a process, with \d+ credits set aside\.", found["lease"])
    assert re.fullmatch(
        r"Booked \d+ calls of chat that had been lent to a process for \d+ credits.*\.", found["settle"]
    )
    assert not any(OWN in text for text in found.values())


def test_a_reversal_is_told() -> None:
    """Credits whose payment went back, and those of a dispute that was won, say so with the purchase they came from."""
    ent = runtime("plans: {c: {name: C, credits: {default: 1}}}\ncredit_packs: {p: {name: P, credits: 10, price: 5}}\n")
    paid = Purchase("cs_1", "acme", ent.ledger.store.now(), (("p", 1),), 500)
    for returned in (0, 250, 0):
        ent.ledger.submit(ent.fulfilling(paid._replace(returned=returned)))
    assert [(text, of) for kind, text, of in sentences(ent) if kind == "reversal"] == [
        ("Took back 5 credits, whose payment went back.", "cs_1"),
        ("5 credits came back: the payment holds again.", "cs_1"),
    ]
