"""Invoices (https://docs.stripe.com/api/invoices): what each request does to them.

How an invoice is made, computed, finalized and paid is in the billing room.
"""

from collections.abc import Iterable

from reconciler.sandbox.billing import collecting, discounts, drafts, editing, previews
from reconciler.sandbox.billing.balance import currency_of
from reconciler.sandbox.errors import ApiError, exclusive, invalid
from reconciler.sandbox.lists import filters_in, named_in, page
from reconciler.sandbox.objects import invoice_fields as fields
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, retrieve, unmodelled
from reconciler.sandbox.objects.invoice_template import TEMPLATE
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Row, Term
from reconciler.sandbox.walks import moments
from reconciler.sandbox.wire import Obj

NUMBER = "invoice.number"
_RANGES = ("due_date",)
_ACCOUNT = frozenset({"customer_account"})


def _create(call: Call) -> Obj:
    params = call.params
    customer = call.needed("customer")
    call = call.on_clock_of(customer)
    subscription = _subscription(call, customer)
    code = currency(params["currency"]) if "currency" in params else currency_of(call, customer)
    invoice_id = drafts.new_id(call)
    blank = drafts.blank(call, invoice_id, customer=customer, currency=code, subscription=subscription)
    described = fields.described(call, blank, params)
    redeemed = None
    if "discounts" in params:
        redeemed = discounts.attach(
            call,
            params["discounts"],
            customer=customer,
            currency=code,
            amount=0,
            ancestors=[subscription["id"] if subscription else None],
            invoice=invoice_id,
        )
    return drafts.draft(
        call,
        **{name: described[name] for name in _DRAFTED},
        customer=customer,
        currency=code,
        charges=(),
        billing_reason="manual",
        period=(call.now, call.now),
        subscription=subscription,
        discounts=redeemed,
        include_pending_items=params.get("pending_invoice_items_behavior") == "include",
        invoice_id=invoice_id,
    )


#: What a request says of an invoice and its draft takes over.
_DRAFTED = (
    *("auto_advance", "collection_method", "custom_fields", "default_payment_method", "default_source"),
    *("default_tax_rates", "description", "due_date", "effective_at", "footer", "metadata", "number"),
    *("payment_settings", "rendering", "shipping_details", "statement_descriptor"),
    *("_days_until_due", "_finalizes_at"),
)


def _subscription(call: Call, customer: Obj) -> Obj | None:
    if "subscription" not in call.params:
        return None
    subscription = call.refer("subscription", call.params["subscription"], "subscription")
    if subscription["customer"] != customer["id"]:
        raise invalid(f"The subscription {subscription['id']} is another customer's.", "subscription")
    return subscription


def _at_work(call: Call) -> tuple[Call, Row]:
    """Return the invoice of the URL, and the call at its time."""
    row = call.row()
    return call.on_clock_of(row.body), row


def _update(call: Call) -> Obj:
    call, row = _at_work(call)
    params, invoice = call.params, row.body
    if invoice["status"] != "draft":
        fields.check_final(invoice, params)
        changed = fields.described(call, invoice, params)
        return call.save(FAMILY, row, collecting.rescheduled(call, invoice, changed))
    changed = fields.described(call, invoice, params)
    if changed["auto_advance"] and not invoice["auto_advance"] and changed["_finalizes_at"] is None:
        changed["_finalizes_at"] = call.now + drafts.DRAFT_SECONDS
    if "discounts" in params:
        customer = drafts.customer_of(call, invoice)
        code, amount = invoice["currency"], invoice["subtotal"]
        changed["discounts"] = discounts.attach(
            call,
            params["discounts"],
            customer=customer,
            currency=code,
            amount=amount,
            ancestors=[drafts.subscription_of(invoice)],
            invoice=invoice["id"],
        )
    return drafts.recompute(call, row, **changed)


def _delete(call: Call) -> Obj:
    call, row = _at_work(call)
    if row.body["status"] != "draft" or row.body["parent"] is not None:
        raise invalid("You can only delete draft invoices that are not a subscription's.", "invoice")
    return editing.delete_draft(call, row)


