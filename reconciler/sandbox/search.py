"""Search: ``GET /v1/<resource>/search`` over what is stored (https://docs.stripe.com/search).

Under a ``search_lag`` the index is behind: what is found is judged by how it was so many seconds ago, and shown as it
is now, as Stripe does (stripe/stripe-js#663).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter

from reconciler.sandbox.errors import invalid, out_of_range
from reconciler.sandbox.lists import DEFAULT_LIMIT, MAX_LIMIT
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.search_query import FieldType, Query, parse
from reconciler.sandbox.store import END, EVERYTHING, Row, Window
from reconciler.sandbox.wire import Obj

_CHUNK = 128
_PAGE = re.compile(r"(-?\d{1,18}) (\d{1,18})")


@dataclass(frozen=True, slots=True)
class Resource:
    """What can be searched: its name in the URL, its fields, and where those stand that are not at their own name."""

    name: str
    params: str
    fields: Mapping[str, FieldType]
    paths: Mapping[str, str] = field(default_factory=dict)


def _fields(tokens: str, *, numeric: str = "", string: str = "") -> dict[str, FieldType]:
    """Return the named fields with their types; everything has ``metadata``."""
    return {
        **dict.fromkeys(("metadata", *tokens.split()), "token"),
        **dict.fromkeys(numeric.split(), "numeric"),
        **dict.fromkeys(string.split(), "string"),
    }


_CARD = " ".join(
    f"payment_method_details.*.{name}" for name in ("brand", "exp_month", "exp_year", "fingerprint", "last4")
)

#: Source: https://docs.stripe.com/search#supported-query-fields-for-each-resource.
RESOURCES: Mapping[str, Resource] = {
    "charge": Resource(
        "charges",
        "ChargeSearchParams",
        _fields(
            f"billing_details.address.postal_code currency customer disputed refunded status {_CARD}",
            numeric="amount created",
        ),
    ),
    "customer": Resource(
        "customers", "CustomerSearchParams", _fields("", numeric="created", string="email name phone")
    ),
    "invoice": Resource(
        "invoices",
        "InvoiceSearchParams",
        _fields(
            "currency customer last_finalization_error_code last_finalization_error_type number receipt_number status "
            "subscription",
            numeric="created total",
        ),
        {
            "last_finalization_error_code": "last_finalization_error.code",
            "last_finalization_error_type": "last_finalization_error.type",
            "subscription": "parent.subscription_details.subscription",
        },
    ),
    "payment_intent": Resource(
        "payment_intents", "PaymentIntentSearchParams", _fields("currency customer status", numeric="amount created")
    ),
    "price": Resource("prices", "PriceSearchParams", _fields("active currency lookup_key product type")),
    "product": Resource("products", "ProductSearchParams", _fields("active shippable", string="description name url")),
    "subscription": Resource(
        "subscriptions", "SubscriptionSearchParams", _fields("status", numeric="canceled_at created")
    ),
}


def searchable(family: Family) -> Family:
    """Return the family with its route of search, if Stripe has one."""
    resource = RESOURCES.get(family.kind)
    if resource is None:
        return family
    route = Route("GET", f"/v1/{resource.name}/search", resource.params, _search, lists=True, counts=True)
    return replace(family, routes=(*family.routes, route))


def _search(call: Call) -> Obj:
    """Return a page of what is found, newest first."""
    resource = RESOURCES[call.family.kind]
    limit = call.params.get("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise out_of_range("limit", limit, least=1)
    if limit > MAX_LIMIT:
        raise out_of_range("limit", limit, most=MAX_LIMIT)
    query = parse(call.params["query"], resource.name, resource.fields, resource.paths)
    below = _position(call.params["page"]) if "page" in call.params else END
    counted = "total_count" in call.params.get("expand", ())
    found = list(_found(call, query, END)) if counted else _found(call, query, below)
    page = list(islice((row for row in found if (row.created, row.seq) < below), limit + 1))
    more, page = len(page) > limit, page[:limit]
    reply = {
        "object": "search_result",
        "url": call.url,
        "has_more": more,
        "data": [row.body for row in page],
        "next_page": _token(page[-1]) if more else None,
    }
    return {**reply, "total_count": len(found)} if isinstance(found, list) else reply


def _found(call: Call, query: Query, below: tuple[int, int]) -> Iterator[Row]:
    """Yield the objects before a position that match, newest first."""
    lag = call.lag("search_lag")
    window, like = Window(_CHUNK, below=below), () if lag else query.like()
    for row in call.tx.walk(call.family.kind, [EVERYTHING], window, like):
        indexed = _indexed(call, row.body, call.own_now - lag) if lag else row.body
        hidden = row.body.get("test_clock") and not call.settings.search_finds_test_clock_objects
        if indexed is not None and not hidden and query.holds(indexed):
            yield row


def _indexed(call: Call, obj: Obj, until: int) -> Obj | None:
    """Return an object as its last event up to a time had it, ``None`` if it had none by then."""
    events = call.tx.walk("event", [("object_id", obj["id"])], Window(_CHUNK))
    past = (row for row in events if row.body["_at"] <= until)
    told = [(row.seq, row.body["data"]["object"]) for row in past]
    known = [each for each in told if each[1]["object"] == call.family.kind]
    return max(known, key=itemgetter(0))[1] if known else None


def _token(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row.created} {row.seq}".encode()).decode()


def _position(token: str) -> tuple[int, int]:
    try:
        match = _PAGE.fullmatch(base64.urlsafe_b64decode(token.encode()).decode())
    except (binascii.Error, UnicodeError):
        match = None
    if match is None:
        raise invalid("Invalid page: it must be the next_page of an earlier answer.", "page")
    return int(match[1]), int(match[2])
