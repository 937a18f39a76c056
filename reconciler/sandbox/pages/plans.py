"""One subscription in the portal: what it is, and the forms to change, cancel, keep, pause and resume it.

Source: https://docs.stripe.com/customer-management/configure-portal.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from reconciler.sandbox.acting import act
from reconciler.sandbox.billing import rating
from reconciler.sandbox.billing.charges import money
from reconciler.sandbox.billing.checkout import usable_code
from reconciler.sandbox.billing.periods import advance
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.errors import invalid, not_modelled
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.cart_item import MOST_QUANTITY, is_metered
from reconciler.sandbox.pages.html import Html, button, choice, field, form, tag
from reconciler.sandbox.pages.order import each
from reconciler.sandbox.pages.visit import LINE_LENGTH, Visit, whole_number
from reconciler.sandbox.wire import Obj

#: The flows that are about one subscription.
FLOWS = ("subscription_cancel", "subscription_pause", "subscription_update", "subscription_update_confirm")
_SUBSCRIPTION = "/v1/subscriptions/{id}"
_OWN = "billing.feedback_option"
_REASONS = {
    "customer_service": "Customer service was less than expected",
    "low_quality": "Quality was less than expected",
    "missing_features": "Some features are missing",
    "other": "Other reason",
    "switched_service": "I\u2019m switching to a different service",
    "too_complex": "Ease of use was less than expected",
    "too_expensive": "It\u2019s too expensive",
    "unused": "I don\u2019t use the service enough",
}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def section(visit: Visit, subscription: Obj, features: Obj, flow: Obj | None) -> Html:
    """Return what the portal shows of a subscription; a flow shows the one form it is about."""
    only = flow["type"].removesuffix("_confirm") if flow else None
    items = items_of(visit.call, subscription)
    forms: list[Html | None] = []
    leaving = subscription["cancel_at_period_end"] or subscription["cancel_at"] is not None
    if features["subscription_update"]["enabled"] and not leaving and only in {None, "subscription_update"}:
        forms.append(_change_form(visit, subscription, items, features["subscription_update"], flow))
    if features["subscription_pause"]["enabled"] and only in {None, "subscription_pause"}:
        forms.append(_pause_form(visit, subscription, features["subscription_pause"]))
    if features["subscription_cancel"]["enabled"] and only in {None, "subscription_cancel"}:
        cancel_form = _keep_form if leaving else _cancel_form
        forms.append(cancel_form(visit, subscription, features["subscription_cancel"]))
    return tag(
        "section",
        tag("h2", "Current plan"),
        tag("ul", *(_item(visit.call, subscription, item) for item in items), class_="plain"),
        tag("p", _state(subscription), class_="soft"),
        *forms,
        class_="card",
    )


def _item(call: Call, subscription: Obj, item: Obj) -> Html:
    price = must(call, "price", item["price"]).body
    product = must(call, "product", price["product"]).body
    count = f"{item['quantity']} \u00d7 " if item.get("quantity", 1) != 1 else ""
    cost = "by usage" if is_metered(price) else each(price, subscription["currency"])
    return tag("li", tag("strong", count + str(product["name"])), tag("br"), tag("span", cost, class_="soft"))


def _state(subscription: Obj) -> str:
    status, ends = subscription["status"], subscription["cancel_at"]
    if status == "paused" or subscription["pause_collection"]:
        return "Paused."
    if ends is not None or subscription["cancel_at_period_end"]:
        return f"Ends on {day(ends or subscription['_period_end'])}."
    if status == "trialing":
        return f"Your trial ends on {day(subscription['trial_end'])}."
    if status in {"past_due", "unpaid", "incomplete"}:
        return "The last payment has failed."
    return f"Renews on {day(subscription['_period_end'])}."


def day(at: int) -> str:
    """Write a time's date for people, in UTC: ``January 5, 2027``."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%B} {moment.day}, {moment.year}"


def _form(visit: Visit, subscription: Obj, do: str, *children: Html | None) -> Html:
    return form(visit.token, do, tag("input", type="hidden", name="subscription", value=subscription["id"]), *children)


