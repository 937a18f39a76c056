"""Credit notes: what is taken back of a final invoice, and where the money goes.

Source: https://docs.stripe.com/invoicing/integration/programmatic-credit-notes and the description of ``POST
/v1/credit_notes``: a note first lowers what remains to be paid, and what it exceeds is refunded, credited to the
customer's balance or settled outside of Stripe.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

from reconciler.money import plain
from reconciler.sandbox.billing import collecting, refunds, taxes
from reconciler.sandbox.billing.balance import adjust
from reconciler.sandbox.billing.given_lines import rates
from reconciler.sandbox.billing.limits import check_digits
from reconciler.sandbox.billing.rounding import rounded
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import exclusive, invalid, missing, no_such, not_modelled, out_of_range
from reconciler.sandbox.ids import derive
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: Makes an id of a prefix and a length.
Ids = Callable[[str, int], str]
_OUTSIDE = ("credit_amount", "out_of_band_amount", "refund_amount")


@dataclass(frozen=True, slots=True)
class Draft:
    """A credit note that is not stored yet, with its lines."""

    note: Obj
    lines: list[Obj]


def compose(call: Call, invoice: Obj, params: Mapping[str, Any], ids: Ids) -> Draft:
    """Return the credit note a request describes, or refuse it; nothing is written."""
    if invoice["status"] in {"draft", "void"}:
        raise invalid(f"A credit note needs a final invoice; this one is {invoice['status']}.", "invoice")
    found = _lines(call, invoice, params, ids)
    note = call.fill(call.families["credit_note"], ids("cn_1", 23), **_sums(found))
    limit = invoice["total"] - sum(own["amount"] for own in issued(call, invoice["id"])) - _refunded(call, invoice)
    if note["amount"] < 1:
        raise out_of_range("amount", note["amount"], least=1)
    if note["amount"] > limit:
        raise invalid(f"Only {limit} of the invoice can still be credited.", "amount")
    before = min(note["amount"], invoice["amount_remaining"])
    after = note["amount"] - before
    check_digits(before, invoice["currency"])
    _check_settled(call, invoice, params, after)
    kind = "mixed" if before and after else "post_payment" if after else "pre_payment"
    number = len(list(rows(call, "credit_note", ("invoice", invoice["id"])))) + 1
    note |= {
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": invoice["customer_account"],
        "effective_at": params.get("effective_at", call.now),
        "invoice": invoice["id"],
        "memo": params.get("memo"),
        "metadata": params.get("metadata", {}),
        "number": f"{invoice['number']}-CN-{number:02d}",
        "out_of_band_amount": params.get("out_of_band_amount"),
        "post_payment_amount": after,
        "pre_payment_amount": before,
        "reason": params.get("reason"),
        "type": kind,
        "_clock": invoice["test_clock"],
    }
    return Draft(note, [{**line, "_note": note["id"]} for line in found])


def previewed(call: Call) -> Draft:
    """Return what the note of a preview's request would be; nothing is written, not even a number for an id."""
    invoice = call.refer("invoice", call.params["invoice"], "invoice")
    numbers = count(1)
    return compose(
        call.on_clock_of(invoice),
        invoice,
        call.params,
        lambda prefix, length: prefix + derive("preview", invoice["id"], next(numbers), length=length),
    )


def issued(call: Call, invoice_id: str) -> list[Obj]:
    """Return the credit notes of an invoice that are not void."""
    notes = [row.body for row in rows(call, "credit_note", ("invoice", invoice_id))]
    return [note for note in notes if note["status"] == "issued"]


def _refunded(call: Call, invoice: Obj) -> int:
    """Return what was refunded of the invoice's payments without a credit note."""
    charges = [charge.body["amount_refunded"] for charge in _charges(call, invoice)]
    noted = [each["amount_refunded"] for note in issued(call, invoice["id"]) for each in note["refunds"]]
    return int(sum(charges) - sum(noted))


def _charges(call: Call, invoice: Obj) -> Iterator[Row]:
    for payment in rows(call, "invoice_payment", ("invoice", invoice["id"])):
        if payment.body["status"] == "paid":
            intent = must(call, "payment_intent", payment.body["payment"]["payment_intent"]).body
            yield must(call, "charge", intent["latest_charge"])


def _check_settled(call: Call, invoice: Obj, params: Mapping[str, Any], after: int) -> None:
    """Refuse a note unless refunds, credit and what is settled outside are what it exceeds the open amount by."""
    for name in _OUTSIDE:
        if params.get(name, 0) < 0:
            raise out_of_range(name, params[name], least=0)
    linked = sum(link["amount_refunded"] for link in _linked(call, invoice, params))
    given = sum(params.get(name, 0) for name in _OUTSIDE) + linked
    if given != after:
        raise invalid(
            f"The sum of refunds, credit_amount and out_of_band_amount must be {after}; it is {given}.", "credit_amount"
        )


