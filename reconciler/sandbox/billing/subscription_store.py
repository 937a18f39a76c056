"""Writing subscriptions: with their items in one event, and onto invoices that remember what was charged for when."""

from collections.abc import Iterable, Sequence

from reconciler.sandbox.billing import cycles, invoicing, lines, proration
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.cycles import Period
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.expand import visible
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

Snapshot = tuple[Obj, list[Obj]]
ENDED = ("canceled", "incomplete_expired")


def current(call: Call, subscription: Obj) -> Obj:
    """Return the subscription as it is stored now."""
    return must(call, "subscription", subscription["id"]).body


def put(call: Call, subscription: Obj, items: Iterable[Obj] = (), removed: Iterable[Obj] = ()) -> Obj:
    """Store a subscription with changed, new and removed items; whatever of it can be seen is one event."""
    before = snapshot(call, subscription)
    changed = write(call, subscription, items, removed)
    announce(call, before)
    return changed


def snapshot(call: Call, subscription: Obj) -> Snapshot:
    """Return the subscription and its items as they are stored, to tell later what has changed."""
    return current(call, subscription), items_of(call, subscription)


def write(call: Call, subscription: Obj, items: Iterable[Obj] = (), removed: Iterable[Obj] = ()) -> Obj:
    """Store a subscription and its items without an event."""
    family, item_family = call.families["subscription"], call.families["subscription_item"]
    for item in items:
        if held := call.tx.find("subscription_item", item["id"]):
            call.replace(item_family, held, item)
        else:
            call.insert(item_family, item)
    for item in removed:
        call.delete(item_family, must(call, "subscription_item", item["id"]))
    changed = cycles.mirrored(subscription, items_of(call, subscription))
    call.replace(family, must(call, family.kind, subscription["id"]), changed)
    return changed


def announce(call: Call, before: Snapshot, verb: str = "updated") -> None:
    """Record what has changed since a snapshot, if anything that can be seen has."""
    after = snapshot(call, before[0])
    if _seen(*before) != _seen(*after):
        previous = {**before[0], "items": before[1]}
        call.emit(call.families["subscription"], verb, after[0], previous)


def _seen(subscription: Obj, items: Sequence[Obj]) -> list[Obj]:
    return [visible(each) for each in (subscription, *items)]


def note(call: Call, subscription: Obj) -> None:
    """Store what only the sandbox knows of a subscription, without an event."""
    call.replace(call.families["subscription"], must(call, "subscription", subscription["id"]), subscription)


def invoice(
    call: Call, subscription: Obj, charges: Sequence[Charge], *, reason: str, period: Period, auto_advance: bool
) -> Row:
    """Draft an invoice of the subscription, with pending invoice items; the items remember their new debits.

    The subscription takes it as its latest one without an event.
    """
    customer = must(call, "customer", subscription["customer"]).body
    drafted = invoicing.draft(
        call,
        customer=customer,
        currency=subscription["currency"],
        charges=charges,
        billing_reason=reason,
        subscription=subscription,
        collection_method=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
        auto_advance=auto_advance,
        period=period,
        default_payment_method=subscription["default_payment_method"],
        default_tax_rates=subscription["default_tax_rates"],
        description=subscription["invoice_settings"].get("description"),
    )
    remember(call, subscription, drafted)
    write(call, {**current(call, subscription), "latest_invoice": drafted["id"]})
    return must(call, "invoice", drafted["id"])


def remember(call: Call, subscription: Obj, drafted: Obj) -> None:
    """Note on each item which lines of an invoice charged for it, for credits to come; each line once."""
    charged = {item["id"]: item for item in items_of(call, subscription)}
    for row in lines.of_invoice(call, drafted["id"]):
        line = row.body
        details = line["parent"]["subscription_item_details"] or {}
        item = charged.get(details.get("subscription_item"))
        if item and line["amount"] > 0 and not details["invoice_item"] and not cycles.is_metered(call, item):
            charged[item["id"]] = _with_debit(item, line)
    family = call.families["subscription_item"]
    for item in charged.values():
        row = must(call, "subscription_item", item["id"])
        if row.body != item:
            call.replace(family, row, item)


def _with_debit(item: Obj, line: Obj) -> Obj:
    if any(each["line"] == line["id"] for each in item["_debits"]):
        return item
    charge = Charge(
        amount=line["amount"],
        currency=line["currency"],
        description=None,
        period=(line["period"]["start"], line["period"]["end"]),
        quantity=line["quantity"],
        price=line["pricing"]["price_details"]["price"],
    )
    return proration.charged(item, charge, line=line)