def _finalize(call: Call) -> Obj:
    call, row = _at_work(call)
    if row.body["status"] != "draft":
        # Observed.
        message = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
        raise invalid(message, "invoice", "invoice_not_editable")
    if "auto_advance" in call.params:
        drafts.recompute(call, row, auto_advance=call.params["auto_advance"])
        row = call.row()
    return collecting.finalize(call, row)


def _pay(call: Call) -> Obj:
    call, row = _at_work(call)
    params = call.params
    outside = params.get("paid_out_of_band", False)
    if outside and "payment_method" in params:
        raise exclusive("paid_out_of_band", "payment_method")
    if row.body["status"] == "draft":
        collecting.finalize(call, row)
        row = call.row()
        if row.body["status"] == "paid":
            return row.body
    if row.body["status"] == "paid":
        raise invalid("Invoice is already paid", "invoice")
    if row.body["status"] == "void":
        raise invalid("A voided invoice cannot be paid.", "invoice")
    if outside:
        return collecting.pay_elsewhere(call, row)
    method = params.get("payment_method")
    outcome = collecting.collect(call, row, off_session=params.get("off_session", True), payment_method=method)
    if outcome.error:
        raise outcome.error
    if outcome.status == "requires_action":
        raise _needs_customer()
    return call.row().body


def _needs_customer() -> ApiError:
    """Return the refusal of a payment its customer must authenticate (dotpngn/flutter-stripe-subscription#1)."""
    return ApiError(
        402,
        "This payment requires additional user action before it can be completed successfully. Payment can be "
        "completed using the PaymentIntent associated with the invoice.",
        error_type="card_error",
        code="invoice_payment_intent_requires_action",
        keeps_writes=True,
    )


def _send(call: Call) -> Obj:
    call, row = _at_work(call)
    if row.body["collection_method"] != "send_invoice":
        raise invalid("You can only send invoices with `collection_method=send_invoice`.", "invoice")
    if row.body["status"] == "draft":
        collecting.finalize(call, row)
        row = call.row()
    if row.body["status"] not in {"open", "paid", "uncollectible"}:
        raise invalid("A voided invoice cannot be sent.", "invoice")
    return collecting.send(call, row)


def _void(call: Call) -> Obj:
    call, row = _at_work(call)
    return collecting.void(call, row)


def _mark_uncollectible(call: Call) -> Obj:
    call, row = _at_work(call)
    return collecting.mark_uncollectible(call, row)


def _editable(call: Call) -> tuple[Call, Row]:
    call, row = _at_work(call)
    return call, editing.draft_row(call, row.body["id"])


def _add_lines(call: Call) -> Obj:
    call, row = _editable(call)
    metadata = editing.metadata_of(row.body, call.params, "invoice_metadata")
    return editing.add_lines(call, row, call.params["lines"], metadata)


def _update_lines(call: Call) -> Obj:
    call, row = _editable(call)
    metadata = editing.metadata_of(row.body, call.params, "invoice_metadata")
    return editing.update_lines(call, row, call.params["lines"], metadata)


def _remove_lines(call: Call) -> Obj:
    call, row = _editable(call)
    metadata = editing.metadata_of(row.body, call.params, "invoice_metadata")
    return editing.remove_lines(call, row, call.params["lines"], metadata)


def _list(call: Call) -> Obj:
    params = call.params
    filters = named_in(call, "subscription", "customer") + filters_in(params, "status", "collection_method")
    return page(call, FAMILY, *filters, ranges={name: params[name] for name in _RANGES if name in params})


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, obj[name]) for name in ("customer", "status", "collection_method"))
    if subscription := drafts.subscription_of(obj):
        yield "subscription", subscription
    yield from moments(obj, _RANGES)


def _claims(obj: Obj, _: Settings) -> Iterable[Claim]:
    if obj["number"]:
        yield NUMBER, obj["number"]