def _linked(call: Call, invoice: Obj, params: Mapping[str, Any]) -> list[Obj]:
    """Return the existing refunds a request links, each of a payment of the invoice and not linked already."""
    charges = {charge.body["id"] for charge in _charges(call, invoice)}
    taken = {link["refund"] for note in issued(call, invoice["id"]) for link in note["refunds"]}
    links = []
    for index, given in enumerate(params.get("refunds", ())):
        at = f"refunds[{index}]"
        if given.get("type", "refund") != "refund":
            raise not_modelled("payment records", f"{at}[type]")
        if "refund" not in given:
            raise missing(f"{at}[refund]")
        refund = call.refer("refund", given["refund"], f"{at}[refund]")
        amount = given.get("amount_refunded", refund["amount"])
        if refund["charge"] not in charges or refund["id"] in taken or not 0 < amount <= refund["amount"]:
            raise invalid(f"The refund {refund['id']} cannot be linked to this credit note.", f"{at}[refund]")
        taken.add(refund["id"])
        links.append({"amount_refunded": amount, "refund": refund["id"], "type": "refund"})
    return links


def _lines(call: Call, invoice: Obj, params: Mapping[str, Any], ids: Ids) -> list[Obj]:
    if params.get("lines") and "amount" in params:
        raise exclusive("amount", "lines")
    if "amount" in params:
        custom = {"description": f"Credit for invoice {invoice['number']}", "unit_amount": params["amount"]}
        return [_custom_line(call, invoice, {**custom, "quantity": 1}, "", ids)]
    if not params.get("lines"):
        raise missing("amount")
    made: list[Obj] = []
    for index, given in enumerate(params["lines"]):
        at = f"lines[{index}]"
        if given.get("tax_amounts"):
            raise not_modelled("taxes that others compute", f"{at}[tax_amounts]")
        if given["type"] == "invoice_line_item":
            made.append(_credited_line(call, invoice, given, at, made, ids))
        else:
            made.append(_custom_line(call, invoice, given, at, ids))
    return made


def _custom_line(call: Call, invoice: Obj, given: Mapping[str, Any], at: str, ids: Ids) -> Obj:
    unit = given.get("unit_amount_decimal", given.get("unit_amount"))
    if unit is None:
        raise missing(f"{at}[unit_amount]")
    quantity = given.get("quantity", 1)
    amount = rounded(Fraction(Decimal(unit)) * quantity, call.settings)
    own = rates(call, given.get("tax_rates"), f"{at}[tax_rates]")
    return _line(
        call,
        ids,
        amount=amount,
        description=given.get("description"),
        metadata=given.get("metadata", {}),
        quantity=quantity,
        tax_rates=list(own),
        type="custom_line_item",
        unit_amount=given.get("unit_amount"),
        unit_amount_decimal=plain(Decimal(unit)),
        **_levied(call, invoice, amount, own),
    )


def _line(call: Call, ids: Ids, **fields: Any) -> Obj:
    return call.fill(call.families["credit_note_line_item"], ids("cnli_1", 23), **fields)


def _levied(call: Call, invoice: Obj, base: int, names: Sequence[str]) -> Obj:
    own = [must(call, "tax_rate", name).body for name in names]
    return taxes.levied([base], [own], invoice["customer_tax_exempt"], call.settings)[0]


def _credited_line(call: Call, invoice: Obj, given: Mapping[str, Any], at: str, made: Sequence[Obj], ids: Ids) -> Obj:
    """Return the credit of a line of the invoice: discounts and taxes in proportion, never more than the line."""
    named = given.get("invoice_line_item")
    if named is None:
        raise missing(f"{at}[invoice_line_item]")
    row = call.tx.find("line_item", named)
    if row is None or row.body["invoice"] != invoice["id"]:
        raise no_such("line item", named, f"{at}[invoice_line_item]")
    line = row.body
    if any(credit["type"] == "credit_balance_transaction" for credit in line["pretax_credit_amounts"]):
        raise not_modelled("credit notes of lines that credit grants paid for", f"{at}[invoice_line_item]")
    amount = _asked(call, line, given, at)
    before = sum(each["amount"] for each in made if each.get("invoice_line_item") == named)
    notes = {note["id"] for note in issued(call, invoice["id"])}
    earlier = (each.body for each in rows(call, "credit_note_line_item", ("invoice_line_item", named)))
    before += sum(each["amount"] for each in earlier if each["_note"] in notes)
    if not 0 < amount <= line["amount"] - before:
        raise out_of_range(f"{at}[amount]", amount, most=line["amount"] - before)
    part = Fraction(amount, line["amount"])
    less = [{**taken, "amount": rounded(taken["amount"] * part, call.settings)} for taken in line["discount_amounts"]]
    net = amount - sum(taken["amount"] for taken in less)
    return _line(
        call,
        ids,
        amount=amount,
        description=line["description"],
        discount_amount=amount - net,
        discount_amounts=less,
        invoice_line_item=named,
        metadata=given.get("metadata", {}),
        pretax_credit_amounts=[{**taken, "type": "discount"} for taken in less],
        quantity=given.get("quantity", 1),
        tax_rates=list(line["_tax_rates"]),
        type="invoice_line_item",
        _own_discounts=line["discounts"],
        **(
            {name: line[name] for name in ("taxes", "_spared")}
            if part == 1
            else _levied(call, invoice, net, line["_tax_rates"])
        ),
    )


