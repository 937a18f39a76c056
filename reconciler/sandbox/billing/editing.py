"""Lines put on a draft, changed and taken off it, in step with their invoice items.

Source: https://docs.stripe.com/invoicing/bulk-update-line-item and the description of ``POST
/v1/invoices/{invoice}/lines/{line_item_id}``: what lives on both the line and the item changes on both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing import lines
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.collecting import not_draft
from reconciler.sandbox.billing.drafts import customer_of, recompute
from reconciler.sandbox.billing.given_lines import Place, described, revised
from reconciler.sandbox.billing.stored import must, rewritten
from reconciler.sandbox.errors import invalid, no_such
from reconciler.sandbox.objects.base import Call, merge_metadata
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj


def draft_row(call: Call, invoice_id: str) -> Row:
    """Return an invoice whose lines can change; 400 ``invoice_not_editable`` once it is final."""
    row = must(call, "invoice", invoice_id)
    if row.body["status"] != "draft":
        raise not_draft(row.body)
    return row


def check_room(call: Call, invoice_id: str, more: int) -> None:
    """Refuse more invoice items on one invoice than Stripe takes."""
    held = sum(row.body["_item"] is not None for row in lines.of_invoice(call, invoice_id))
    if held + more > lines.MAX_ITEMS:
        raise invalid(f"An invoice can have at most {lines.MAX_ITEMS} invoice items.", "invoice")


def put_on(call: Call, row: Row, items: Sequence[Obj], **changes: Any) -> Obj:
    """Give each invoice item a line on a draft, and return the invoice computed anew with other ``changes``."""
    for item in items:
        call.insert(call.families["line_item"], lines.build(call, lines.charge_of(item), row.body["id"]))
    return recompute(call, row, **changes)


def revise(call: Call, item: Row | None, line: Row | None, charge: Charge) -> None:
    """Write a changed charge to an invoice item and its line; their invoice is still to be computed anew."""
    if item:
        rewritten(call, "invoiceitem", item, **lines.shown_item(charge))
    if line:
        rewritten(call, "line_item", line, **lines.shown_line(charge))


def take_off(call: Call, line: Row) -> None:
    """Remove a line whose item is gone, and compute the invoice anew."""
    call.delete(call.families["line_item"], line)
    recompute(call, must(call, "invoice", line.body["invoice"]))


def line_of(call: Call, invoice: Obj, line_id: str, param: str, *, status: int = 400) -> Row:
    """Return a line of an invoice; ``resource_missing`` if it has no such line."""
    row = call.tx.find("line_item", line_id)
    if row is None or row.body["invoice"] != invoice["id"]:
        raise no_such("line item", line_id, param, status=status)
    return row


def change_line(call: Call, invoice: Obj, line: Row, given: Mapping[str, Any], at: str) -> None:
    """Change a line of a draft as a request says, and its invoice item; the draft is still to be computed anew."""
    charge = lines.charge_of_line(line.body)
    owner = charge.invoice_item or line.body["id"]
    customer = customer_of(call, invoice)
    place = Place(customer=customer, currency=invoice["currency"], at=at, invoice_item=owner, invoice=invoice["id"])
    changed = revised(call, given, charge, place)
    if changed.currency != invoice["currency"]:
        raise invalid(f"The invoice is in {invoice['currency']}, not in {changed.currency}.", place.path("price_data"))
    item = must(call, "invoiceitem", charge.invoice_item) if charge.invoice_item else None
    revise(call, item, line, changed)


def add_lines(call: Call, row: Row, given: Sequence[Mapping[str, Any]], metadata: Obj) -> Obj:
    """Put new and pending invoice items on a draft, in the order of the request."""
    check_room(call, row.body["id"], len(given))
    items = [_item(call, row.body, entry, f"lines[{index}]") for index, entry in enumerate(given)]
    return put_on(call, row, items, metadata=metadata)


def _item(call: Call, invoice: Obj, given: Mapping[str, Any], at: str) -> Obj:
    """Return the invoice item a new line is for: a pending one that is named, or a new one."""
    customer, family = customer_of(call, invoice), call.families["invoiceitem"]
    named = given.get("invoice_item")
    if named is None:
        item_id = lines.new_item_id(call)
        place = Place(
            customer=customer, currency=invoice["currency"], at=at, invoice_item=item_id, invoice=invoice["id"]
        )
        charge = described(call, given, place)
        _check_currency(charge, invoice, at)
        return lines.add_item(call, customer, charge, invoice=invoice["id"], item_id=item_id)
    item = call.refer("invoiceitem", named, f"{at}[invoice_item]")
    if item["invoice"] is not None or item["customer"] != invoice["customer"]:
        raise invalid(f"The invoice item {named} is not pending for this customer.", f"{at}[invoice_item]")
    place = Place(customer=customer, currency=invoice["currency"], at=at, invoice_item=named, invoice=invoice["id"])
    charge = revised(call, given, lines.charge_of(item), place)
    _check_currency(charge, invoice, at)
    changed = {**item, **lines.shown_item(charge), "invoice": invoice["id"], "_was_pending": True}
    call.replace(family, must(call, family.kind, named), changed)
    return changed


def _check_currency(charge: Charge, invoice: Obj, at: str) -> None:
    if charge.currency != invoice["currency"]:
        raise invalid(f"The invoice is in {invoice['currency']}, not in {charge.currency}.", at)


def update_lines(call: Call, row: Row, given: Sequence[Mapping[str, Any]], metadata: Obj) -> Obj:
    """Change several lines of a draft."""
    for index, entry in enumerate(given):
        at = f"lines[{index}]"
        line = line_of(call, row.body, entry["id"], f"{at}[id]")
        change_line(call, row.body, line, entry, at)
    return recompute(call, must(call, "invoice", row.body["id"]), metadata=metadata)


def remove_lines(call: Call, row: Row, given: Sequence[Mapping[str, Any]], metadata: Obj) -> Obj:
    """Take lines off a draft: their items are deleted, or pending again; a subscription's own lines stay."""
    for index, entry in enumerate(given):
        at = f"lines[{index}]"
        line = line_of(call, row.body, entry["id"], f"{at}[id]")
        if line.body["_item"] is None:
            raise invalid("A line of a subscription item cannot be removed.", f"{at}[id]")
        release(call, must(call, "invoiceitem", line.body["_item"]), keep=entry["behavior"] == "unassign")
        call.delete(call.families["line_item"], line)
    return recompute(call, must(call, "invoice", row.body["id"]), metadata=metadata)


def release(call: Call, item: Row, *, keep: bool) -> None:
    """Make an invoice item pending again, or delete it."""
    family = call.families["invoiceitem"]
    if keep:
        call.replace(family, item, {**item.body, "invoice": None})
    else:
        call.delete(family, item)


def metadata_of(invoice: Obj, params: Obj, name: str) -> Obj:
    """Return an invoice's metadata after the patch a parameter gives."""
    return merge_metadata(invoice["metadata"], params[name]) if name in params else invoice["metadata"]


def delete_draft(call: Call, row: Row) -> Obj:
    """Delete a draft with its lines and return the deletion's reply."""
    for line in lines.of_invoice(call, row.body["id"]):
        if line.body["_item"] is not None:
            item = must(call, "invoiceitem", line.body["_item"])
            release(call, item, keep=item.body["_was_pending"] and call.settings.deleted_draft_frees_items)
        call.delete(call.families["line_item"], line)
    return call.delete(call.families["invoice"], row)