def _change_form(visit: Visit, subscription: Obj, items: Sequence[Obj], feature: Obj, flow: Obj | None) -> Html | None:
    """Return the form that changes price and quantity; several items cannot be changed (Stripe's limits)."""
    if len(items) != 1:
        return None
    item, allowed = items[0], feature["default_allowed_updates"]
    wanted = (flow or {}).get("subscription_update_confirm") or {"items": [{}]}
    aim = wanted["items"][0]
    entries: list[Html | None] = []
    if "price" in allowed:
        options = [
            (price["id"], _option(visit.call, price, subscription))
            for price in _offered(visit.call, feature, subscription)
        ]
        entries.append(
            choice("Plan", "price", options, chosen=aim.get("price") or item["price"], required=True)
            if options
            else None
        )
    if "quantity" in allowed and (bounds := _bounds(visit.call, feature, item)):
        value = aim.get("quantity") or item["quantity"]
        entries.append(field("Quantity", "quantity", type="number", min=bounds[0], max=bounds[1], value=value))
    if "promotion_code" in allowed:
        entries.append(field("Promotion code", "code", hint="Optional", autocomplete="off"))
    if not any(entries):
        return None
    body = _form(visit, subscription, "subscription_update", *entries, button("Update plan"))
    return tag("details", tag("summary", "Change plan"), body, open=flow is not None)


def _offered(call: Call, feature: Obj, subscription: Obj) -> list[Obj]:
    """Return the prices the customer may change to: those of the configuration, in the subscription's currency."""
    ids = [price for product in feature["products"] for price in product["prices"]]
    prices = [must(call, "price", price_id).body for price_id in ids]
    code = subscription["currency"]
    return [price for price in prices if price["active"] and code in {price["currency"], *price["currency_options"]}]


def _option(call: Call, price: Obj, subscription: Obj) -> str:
    return f"{must(call, 'product', price['product']).body['name']}, {each(price, subscription['currency'])}"


def _bounds(call: Call, feature: Obj, item: Obj) -> tuple[int, int] | None:
    """Return the least and the most quantity of the item's product, ``None`` where it cannot be changed."""
    price = must(call, "price", item["price"]).body
    if is_metered(price):
        return None
    for product in feature["products"]:
        adjustable = product["adjustable_quantity"]
        if product["product"] == price["product"] and adjustable["enabled"]:
            return adjustable["minimum"], adjustable["maximum"] or MOST_QUANTITY
    return None


def change(visit: Visit, subscription: Obj, feature: Obj) -> None:
    """Change price, quantity and discount of a subscription, as the configuration says it is prorated."""
    call, items = visit.call, items_of(visit.call, subscription)
    if len(items) != 1:
        raise invalid("A plan of several items cannot be changed here.")
    item = items[0]
    old = must(call, "price", item["price"]).body
    new = _chosen(visit, subscription, feature, old)
    after = {**item, "price": new["id"]}
    patch: Obj = {"id": item["id"], "price": new["id"]}
    if not is_metered(new):
        patch["quantity"] = item.get("quantity", 1)
        bounds = _bounds(call, feature, after)
        if "quantity" in feature["default_allowed_updates"] and bounds and "quantity" in visit.sent:
            patch["quantity"] = whole_number(visit, "quantity", *bounds, "the quantity")
    _check_schedule(call, feature, subscription, (old, item.get("quantity", 1)), (new, patch.get("quantity", 1)))
    given: Obj = {"items": [patch], "proration_behavior": feature["proration_behavior"]}
    if feature["billing_cycle_anchor"] == "now":
        given["billing_cycle_anchor"] = {"type": "now"}
    if subscription["status"] == "trialing" and feature["trial_update_behavior"] == "end_trial":
        given["trial_end"] = "now"
    if "promotion_code" in feature["default_allowed_updates"] and (text := visit.text("code")):
        given["discounts"] = [{"promotion_code": usable_code(call, subscription["customer"], text)}]
    act(call, "POST", _SUBSCRIPTION, subscription["id"], **given)


def _chosen(visit: Visit, subscription: Obj, feature: Obj, old: Obj) -> Obj:
    """Return the price that was chosen, which must be one of those offered, or the one there is."""
    wanted = visit.text("price") if "price" in feature["default_allowed_updates"] else None
    if wanted is None or wanted == old["id"]:
        return old
    for price in _offered(visit.call, feature, subscription):
        if price["id"] == wanted:
            return price
    raise invalid("Choose one of the plans.")


def _check_schedule(
    call: Call, feature: Obj, subscription: Obj, before: tuple[Obj, int], after: tuple[Obj, int]
) -> None:
    """Refuse a change that the configuration wants at the end of the period."""
    conditions = {condition["type"] for condition in feature["schedule_at_period_end"]["conditions"]}
    shorter = _days(after[0]) < _days(before[0])
    cheaper = _amount(call, subscription, *after) < _amount(call, subscription, *before)
    if ("shortening_interval" in conditions and shorter) or ("decreasing_item_amount" in conditions and cheaper):
        raise not_modelled("changes from the portal at the end of a period (`schedule_at_period_end`)")


def _days(price: Obj) -> int:
    return int(_DAYS[price["recurring"]["interval"]] * price["recurring"]["interval_count"])


