"""Entries of a ledger: transfers between accounts, numbered per tenant and chained by hash.

A transfer takes an amount from one account and gives it to another, so the postings of an entry always sum to zero.

=====================  =====================================================================================
``granted``            source of credits; minus what was ever granted
``lot:ID``             what is left of one grant, bought pack or monthly allowance
``held:HOLD``          credits set aside for a call that is not finished
``spent``              credits that paid for calls
``expired`` ``voided`` credits that ran out, or were taken back
``metered:METER``      source of counted units
``used:METER@WINDOW``  units counted in a window (its start in seconds) and not yet handed to the export
``sent:METER@WINDOW``  units handed to the export
``settled:METER``      units that credits or a price per call have paid for
``owed:METER@WINDOW``  minus units of a window that were taken back when they were billed for good: owed as money
=====================  =====================================================================================
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from json import encoder as json_encoder
from typing import Any, NamedTuple

#: Hash of the entry before the first one.
GENESIS = bytes(32)
#: Largest amount a store can hold in one account: 64 bits, signed.
MAX_AMOUNT = 2**63 - 1
#: Characters a tenant, a key or a tool name may have at most.
MAX_NAME = 255


def _encoder() -> Callable[[Any], str]:
    """Return what writes JSON; the standard library's own encoder, made once and not for every entry anew."""
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
    make = getattr(json_encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    fast = make(None, encoder.default, json_encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda content: "".join(fast(content, 0))


#: Writes JSON in the shortest way.
encode = _encoder()


class Transfer(NamedTuple):
    """An amount, above zero, that leaves one account and reaches another."""

    source: str
    target: str
    amount: int


class Entry(NamedTuple):
    """One change of one tenant's book as it is stored, number ``seq`` of the tenant from 1 on.

    ``key`` and ``digest`` are the caller's idempotency key and what was asked under it; ``body`` is JSON, the
    transfers as one flat list and the answer the caller got; ``hash`` covers everything and the entry before.
    """

    tenant: str
    seq: int
    at: int
    kind: str
    key: str | None
    digest: str
    body: str
    hash: bytes

    @property
    def transfers(self) -> list[Transfer]:
        """The transfers, in the order they were made."""
        flat = json.loads(self.body)[0]
        return [Transfer(*flat[at : at + 3]) for at in range(0, len(flat), 3)]

    @property
    def answer(self) -> Any:
        """What the caller was told."""
        return json.loads(self.body)[1]

    def postings(self) -> Iterator[tuple[str, int]]:
        """Yield every account with what was added to it, negative where it gave."""
        for transfer in self.transfers:
            yield transfer.source, -transfer.amount
            yield transfer.target, transfer.amount


def seal(before: bytes, tenant: str, seq: int, at: int, kind: str, key: str | None, digest: str, body: str) -> bytes:
    """Return the SHA-256 of an entry behind the hash of the one before; no field can hold a line break."""
    text = f"{tenant}\n{seq}\n{at}\n{kind}\n{key or ''}\n{digest}\n{body}"
    return hashlib.sha256(before + text.encode()).digest()


def well_named(name: str) -> bool:
    """Tell whether a tenant or key can be stored: 1 to 255 printable characters."""
    return 0 < len(name) <= MAX_NAME and name.isprintable()
