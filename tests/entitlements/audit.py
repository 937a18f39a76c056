"""A second reading of a ledger, from its entries alone: every sum that must close, and the chain."""

import hashlib
from collections import defaultdict

from reconciler.entitlements import Entitlements
from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry


def entries_of(ent: Entitlements, tenant: str) -> list[Entry]:
    """Return all entries of a tenant."""
    found: list[Entry] = []
    while page := ent.ledger.store.entries(tenant, len(found)):
        found += page
    return found


def audit(ent: Entitlements, tenant: str = "acme") -> Book:
    """Read a tenant's entries, check everything about them, and return its book as it is stored.

    Numbers run from 1 without a gap and the hashes chain; no key stands twice; postings sum to zero; of every lot
    granted = spent + held + expired + voided + remaining, nothing below zero; ended holds hold nothing; counted units
    are settled, sent or waiting. All of it equals what the book says.
    """
    book, entries = ent.ledger.store.read(tenant), entries_of(ent, tenant)
    head, accounts, keys = bytes(32), defaultdict[str, int](int), set[str]()
    for number, entry in enumerate(entries, 1):
        text = f"{tenant}\n{number}\n{entry.at}\n{entry.kind}\n{entry.key or ''}\n{entry.digest}\n{entry.body}"
        head = hashlib.sha256(head + text.encode()).digest()
        assert (entry.seq, entry.hash) == (number, head)
        assert entry.key not in keys, entry
        keys |= {entry.key} - {None}
        assert sum(amount for _, amount in entry.postings()) == 0
        assert all(transfer.amount > 0 for transfer in entry.transfers), entry
        for account, amount in entry.postings():
            accounts[account] += amount
            if account.startswith(("lot:", "held:", "spent", "expired", "voided")):
                assert accounts[account] >= 0, (entry, account)
    assert (book.seq, book.head) == (len(entries), head)
    lots = {name.removeprefix("lot:"): left for name, left in accounts.items() if name.startswith("lot:") and left}
    assert lots == {lot.id: lot.remaining for lot in book.order if lot.remaining}
    assert book.credits == sum(lots.values())
    held = {name.removeprefix("held:"): left for name, left in accounts.items() if name.startswith("held:") and left}
    assert held == {hold.id: hold.amount for hold in book.holds.values() if hold.amount}
    kept = accounts["spent"] + accounts["expired"] + accounts["voided"]
    assert -accounts["granted"] == sum(lots.values()) + sum(held.values()) + kept
    waiting = {
        f"used:{meter}@{window}": units for meter, windows in book.used.items() for window, units in windows.items()
    }
    assert {name: left for name, left in accounts.items() if name.startswith("used:") and left} == {
        name: units for name, units in waiting.items() if units
    }
    assert sum(accounts.values()) == 0
    return book


def kinds(ent: Entitlements, tenant: str = "acme") -> list[str]:
    """Return the kinds of a tenant's entries in order."""
    return [entry.kind for entry in entries_of(ent, tenant)]
