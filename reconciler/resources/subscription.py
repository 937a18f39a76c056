"""Subscriptions (https://docs.stripe.com/api/subscriptions): what a tenant is charged, and how.

Prices never change, so a change of one makes a successor, and whoever is subscribed stays with the predecessor until
the item is moved: not at all where the price is grandfathered, by a schedule from the next renewal on, or at once. What
a customer has cancelled is never taken up again by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.contracts import subscription_items
from reconciler.config.models import Tenant
from reconciler.config.parts import billed_currency
from reconciler.resources.items import address_of, coming, facts_of, is_made_here, item_of, patch_items, schedule_of
from reconciler.resources.model import (
    DIGEST,
    NOTHING,
    Field,
    Fitted,
    Json,
    Kind,
    Mode,
    Removal,
    Resource,
    Stage,
    There,
    Values,
    canonical_json,
    live_id,
    live_price,
    ref,
)

#: Statuses of subscriptions that will never be billed again.
OVER = frozenset(("canceled", "incomplete_expired"))
#: What the mark says of one that we have cancelled: the tenant left the files. Others were cancelled by somebody else.
LEFT = "left"
#: The field that lets a subscription run out with its period.
ENDING = "cancel_at_period_end"
#: Metadata that remembers the coupon that was given: one that is used up is gone from the subscription.
COUPON = "reconciler_coupon"
#: How a change reaches the subscriber, and what Stripe is to do about the days of the period that are left.
PRORATION = {"now": "none", "now_prorated": "create_prorations"}


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield a subscription for each tenant that declares one."""
    file = catalog.file
    for name, tenant in file.tenants.items():
        terms = tenant.subscription
        if terms is None:
            continue
        items = subscription_items(file, name)
        policies = {item.address: item.on_change for item in items} | {"": terms.on_change}
        coupon = file.coupons.get(terms.coupon or "")
        if coupon is not None and coupon.duration != "forever":
            policies["discounts"] = ",".join(_once_called(catalog, terms.coupon or ""))
        yield Resource(
            kind=KIND,
            address=f"tenants.{name}.subscription",
            key=None,
            values=KIND.canonical(_values(catalog, name, tenant, [(item.address, item.quantity) for item in items])),
            metadata={**terms.metadata, **({COUPON: terms.coupon} if terms.coupon else {})},
            source=catalog.at("tenants", name, "subscription"),
            policies=policies,
        )


def _once_called(catalog: Catalog, coupon: str) -> list[str]:
    """Return the name of a coupon and those it had before: one that is renamed is given to nobody again."""
    old = (source for source, target in catalog.moved.items() if target == f"coupons.{coupon}")
    return [coupon, *(source.removeprefix("coupons.") for source in old)]


def _values(catalog: Catalog, name: str, tenant: Tenant, items: Sequence[tuple[str, int | None]]) -> Values:
    terms = tenant.subscription
    assert terms is not None  # noqa: S101  checked by the caller
    plan = catalog.file.plans.get(tenant.plan or "")
    return {
        "customer": ref(f"tenants.{name}"),
        "currency": billed_currency(catalog.file, name),
        "items": [item_of(ref(address), quantity) for address, quantity in items],
        "collection_method": terms.collection,
        "days_until_due": terms.days_until_due,
        "discounts": [{"coupon": ref(f"coupons.{terms.coupon}")}] if terms.coupon else [],
        "default_tax_rates": [ref(f"tax_rates.{rate}") for rate in terms.tax_rates],
        "trial_period_days": terms.trial_days or (plan.trial_days if plan else None),
    }


def _items(live: Mapping[str, Any]) -> Json:
    return [item_of(live_price(each["price"]), each.get("quantity")) for each in live["items"]["data"]]


def _discounts(live: Mapping[str, Any]) -> Json:
    found = [each for each in live.get("discounts") or [] if isinstance(each, Mapping)]
    return [{"coupon": live_id("coupon", (each.get("source") or {}).get("coupon"))} for each in found]


def _tax_rates(live: Mapping[str, Any]) -> Json:
    return [live_id("tax_rate", each) for each in live.get("default_tax_rates") or []]


def _days(live: Mapping[str, Any]) -> Json:
    return live.get("days_until_due") if live.get("collection_method") == "send_invoice" else None


def _said(_before: Json, after: Json) -> Json:
    """Say how long invoices wait where they are sent; where they are charged there is nothing to say or clear."""
    return NOTHING if after is None else after


