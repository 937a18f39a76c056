"""Proof of a ledger: an honest one is clean whatever was done to it, and no tampering goes unseen."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.ledger.base import Export, Store
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.entry import GENESIS, seal
from reconciler.ledger.jobs import Job
from reconciler.ledger.ledger import open_ledger
from reconciler.ledger.verify import audit, verify
from tests.entitlements.worlds import policy

from .databases import plain
from .deeds import HOUR, START, Hand, grant, hand_over, spend, use

on_disk = pytest.mark.parametrize("kind", ["file", "postgres"], indirect=True)


def full(book: Book, now: int, _found: object) -> None:
    """Do everything to a book that can be done to one, and leave a lot, a hold, units and exports behind."""

    def enter(kind: str) -> None:
        book.enter(kind, now, None)

    for number in range(4):
        book.grant(Lot(f"l{number}", 100, 100, number, now + HOUR if number else None, now, "test"))
        enter("grant")
    used_up = book.lots["l0"]
    first = book.hold("h1", 150, now + HOUR, None)
    enter("reserve")
    book.draw(first, 30)
    enter("lease")
    book.write_off(book.lots["l1"], "expired")
    enter("expire")
    book.drop(first, 90)
    enter("commit")
    book.hold("h2", 20, now + HOUR, None)
    enter("reserve")
    book.write_off(book.lots["l3"], "voided")
    enter("void")
    book.give_back(used_up, 40)
    book.give_back(Lot("renewed", 30, 0, 0, None, now, "refund"), 30)
    enter("refund")
    book.claim("l2", 20)
    book.claim("l1", 5)
    enter("reversal")
    book.unclaim(book.lots["l2"], 20)
    enter("reversal")
    for window, units in ((0, 5), (3600, -2), (7200, 4), (7200, -4), (10800, 9)):
        book.use("calls", window, units)
    book.use("calls", 0, 7, billed=False)
    book.use("calls", 0, -3, billed=False)
    enter("consume")
    for window in (0, 3600, 7200):
        book.export("calls", window)
    enter("export")


def filled(store: Store) -> None:
    """Fill a ledger with three tenants."""
    jobs = [Job("acme", full), grant("birch", "g", 10), spend("birch", 3, "k"), spend("birch", 2)]
    jobs += [grant("chaos", "g", 10, key="g"), spend("chaos", 3, "k"), hand_over("chaos")]
    assert [outcome.error for outcome in store.transact(jobs)] == [None] * 7


def test_an_honest_ledger_is_clean(store: Store) -> None:
    """Nothing is wrong with what went through the books, whatever it was."""
    assert verify(store) == []
    filled(store)
    assert verify(store) == []


def test_a_ledger_of_calls_is_clean(url: str) -> None:
    """Nothing is wrong after calls, reservations, refunds, expiry and export, on any database."""
    clock = Hand()
    world = policy(
        "plans: {pro: {name: Pro, usage: {calls: {included: 3, overage: {credits: 2}}}, credits: {default: 2}, "
        "pay: [usage, credits]}}\n"
        "credit_packs: {small: {name: Small, credits: 100, bonus: 10, price: 9.99, expires_after: 1 days}}\n"
        "tenants: {acme: {name: Acme, plan: pro}}"
    )
    with Entitlements.open(world, url, mode="direct", clock=clock) as ent:
        ent.grant("acme", pack="small", key="p")
        ent.grant("acme", 50, key="g")
        for number in range(5):
            assert ent.consume("acme", "search", key=f"k{number}")
        with ent.reserve("acme", "search", quantity=4, key="r") as hold:
            hold.commit(2)
        ent.reserve("acme", "search", quantity=4, key="open")
        ent.refund("acme", "k4", key="back")
        clock.now += 30 * HOUR
        ent.sweep()
        ent.seal(clock.now // 1_000_000)
        assert ent.consume("acme", "search")
        assert list(ent.ledger.store.exports())
        assert verify(ent.ledger.store) == []


def reseal(entries: list[list[Any]]) -> bytes:
    """Chain entries anew and return the last hash."""
    head = GENESIS
    for entry in entries:
        entry[7] = head = seal(head, *entry[:7])
    return head


def in_book(change: Callable[[Any], None]) -> Callable[[Any, str], None]:
    """Change what the book of acme says."""

    def tamper(db: Any, mark: str) -> None:
        ((text,),) = db.execute("SELECT book FROM tenant WHERE tenant = 'acme'").fetchall()
        state = json.loads(text)
        change(state)
        db.execute(f"UPDATE tenant SET book = {mark} WHERE tenant = 'acme'", (json.dumps(state),))

    return tamper


def said(statement: str) -> Callable[[Any, str], None]:
    """Run a statement."""
    return lambda db, _: db.execute(statement)


def rewritten(db: Any, mark: str) -> None:
    """Write an entry of birch's with another amount, and the whole chain behind it so that it closes again."""
    rows = db.execute("SELECT * FROM entry WHERE tenant = 'birch' ORDER BY seq").fetchall()
    entries = [[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in rows]
    entries[1][6] = entries[1][6].replace('"spent",3', '"spent",2')
    head = reseal(entries)
    for entry in entries:
        db.execute(
            f"UPDATE entry SET body = {mark}, hash = {mark} WHERE tenant = 'birch' AND seq = {mark}",
            (entry[6], entry[7], entry[1]),
        )
    db.execute(f"UPDATE tenant SET head = {mark} WHERE tenant = 'birch'", (head,))


def put_back(db: Any, mark: str) -> None:
    """Make birch's book what it was after the first entry, columns and all."""
    ((head,),) = db.execute("SELECT hash FROM entry WHERE tenant = 'birch' AND seq = 1").fetchall()
    ((text,),) = db.execute("SELECT book FROM tenant WHERE tenant = 'birch'").fetchall()
    state = {**json.loads(text), "used": {}}
    state["lots"][0][2] = 10
    db.execute(
        f"UPDATE tenant SET seq = 1, credits = 10, unsent = NULL, head = {mark}, book = {mark} WHERE tenant = 'birch'",
        (head, json.dumps(state)),
    )


ENTRY = "UPDATE entry SET {} WHERE tenant = 'birch' AND seq = 2"
ROW = "UPDATE tenant SET {} WHERE tenant = 'acme'"
EXPORTED = "INSERT INTO export VALUES ('acme', 'calls', 99, 1, 5, 'pending', 0, 0, NULL, 0, 0)"
TAMPERINGS: dict[str, tuple[Callable[[Any, str], None], str]] = {
    "an amount": (said(ENTRY.format("body = replace(body, '\"spent\",3', '\"spent\",2')")), "hash covers"),
    "an answer": (said(ENTRY.format("body = replace(body, 'null', '1')||' '")), "hash covers"),
    "a body that is none": (said(ENTRY.format("body = 'x'")), "cannot be read"),
    "an instant": (said(ENTRY.format("at = at + 1")), "hash covers"),
    "a kind": (said(ENTRY.format("kind = 'grant'")), "hash covers"),
    "a key": (said(ENTRY.format("key = 'other'")), "hash covers"),
    "no key": (said(ENTRY.format("key = NULL")), "hash covers"),
    "a digest": (said(ENTRY.format("digest = 'x'")), "hash covers"),
    "a hash": (said("UPDATE entry SET hash = tenant.head FROM tenant WHERE entry.tenant = 'birch' AND entry.seq = 2 "
                    "AND tenant.tenant = 'acme'"), "hash covers"),
    "another's name": (said("UPDATE entry SET tenant = 'dodo' WHERE tenant = 'birch'"), "no book"),
    "an entry gone": (said("DELETE FROM entry WHERE tenant = 'acme' AND seq = 5"), "follows entry 4"),
    "the first gone": (said("DELETE FROM entry WHERE tenant = 'acme' AND seq = 1"), "follows entry 0"),
    "the last gone": (said("DELETE FROM entry WHERE tenant = 'birch' AND seq = 3"), "the entries at 2"),
    "every entry gone": (said("DELETE FROM entry WHERE tenant = 'birch'"), "the entries at 0"),
    "a tenant gone": (said("DELETE FROM tenant WHERE tenant = 'birch'"), "no book"),
    "a chain made anew": (rewritten, "lot g: 5 in the book"),
    "credits": (said(ROW.format("credits = credits + 1")), "column credits"),
    "credits held": (said(ROW.format("held = held + 1")), "column held"),
    "what is due": (said(ROW.format("due = NULL")), "column due"),
    "what is unsent": (said(ROW.format("unsent = 5")), "column unsent"),
    "the book's number": (said(ROW.format("seq = seq - 1")), "not the last entry's"),
    "the book's number, onwards": (said(ROW.format("seq = seq + 1")), "the book ends at entry"),
    "the book's hash": (said("UPDATE tenant SET head = (SELECT hash FROM entry WHERE tenant = 'acme' AND seq = 1) "
                             "WHERE tenant = 'acme'"), "not the last entry's"),
    "a book put back": (put_back, "behind the end"),
    "no book": (said(ROW.format("book = '{}'")), "cannot be read"),
    "what remains": (in_book(lambda book: book["lots"][0].__setitem__(2, 99)), "99 in the book"),
    "what was granted": (in_book(lambda book: book["lots"][0].__setitem__(1, 99)), "not 99"),
    "a lot gone": (in_book(lambda book: book["lots"].pop()), ": 0 in the book"),
    "a hold": (in_book(lambda book: book["holds"][0][2][0].__setitem__(1, 1)), ": 1 in the book"),
    "a hold gone": (in_book(lambda book: book["holds"].clear()), ": 0 in the book"),
    "units": (in_book(lambda book: book["used"]["calls"].__setitem__("10800", 8)), ": 8 in the book"),
    "units gone": (in_book(lambda book: book["used"].clear()), ": 0 in the book"),
    "an export's units": (said("UPDATE export SET units = 6 WHERE tenant = 'acme' AND units = 5"), ": 6 exported"),
    "an export gone": (said("DELETE FROM export WHERE tenant = 'acme' AND units = 5"), ": 0 exported"),
    "an export too many": (said(EXPORTED), ": 5 exported"),
}  # fmt: skip


@on_disk
@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_seen(url: str, store: Store, kind: str, tampering: str) -> None:
    """Whoever goes past the ledger, and takes its triggers away first, leaves something that does not add up."""
    filled(store)
    tamper, told = TAMPERINGS[tampering]
    if kind == "file":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
            db.execute("DROP TRIGGER entry_stays")
            db.execute("DROP TRIGGER entry_kept")
            tamper(db, "?")
    else:
        with psycopg.connect(plain(url), autocommit=True) as other:
            other.execute("DROP TRIGGER entry_stays ON entry")
            tamper(other, "%s")
    problems = verify(store)
    assert any(told in problem.what for problem in problems), problems
    assert len({problem.tenant for problem in problems} - {"dodo"}) == 1


def test_a_ledger_that_is_written_to_is_clean(url: str, kind: str) -> None:
    """Every tenant is proven as of one moment, although it is written to between two looks."""
    if kind == "memory":
        pytest.skip("one ledger in memory has no second writer")
    with closing(open_ledger(url, "direct", Hand())) as one, closing(open_ledger(url, "direct", Hand())) as other:
        filled(one.store)
        read, number = other.store.read, iter(range(100))

        def late(tenant: str) -> Book:
            book = read(tenant)
            if next(number) % 3 != 2:
                one.store.transact([Job(tenant, lambda book, now, _: book.enter("late", now, None))])
            return book

        other.store.read = late  # type: ignore[method-assign]
        assert verify(other.store) == []
        assert next(number) > 5


@given(st.data())
def test_whatever_a_book_goes_through_adds_up(data: st.DataObject) -> None:
    """After any acts the entries alone give the book; with any one amount changed in them they do not."""
    book = Book("acme")
    exports: list[Export] = []
    for step in range(data.draw(st.integers(1, 25))):
        _anything(book, data, f"{step}")
        for meter, window, seq, units in book.exports:
            exports.append(Export("acme", meter, window, seq, units))
        book.exports = []
    assert audit(book, book.fresh, exports) == []
    changed = [place for place, entry in enumerate(book.fresh) if entry.transfers and "settled:" not in entry.body]
    if changed:
        place = data.draw(st.sampled_from(changed))
        entries = [list(entry) for entry in book.fresh]
        flat, answer = json.loads(entries[place][6])
        flat[2] += data.draw(st.integers(1, 9))
        entries[place][6] = json.dumps([flat, answer], separators=(",", ":"))
        book.head = reseal(entries)
        assert audit(book, [type(book.fresh[0])(*entry) for entry in entries], exports) != []


def _anything(book: Book, data: st.DataObject, name: str) -> None:
    """Do one thing at random and enter it."""
    amount = data.draw(st.integers(1, 30))
    what = data.draw(st.sampled_from(["grant", "spend", "hold", "draw", "drop", "write_off", "use", "export", "back"]))
    hold = data.draw(st.sampled_from(list(book.holds.values()))) if book.holds else None
    lot = data.draw(st.sampled_from(book.order)) if book.order else None
    if what == "grant":
        book.grant(Lot(name, amount, amount, amount % 3, None, START, ""))
    elif what == "spend" and amount <= book.credits:
        book.spend(amount)
    elif what == "hold" and amount <= book.credits:
        book.hold(name, amount, START, None)
    elif what == "draw" and hold is not None:
        book.draw(hold, min(amount, hold.amount))
    elif what == "drop" and hold is not None:
        book.drop(hold, min(amount, hold.amount))
    elif what == "write_off" and lot is not None:
        book.write_off(lot, data.draw(st.sampled_from(["expired", "voided"])))
    elif what == "use":
        book.use("calls", amount % 4 * 3600, data.draw(st.sampled_from([amount, -amount])), billed=amount % 5 > 0)
    elif what == "export":
        for window in list(book.used.get("calls", ())):
            book.export("calls", window)
    elif what == "back" and lot is not None and lot.granted - lot.remaining and not book.holds:
        _refund(book, lot)
    book.enter(what, START, None)


def _refund(book: Book, lot: Lot) -> None:
    """Give back what a lot has paid, which its own story tells as long as nothing is held."""
    spent = lot.granted - lot.remaining
    if spent:
        book.give_back(lot, spent)


def test_units_of_one_window_are_exported_in_parts(store: Store) -> None:
    """Units that come late to a window that was handed over become an export of their own, and both add up."""
    for units in (5, 2):
        store.transact([use("acme", "calls", 0, units), hand_over("acme")])
    assert [export.units for export in store.exports()] == [5, 2]
    assert verify(store) == []
