"""What an account has earned: its invoices by what was sold, and its subscriptions by what they bring in.

Source: https://docs.stripe.com/api/invoices/object, https://docs.stripe.com/api/credit_notes/object and
https://docs.stripe.com/api/subscriptions/object. Whose an object is and what a price sells is read in owner marks.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus
from typing import Any, NamedTuple

from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.reads import Reader, refused
from reconciler.resources.mark import read_mark

#: What a part of an invoice is called where no owner mark says it.
OTHER, CREDITED = "other", "credit notes"
#: Intervals of a recurring price in a year.
_A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
_TENANTS = "tenants."
_NEVER = frozenset({"incomplete", "incomplete_expired"})


class Earned(NamedTuple):
    """An invoice. ``parts`` are minor units by what was sold, without taxes, less discounts and money credits.

    ``net`` is their sum: an invoice's total without taxes, less what its credit notes took back. ``paid`` is when it
    was paid, in seconds, ``None`` where it is not. ``tenant`` is empty for a customer without a mark of ours.
    """

    id: str
    customer: str
    tenant: str
    status: str
    currency: str
    total: int
    net: int
    created: int
    paid: int | None
    parts: Mapping[str, int]


class Subscribed(NamedTuple):
    """A subscription; ``yearly`` is what its prices paid ahead come to in a year, in minor units, before discounts.

    It is ``None`` where a price is in brackets. ``begun`` is when it is first paid for: behind its trial. Seconds.
    """

    id: str
    customer: str
    tenant: str
    plan: str
    status: str
    currency: str
    yearly: Fraction | None
    begun: int
    ended: int | None


class Earnings:
    """Reads invoices and subscriptions of a namespace's tenants; each price is read once."""

    def __init__(self, gateway: Gateway, namespace: str) -> None:
        self._gateway = gateway
        self._reader = Reader(gateway)
        self._namespace = namespace
        self._sold: dict[str, str] = {}

    def invoices(self, since: int) -> Iterator[Earned]:
        """Yield the invoices made since an instant in seconds; ProviderError where they cannot be read."""
        asked = {"created": {"gte": since}, "expand": ["data.customer"]}
        yield from map(self._earned, self._reader.pages("/v1/invoices", asked))

    def invoice(self, id: str) -> Earned | None:  # noqa: A002  the word for it everywhere
        """Return an invoice; ``None`` for one that is gone, as a draft may be; ProviderError as above."""
        path = f"/v1/invoices/{id}"
        try:
            found = self._gateway.get(path, {"expand": ["customer"]})
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                return None
            raise refused(error, path) from None
        return self._earned(found)

    def credited(self, since: int) -> Iterator[tuple[int, str]]:
        """Yield when credit notes made since an instant were, in seconds, and the invoices they are of."""
        for note in self._reader.pages("/v1/credit_notes", {"created": {"gte": since}}):
            yield note["created"], note["invoice"]

    def subscriptions(self) -> Iterator[Subscribed]:
        """Yield all subscriptions that have begun, ended ones too; ProviderError where they cannot be read."""
        for each in self._reader.pages("/v1/subscriptions", {"status": "all", "expand": ["data.customer"]}):
            if each["status"] not in _NEVER:
                yield self._subscribed(each)

    def _earned(self, invoice: Mapping[str, Any]) -> Earned:
        customer, tenant = self._customer(invoice["customer"])
        parts: dict[str, int] = {}
        for line in self._lines(invoice):
            part = self._part(((line.get("pricing") or {}).get("price_details") or {}).get("price"))
            parts[part] = parts.get(part, 0) + _net(line)
        without = invoice.get("total_excluding_tax")
        gross = invoice["total"] if without is None else without
        rest = gross - sum(parts.values())
        if rest:
            parts[OTHER] = parts.get(OTHER, 0) + rest
        if credited := self._credited(invoice):
            parts[CREDITED] = -credited
        paid = (invoice.get("status_transitions") or {}).get("paid_at")
        return Earned(
            invoice["id"],
            customer,
            tenant,
            invoice["status"],
            invoice["currency"],
            invoice["total"],
            gross - credited,
            invoice["created"],
            paid if invoice["status"] == "paid" else None,
            {part: amount for part, amount in sorted(parts.items()) if amount},
        )

    def _credited(self, invoice: Mapping[str, Any]) -> int:
        """Return what credit notes took back, without taxes; they are read where the invoice tells of some."""
        if not (invoice.get("post_payment_credit_notes_amount") or invoice.get("pre_payment_credit_notes_amount")):
            return 0
        notes = self._reader.pages("/v1/credit_notes", {"invoice": invoice["id"]})
        return sum(
            note["total"] if note["total_excluding_tax"] is None else note["total_excluding_tax"]
            for note in notes
            if note["status"] != "void"
        )

    def _lines(self, invoice: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if not invoice["lines"]["has_more"]:
            yield from invoice["lines"]["data"]
            return
        yield from self._reader.pages(f"/v1/invoices/{invoice['id']}/lines", {})

    def _part(self, price: str | None) -> str:
        """Return what a price sells: ``plans.X``, ``credit_packs.X``, ``tenants`` for terms of one's own."""
        if price is None:
            return OTHER
        if price not in self._sold:
            self._sold[price] = self._address(self._reader.get(f"/v1/prices/{price}", {}))
        return part_of(self._sold[price])

    def _address(self, marked: Mapping[str, Any]) -> str:
        mark = read_mark(marked.get("metadata") or {})
        return mark.address if mark is not None and mark.namespace == self._namespace else ""

    def _customer(self, customer: Any) -> tuple[str, str]:
        """Return a customer's id and the tenant it is marked as."""
        if customer is None:
            return "", ""
        address = self._address(customer)
        tenant = address.removeprefix(_TENANTS) if address.startswith(_TENANTS) else ""
        return customer["id"], tenant

    def _subscribed(self, subscription: Mapping[str, Any]) -> Subscribed:
        customer, tenant = self._customer(subscription["customer"])
        items = list(self._items(subscription))
        addresses = [self._address(item["price"]) for item in items]
        plan = next((each.split(".")[1] for each in addresses if each.startswith("plans.")), "")
        return Subscribed(
            subscription["id"],
            customer,
            tenant,
            plan,
            subscription["status"],
            subscription["currency"],
            _yearly(items),
            max(subscription["start_date"], subscription.get("trial_end") or 0),
            subscription["ended_at"],
        )

    def _items(self, subscription: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if not subscription["items"]["has_more"]:
            yield from subscription["items"]["data"]
            return
        yield from self._reader.pages("/v1/subscription_items", {"subscription": subscription["id"]})


def part_of(address: str) -> str:
    """Return what the price of an address sells, as figures name it."""
    section, _, rest = address.partition(".")
    if section in ("plans", "credit_packs"):
        return f"{section}.{rest.partition('.')[0]}"
    return "tenants" if section == "tenants" else OTHER


def _net(line: Mapping[str, Any]) -> int:
    """Return what a line comes to without taxes, less discounts and money credits."""
    off = sum(each["amount"] for each in line.get("discount_amounts") or ())
    off += sum(each["amount"] for each in line.get("pretax_credit_amounts") or () if each.get("type") != "discount")
    inclusive = sum(each["amount"] for each in line.get("taxes") or () if each.get("tax_behavior") == "inclusive")
    return int(line["amount"] - off - inclusive)


def _yearly(items: list[Mapping[str, Any]]) -> Fraction | None:
    total = Fraction(0)
    for item in items:
        price, recurring = item["price"], item["price"]["recurring"]
        if recurring["usage_type"] == "metered":
            continue
        if price["unit_amount_decimal"] is None:
            return None
        times = Fraction(_A_YEAR[recurring["interval"]], recurring["interval_count"])
        total += Fraction(Decimal(str(price["unit_amount_decimal"]))) * (item.get("quantity") or 0) * times
    return total