def _ending(live: Mapping[str, Any]) -> bool:
    """Tell whether it is cancelled; while a schedule of ours runs, Stripe has that said by the schedule alone."""
    schedule = schedule_of(live)
    called_off = is_made_here(schedule) and schedule.get("end_behavior") == "cancel"
    return bool(live.get(ENDING) or live.get("cancel_at") or called_off)


def fit(resource: Resource, there: There | None, at: Callable[[str], There | None]) -> Fitted:
    """Return what is asked of a subscription that is there: which predecessors it keeps, moves from, or leaves later.

    A new one is charged by itself only where there is something to charge; otherwise its first invoice waits to be paid
    (https://docs.stripe.com/api/subscriptions/create#create_subscription-payment_behavior).
    """
    asked = resource.values
    if there is not None and there.facts.get("status") in OVER:
        # Whoever had it had its trial.
        asked = {name: value for name, value in asked.items() if name != "trial_period_days"}
        there = None
    if there is None:
        customer = at(asked["customer"]["$ref"])
        automatic = asked.get("collection_method") != "send_invoice"
        pays = customer is not None and bool(customer.facts.get("pays"))
        return Fitted({**asked, "payment_behavior": "default_incomplete"} if automatic and not pays else asked)
    values = KIND.lasting(asked)
    if there.metadata.get(COUPON) in resource.policies.get("discounts", "").split(","):
        values = _kept(values, there, "discounts")
    if there.values.get(ENDING) and there.metadata.get(DIGEST) != LEFT:
        return Fitted(_kept(values, there, "items", "next", "scheduled", ENDING))
    if there.facts.get("status") == "incomplete":
        return _waiting(resource, there, values)
    plan = _plan(resource, there)
    if there.facts.get("strange"):
        refusal = f"schedule {there.facts['schedule']} of somebody else's plans other items for it"
        asks = plan.now != _sorted(there.values["items"]) or plan.later != plan.now
        return Fitted(_kept(values, there, "items", "next", "scheduled"), refusal=refusal if asks else None)
    return plan.fitted(values, there)


def _waiting(resource: Resource, there: There, values: Values) -> Fitted:
    """Leave one whose first payment is due as it is: Stripe changes nothing of it until it is paid or over."""
    kept = _kept(values, there, *there.values, *values)
    changed = there.metadata.get(DIGEST) != resource.digest
    why = "its first invoice waits to be paid, and until then, for 23 hours at most, Stripe changes nothing of it"
    return Fitted(kept, refusal=why if changed else None)


def _kept(values: Values, there: There, *names: str) -> Values:
    others = {name: value for name, value in values.items() if name not in names}
    return others | {name: there.values[name] for name in names if name in there.values}


@dataclass
class _Plan:
    """The items a subscription is to have now, and from its next renewal on; by which policies it changes at once."""

    now: list[Values] = field(default_factory=list)
    later: list[Values] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)
    unbilled: bool = False

    def add(self, now: Values | None, later: Values | None, policy: str | None = None) -> None:
        """Add an item as it is now and as it will be; a policy where it changes at once."""
        self.now += [now] if now else []
        self.later += [later] if later else []
        self.policies |= {policy} if policy else set()

    def move(self, found: Values, item: Values, policy: str, own: str) -> None:
        """Add an item that moves to a successor by the price's policy; how many of it there are goes by the own one."""
        at_once = {} if policy == "at_renewal" else {"price": item["price"]}
        counted = "quantity" in item and item["quantity"] != found.get("quantity") and own != "at_renewal"
        at_once |= {"quantity": item["quantity"]} if counted else {}
        self.add({**found, **at_once}, item, policy if "price" in at_once else None)
        self.policies |= {own} if counted else set()

    def fitted(self, values: Values, there: There) -> Fitted:
        """Return all that is asked of the subscription."""
        now, later = _sorted(self.now), _sorted(self.later)
        asked = values | {"items": now}
        if later != now:
            asked |= {"next": later, "scheduled": True}
        elif there.values.get("scheduled") and "next" not in there.values:
            asked["scheduled"] = True
        if len(self.policies) > 1:
            return Fitted(asked, refusal="its items would change by different policies at once: now and now_prorated")
        if self.unbilled:
            return Fitted(asked, refusal="on_change: now would leave the usage of this period unbilled")
        policy = next(iter(self.policies), "at_renewal" if later != now else None)
        return Fitted(asked, policy)