def _asked(call: Call, line: Obj, given: Mapping[str, Any], at: str) -> int:
    if "amount" in given and "quantity" in given:
        raise exclusive(f"{at}[amount]", f"{at}[quantity]")
    if "amount" in given:
        return int(given["amount"])
    if "quantity" not in given:
        return int(line["amount"])
    whole = Fraction(Decimal(line["quantity_decimal"]))
    if not 0 < given["quantity"] <= whole:
        raise out_of_range(f"{at}[quantity]", given["quantity"], most=line["quantity_decimal"])
    return rounded(line["amount"] * given["quantity"] / whole, call.settings)


def _sums(found: Sequence[Obj]) -> Obj:
    """Return the sums of a note over its lines."""
    gross = sum(line["amount"] for line in found)
    off = sum(line["discount_amount"] for line in found)
    taken = [(each, line["_own_discounts"]) for line in found for each in line["discount_amounts"]]
    of_lines = sum(each["amount"] for each, own in taken if each["discount"] in own)
    inside = sum(taxes.of_behavior(line["taxes"], "inclusive") for line in found)
    on_top = sum(taxes.of_behavior(line["taxes"], "exclusive") for line in found)
    spared = sum(line["_spared"] for line in found)
    due = gross - off - spared
    return {
        "amount": due + on_top,
        "discount_amount": off,
        "discount_amounts": _by_discount(found, "discount_amounts"),
        "pretax_credit_amounts": _by_discount(found, "pretax_credit_amounts"),
        "subtotal": gross - of_lines,
        "subtotal_excluding_tax": gross - of_lines - spared - inside,
        "total": due + on_top,
        "total_excluding_tax": due - inside,
        "total_taxes": taxes.summed(found),
    }


def _by_discount(found: Sequence[Obj], name: str) -> list[Obj]:
    totals: dict[str, Obj] = {}
    for taken in (taken for line in found for taken in line[name]):
        held = totals.get(taken["discount"], {**taken, "amount": 0})
        totals[taken["discount"]] = {**held, "amount": held["amount"] + taken["amount"]}
    return list(totals.values())


def issue(call: Call, row: Row, draft: Draft, params: Mapping[str, Any]) -> Obj:
    """Store a credit note and do what it says: lower what is due, refund, credit the customer."""
    note, invoice = draft.note, row.body
    for line in draft.lines:
        call.insert(call.families["credit_note_line_item"], line)
    links = _linked(call, invoice, params)
    if params.get("refund_amount"):
        charge = next(iter(_charges(call, invoice)), None)
        if charge is None:
            raise invalid("No payment of this invoice can be refunded.", "refund_amount")
        made = refunds.refund(call, charge, params["refund_amount"])
        links.append({"amount_refunded": made["amount"], "refund": made["id"], "type": "refund"})
    if params.get("credit_amount"):
        credit, code = -params["credit_amount"], invoice["currency"]
        moved = adjust(call, invoice["customer"], credit, code, "credit_note", credit_note=note["id"])
        note = {**note, "customer_balance_transaction": moved["id"]}
    call.create(call.families["credit_note"], {**note, "refunds": links})
    names = ("post_payment_credit_notes_amount", "pre_payment_credit_notes_amount")
    amounts = (note["post_payment_amount"], note["pre_payment_amount"])
    changes = {name: invoice[name] + amount for name, amount in zip(names, amounts, strict=True)}
    collecting.lower(call, must(call, "invoice", invoice["id"]), note["pre_payment_amount"], **changes)
    return must(call, "credit_note", note["id"]).body


def void(call: Call, row: Row) -> Obj:
    """Take a credit note back: what it lowered is due again; only while its invoice is open."""
    note = row.body
    invoice = must(call, "invoice", note["invoice"])
    if note["status"] == "void":
        raise invalid("The credit note is void already.", "id")
    if invoice.body["status"] != "open" or note["type"] != "pre_payment":
        raise invalid("Only a credit note of an open invoice can be voided.", "id")
    lowered = invoice.body["pre_payment_credit_notes_amount"] - note["amount"]
    collecting.lower(call, invoice, -note["amount"], pre_payment_credit_notes_amount=lowered)
    family = call.families["credit_note"]
    return call.save(family, row, {**note, "status": "void", "voided_at": call.now}, "voided")
