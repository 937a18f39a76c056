"""What never came: events of an outage, from Stripe's own list; and everything at all, where that list is too short.

Stripe tries a webhook again for three days and lists events for 30 (https://docs.stripe.com/api/events/list), newest
first. What is missing is put into the inbox and worked off like everything else; what is there already stays as it is.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.provider.webhooks.fetch import SESSIONS, SUBSCRIPTIONS, Source
from reconciler.provider.webhooks.owner import Object
from reconciler.provider.webhooks.signature import Notice, notice_of
from reconciler.provider.webhooks.types import SYNC, matters
from reconciler.service.hooks import tables
from reconciler.service.hooks.inbox import Inbox
from reconciler.service.hooks.patrons import Patrons

EVENTS = "/v1/events"
#: How far before the last look another one begins, and how old that may be, in seconds: events are listed for 30 days.
OVERLAP, LISTED = 3600, 29 * 86_400
PLANS = "plans."
_BATCH = 100


class Caught(NamedTuple):
    """What a look found that the inbox did not have: events of the list, and objects of a whole look (``full``)."""

    events: int = 0
    objects: int = 0
    full: bool = False


class Catching:
    """Looks an account through for what the inbox of a ledger lacks."""

    def __init__(self, source: Source, inbox: Inbox, store: AnnexStore) -> None:
        self._source = source
        self._inbox = inbox
        self._store = store
        self._patrons = Patrons(store)

    def catch_up(self, *, full: bool = False) -> Caught:
        """Put into the inbox what happened since the last look; a first look, or one after 29 days, looks at all.

        RequestFailedError where Stripe cannot be read; the next look begins where this one did.
        """
        begun = int(self._source.gateway.read(EVENTS, {"limit": 1}).at)
        rows = self._store.ask(tables.LOOK)
        last = int(rows[0][0]) if rows else None
        objects = 0
        if full or last is None or last < begun - LISTED:
            full, objects = True, self.sync()
        since = max(last or 0, begun - LISTED) - OVERLAP
        events = self._source.pages(EVENTS, {"created": {"gte": since}})
        found = self._add((notice for event in events if matters(notice := notice_of(event))), anew=False)
        self._store.alongside([Statement(tables.LOOKED, (begun,))])
        return Caught(found, objects, full)

    def sync(self) -> int:
        """Ask for everything that may have an effect to be worked off, and return how many objects that is.

        All customers with subscriptions to something of the files, all paid checkouts that were never granted, and all
        payments with refunds or disputes.
        """
        return self._add(self._everything(), anew=True)

    def _add(self, notices: Iterator[Notice], *, anew: bool) -> int:
        added = 0
        while some := list(islice(notices, _BATCH)):
            added += len(self._inbox.add(some, anew=anew))
        return added

    def _everything(self) -> Iterator[Notice]:
        pages = self._source.pages
        customers = {each["customer"]: each for each in pages(SUBSCRIPTIONS, {"status": "all"}) if self._concerns(each)}
        yield from (_looked_for("customer", name, each, name) for name, each in sorted(customers.items()))
        for some in _batches(pages(SESSIONS, {"status": "complete"})):
            yield from self._ungranted(some)
        payments = dict[str, Object]()
        for path in ("/v1/refunds", "/v1/disputes"):
            payments |= {each["payment_intent"]: each for each in pages(path, {}) if each["payment_intent"]}
        yield from (_looked_for("payment_intent", name, each) for name, each in sorted(payments.items()))

    def _concerns(self, subscription: Object) -> bool:
        owner = self._source.owner
        if owner.foreign(subscription):
            return False
        marks = [owner.address(item["price"]) for item in subscription["items"]["data"]]
        return owner.tenant(subscription) is not None or any(marks) or bool(self._patrons.of([subscription["id"]]))

    def _ungranted(self, sessions: list[Object]) -> Iterator[Notice]:
        """Yield the paid checkouts whose credits are in nobody's books."""
        paid = [each for each in sessions if each["payment_status"] != "unpaid" and self._may_sell(each)]
        known = self._patrons.of(each["id"] for each in paid)
        for session in paid:
            if self._source.owner.foreign(session):
                continue
            tenant = known.get(session["id"]) or self._source.owner.tenant(session)
            if tenant is None or self._store.entry(tenant, session["id"]) is None:
                yield _looked_for("checkout.session", session["id"], session, session["customer"])

    def _may_sell(self, session: Object) -> bool:
        """Tell whether a page may have sold packs: by themselves, or beside a plan, as pages of others do."""
        alone = (self._source.owner.sells(session) or "").startswith(PLANS)
        return session["mode"] == "payment" or (session["mode"] == "subscription" and not alone)


def _batches(objects: Iterable[Object]) -> Iterator[list[Object]]:
    left = iter(objects)
    while some := list(islice(left, _BATCH)):
        yield some


def _looked_for(kind: str, name: str, about: Object, customer: str | None = None) -> Notice:
    """Return that an object is to be looked at, as an event of its own for each object."""
    payment = name if kind == "payment_intent" else about.get("payment_intent")
    about_what = (None, None, name, kind, customer, payment)
    return Notice(f"sync_{name}", f"{SYNC}{kind}", about["created"], False, *about_what)