def _collision(claim: Claim, _: str) -> ApiError:
    return invalid(f"The invoice number {claim[1]} is already in use.", "number")


def _addresses(obj: Obj, base_url: str) -> Obj:
    if obj["status_transitions"]["finalized_at"] is None:
        return {}
    page_url = f"{base_url}/i/{obj['id']}"
    return {"hosted_invoice_url": page_url, "invoice_pdf": f"{page_url}/pdf"}


FAMILY = Family(
    kind="invoice",
    noun="invoice",
    missing_param="invoice",
    hidden=frozenset({"confirmation_secret"}),
    references={
        "customer": "customer",
        "default_payment_method": "payment_method",
        "default_source": "card",
        "discounts": "discount",
        "parent.subscription_details.subscription": "subscription",
        "test_clock": "test_helpers.test_clock",
        "total_discount_amounts.discount": "discount",
        "total_pretax_credit_amounts.credit_balance_transaction": "billing.credit_balance_transaction",
        "total_pretax_credit_amounts.discount": "discount",
    },
    embeds={"default_tax_rates": "tax_rate"},
    nested={
        "lines": Nested("line_item", "invoice", "/v1/invoices/{id}/lines"),
        "payments": Nested("invoice_payment", "invoice", "/v1/invoice_payments?invoice={id}", hidden=True),
    },
    addresses=_addresses,
    lengths=fields.LENGTHS,
    terms=_terms,
    claims=_claims,
    collision=_collision,
    due_at=collecting.due_at,
    when_due=collecting.advance,
    rank=10,
    reacts={
        "customer.deleted": collecting.abandon,
        "payment_intent.payment_failed": collecting.fail,
        "payment_intent.requires_action": collecting.wait,
        "payment_intent.succeeded": collecting.settle,
    },
    template=TEMPLATE,
    routes=(
        Route(
            "POST",
            "/v1/invoices",
            "InvoiceCreateParams",
            _create,
            refused=fields.REFUSED | _ACCOUNT | {"from_invoice"},
            accepted=fields.ACCEPTED,
        ),
        Route("GET", "/v1/invoices", "InvoiceListParams", _list, lists=True, refused=_ACCOUNT),
        Route(
            "POST",
            "/v1/invoices/create_preview",
            "InvoiceCreatePreviewParams",
            previews.create,
            refused=_ACCOUNT | {"on_behalf_of", "preview_mode"},
            accepted=frozenset({"issuer"}),
        ),
        Route("GET", "/v1/invoices/{id}", "InvoiceRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/invoices/{id}",
            "InvoiceUpdateParams",
            _update,
            blanks=frozenset({"description", "footer", "statement_descriptor"}),
            refused=fields.REFUSED,
            accepted=fields.ACCEPTED,
        ),
        Route("DELETE", "/v1/invoices/{id}", "InvoiceDeleteParams", _delete),
        Route("POST", "/v1/invoices/{id}/add_lines", "InvoiceAddLinesParams", _add_lines),
        Route("POST", "/v1/invoices/{id}/update_lines", "InvoiceUpdateLinesParams", _update_lines),
        Route("POST", "/v1/invoices/{id}/remove_lines", "InvoiceRemoveLinesParams", _remove_lines),
        Route("POST", "/v1/invoices/{id}/attach_payment", "InvoiceAttachPaymentParams", unmodelled),
        Route("POST", "/v1/invoices/{id}/finalize", "InvoiceFinalizeInvoiceParams", _finalize),
        Route(
            "POST",
            "/v1/invoices/{id}/pay",
            "InvoicePayParams",
            _pay,
            refused=frozenset({"forgive", "mandate", "source"}),
        ),
        Route("POST", "/v1/invoices/{id}/send", "InvoiceSendInvoiceParams", _send),
        Route("POST", "/v1/invoices/{id}/void", "InvoiceVoidInvoiceParams", _void),
        Route("POST", "/v1/invoices/{id}/mark_uncollectible", "InvoiceMarkUncollectibleParams", _mark_uncollectible),
    ),
)