def _plan(resource: Resource, there: There) -> _Plan:
    plan, left = _Plan(), list(there.values["items"])
    planned, own = there.values.get("next") or [], resource.policies[""]
    for item in resource.values["items"]:
        address = item["price"]["$ref"]
        here = [each for each in left if address_of(each["price"], there.namespace) == address]
        found = next((each for each in here if each["price"] == item["price"]), None) or next(iter(here), None)
        if found is None:
            plan.add(*_by(own, None, item))
            continue
        left.remove(found)
        successor = item["price"] if found["price"] != item["price"] else None
        held = {**item, "price": found["price"]}
        policy = resource.policies.get(address, "grandfather")
        if successor is None or policy == "grandfather":
            promised = next((each for each in planned if address_of(each["price"], there.namespace) == address), held)
            plan.add(*_by(own, found, held, promised["price"] if successor else None))
            continue
        plan.move(found, item, policy if "quantity" in item else "at_renewal", own)
    for found in left:
        plan.unbilled |= own == "now" and "quantity" not in found
        plan.add(*_by(own, found, None))
    return plan


def _by(
    policy: str, before: Values | None, after: Values | None, promised: Json = None
) -> tuple[Values | None, Values | None, str | None]:
    """Return an item now, later, and by which policy it changes now; ``promised`` is the price it goes on with."""
    later = {**after, "price": promised} if after and promised else after
    if before == after:
        return before, later, None
    return (before, later, None) if policy == "at_renewal" else (after, later, policy)


def _sorted(items: Sequence[Values]) -> list[Values]:
    return sorted(items, key=canonical_json)


_CONNECT = "payments on behalf of connected accounts belong to platforms"
_PAYMENT = "how a customer pays is the customer's to say, in the portal or at checkout"
_ANCHOR = "a period begins when the subscription does, or when its trial ends"
_LATER = "what happens to one subscription by hand is left to the dashboard"

KIND = Kind(
    name="subscription",
    path="/v1/subscriptions",
    key=None,
    create_stage=Stage.CONTRACT,
    retire_stage=Stage.END,
    removal=Removal.END,
    desire=desire,
    contract=True,
    facts=facts_of,
    fit=fit,
    within="customer",
    spent="discounts",
    expand=("discounts", "schedule"),
    fields=(
        Field("customer", Mode.CREATE_ONLY, read=lambda live: live_id("customer", live["customer"])),
        Field("currency", Mode.CREATE_ONLY, yaml="currency"),
        Field("items", Mode.MUTABLE, read=_items, patch=patch_items, yaml="plan", unordered=True),
        Field("collection_method", Mode.MUTABLE, default="charge_automatically", yaml="collection"),
        Field("days_until_due", Mode.MUTABLE, read=_days, patch=_said, yaml="days_until_due"),
        Field("discounts", Mode.MUTABLE, read=_discounts, unset="", yaml="coupon"),
        Field("default_tax_rates", Mode.MUTABLE, read=_tax_rates, unset="", yaml="tax_rates", unordered=True),
        Field(ENDING, Mode.MUTABLE, default=False, read=_ending),
        Field("trial_period_days", Mode.ONCE, yaml="trial_days"),
        Field("payment_behavior", Mode.ONCE),
        Field("scheduled", Mode.DERIVED, default=False, read=lambda live: bool(schedule_of(live))),
        Field("next", Mode.DERIVED, read=coming, yaml="on_change", unordered=True),
    ),
    unmanaged={
        "add_invoice_items": "what is charged once is no property of a subscription",
        "application_fee_percent": _CONNECT,
        "automatic_tax": "automatic tax needs a registration, which the files do not describe",
        "backdate_start_date": _ANCHOR,
        "billing_cycle_anchor": _ANCHOR,
        "billing_cycle_anchor_config": _ANCHOR,
        "billing_mode": "new subscriptions follow the mode of the API version",
        "billing_schedules": _LATER,
        "billing_thresholds": "invoices come with the period, not with an amount",
        "cancel_at": _LATER,
        "cancellation_details": _LATER,
        "customer_account": "a tenant is a customer, not an account of another platform",
        "default_payment_method": _PAYMENT,
        "default_source": _PAYMENT,
        "description": "what it is about is told by its items and metadata",
        "invoice_settings": _LATER,
        "off_session": "whether the customer is there is a matter of payments, not of files",
        "on_behalf_of": _CONNECT,
        "pause_collection": _LATER,
        "payment_settings": _PAYMENT,
        "pending_invoice_item_interval": "usage is metered, and nothing else is billed between invoices",
        "proration_behavior": "said with each change, by the policy of what changes",
        "proration_date": "a change holds from when it is made",
        "transfer_data": _CONNECT,
        "trial_end": "a trial is said in days, when the subscription is made",
        "trial_from_plan": "trials belong to plans and tenants of the files, never to a price",
        "trial_settings": "a trial that ends is billed, as is Stripe's default",
    },
)