def _amount(call: Call, subscription: Obj, price: Obj, quantity: int) -> int:
    if is_metered(price):
        return 0
    return sum(part.amount for part in rating.rate(price, quantity, subscription["currency"], call.settings))


def _cancel_form(visit: Visit, subscription: Obj, feature: Obj) -> Html:
    reason = feature["cancellation_reason"]
    entries: list[Html | None] = []
    if reason["enabled"]:
        options = [("", "Choose a reason"), *((name, _REASONS[name]) for name in reason["options"])]
        options += [(own, must(visit.call, _OWN, own).body["description"]) for own in reason["feedback_options"] or ()]
        entries.append(choice("Why are you leaving?", "feedback", options, chosen=None, required=False))
        entries.append(field("Anything else?", "comment", maxlength=LINE_LENGTH))
    at_end = feature["mode"] == "at_period_end"
    latest = max(item["current_period_end"] for item in items_of(visit.call, subscription))
    text = f"Your plan ends on {day(latest)}." if at_end else "Your plan ends at once."
    body = _form(
        visit, subscription, "subscription_cancel", tag("p", text), *entries, button("Cancel plan", class_="bad")
    )
    return tag("details", tag("summary", "Cancel plan"), body)


def cancel(visit: Visit, subscription: Obj, feature: Obj) -> None:
    """Cancel a subscription now or at its period's end, and keep the reason."""
    details: Obj = {}
    reason = feature["cancellation_reason"]
    feedback = visit.text("feedback")
    if reason["enabled"] and feedback:
        if feedback not in (*reason["options"], *(reason["feedback_options"] or ())):
            raise invalid("Choose one of the reasons.")
        details["feedback" if feedback in reason["options"] else "feedback_option"] = feedback
    if reason["enabled"] and (comment := visit.text("comment")):
        details["comment"] = comment
    given: Obj = {"cancellation_details": details} if details else {}
    if feature["mode"] == "at_period_end":
        # https://docs.stripe.com/billing/subscriptions/billing-mode/compare (cancellations in the customer portal).
        flexible = subscription["billing_mode"]["type"] == "flexible"
        given |= {"cancel_at": "max_period_end"} if flexible else {"cancel_at_period_end": True}
        act(visit.call, "POST", _SUBSCRIPTION, subscription["id"], **given)
    else:
        prorate = feature["proration_behavior"] == "create_prorations"
        act(visit.call, "DELETE", _SUBSCRIPTION, subscription["id"], prorate=prorate, **given)


def _keep_form(visit: Visit, subscription: Obj, _: Obj) -> Html:
    return _form(visit, subscription, "keep", button("Don\u2019t cancel plan", class_="quiet"))


def keep(visit: Visit, subscription: Obj, _: Obj) -> None:
    """Take a planned cancellation back."""
    back: Obj = {"cancel_at_period_end": False} if subscription["cancel_at_period_end"] else {"cancel_at": None}
    act(visit.call, "POST", _SUBSCRIPTION, subscription["id"], **back)


def _pause_form(visit: Visit, subscription: Obj, feature: Obj) -> Html | None:
    if subscription["pause_collection"]:
        return _form(visit, subscription, "subscription_resume", button("Resume plan", class_="quiet"))
    if subscription["status"] not in {"active", "trialing"}:
        return None
    duration = feature["duration"]
    entries: list[Html | None] = []
    if duration["type"] == "interval_options":
        options = [(str(index), _length(option)) for index, option in enumerate(duration["interval_options"])]
        entries.append(choice("Pause for", "duration", options, chosen="0", required=True))
    body = _form(visit, subscription, "subscription_pause", *entries, button("Pause plan", class_="quiet"))
    return tag("details", tag("summary", "Pause plan"), body)


def _length(option: Obj) -> str:
    count, interval = option["interval_count"], option["interval"]
    return f"1 {interval}" if count == 1 else f"{count} {interval}s"


def pause(visit: Visit, subscription: Obj, feature: Obj) -> None:
    """Stop collecting payments for a while, or until the customer resumes."""
    duration = feature["duration"]
    paused: Obj = {"behavior": "void"}
    if duration["type"] == "interval_options":
        options = duration["interval_options"]
        chosen = options[whole_number(visit, "duration", 0, len(options) - 1, "how long")]
        paused["resumes_at"] = advance(visit.call.now, chosen["interval"], chosen["interval_count"], 1)
    act(visit.call, "POST", _SUBSCRIPTION, subscription["id"], pause_collection=paused)


def resume(visit: Visit, subscription: Obj, _: Obj) -> None:
    """Collect payments again."""
    act(visit.call, "POST", _SUBSCRIPTION, subscription["id"], pause_collection=None)


def price_text(amount: int, currency: str) -> str:
    """Write an amount in minor units for people."""
    return money(Decimal(amount), currency)
