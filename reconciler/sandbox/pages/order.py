"""What a checkout page shows of the order: what is bought, what it costs today and later, and how to change it."""

from decimal import Decimal

from reconciler.sandbox.billing import checkout
from reconciler.sandbox.billing.charges import money
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.cart_item import MOST_QUANTITY, is_metered
from reconciler.sandbox.pages.html import Html, amounts, button, field, form, tag
from reconciler.sandbox.pages.visit import Visit
from reconciler.sandbox.wire import Obj

_TIMES = "\u00d7"


def show(visit: Visit, session: Obj) -> Html:
    """Return the order's half of the page."""
    call = visit.call
    items = checkout.items_of(call, session)
    back = session["cancel_url"]
    return tag(
        "section",
        tag("p", tag("a", "\u2190 Back", href=back)) if back else None,
        tag("p", session["branding_settings"]["display_name"], class_="soft"),
        tag("h1", _heading(session)),
        tag("p", shown(session["amount_total"], session), class_="price"),
        _terms(call, session, items),
        tag("ul", *(_item(visit, session, item) for item in items), class_="plain"),
        _sums(session),
        _code(visit, session),
        aria_label="Your order",
    )


def shown(amount: int, session: Obj) -> str:
    """Write an amount of the session's currency."""
    return money(Decimal(amount), session["currency"])


def _heading(session: Obj) -> str:
    if session["mode"] == "subscription":
        return "Due today"
    return "Donation" if session["submit_type"] == "donate" else "Amount to pay"


def _terms(call: Call, session: Obj, items: list[Obj]) -> Html | None:
    """Say what follows today's payment."""
    recurring = [item for item in items if must(call, "price", item["price"]).body["recurring"]]
    if not recurring:
        return None
    data = session["_subscription_data"]
    if "trial_period_days" in data:
        days = data["trial_period_days"]
        text = f"Your trial lasts {days} day{'' if days == 1 else 's'}. You can cancel before it ends."
    elif "trial_end" in data:
        text = "You start with a free trial. You can cancel before it ends."
    else:
        text = "Renews until you cancel."
    return tag("p", text, class_="soft")


def _item(visit: Visit, session: Obj, item: Obj) -> Html:
    price = must(visit.call, "price", item["price"]).body
    product = visit.call.tx.find("product", price["product"])
    description = product.body["description"] if product else None
    quantity = item["quantity"]
    count = f"{quantity} {_TIMES} " if quantity is not None and quantity > 1 else ""
    amount = "by usage" if is_metered(price) else shown(item["amount_subtotal"], session)
    unit = each(price, item["currency"]) if count or price["recurring"] else None
    name = tag("span", count + str(item["description"]), tag("br") if unit else None, tag("span", unit, class_="soft"))
    return tag(
        "li",
        amounts([(name, amount, None)]),
        tag("p", description, class_="soft") if description else None,
        _quantity(visit, session, item),
    )


def each(price: Obj, currency: str) -> str:
    """Write what one unit of a price costs and how often: ``$10.00 per month``."""
    amounts_in = price if currency == price["currency"] else price["currency_options"].get(currency, price)
    if price["custom_unit_amount"] is not None:
        return "You choose the amount"
    if price["billing_scheme"] == "tiered":
        text = "Priced by quantity"
    else:
        text = money(Decimal(amounts_in["unit_amount_decimal"]), currency)
        transform = price["transform_quantity"]
        text += f" per {transform['divide_by']} units" if transform else ""
    return text + every(price)


def every(price: Obj) -> str:
    """Write how often a price is billed: `` every 3 months``; nothing for a one-time price."""
    recurring = price["recurring"]
    if recurring is None:
        return ""
    count, interval = recurring["interval_count"], recurring["interval"]
    return f" per {interval}" if count == 1 else f" every {count} {interval}s"


def _quantity(visit: Visit, session: Obj, item: Obj) -> Html | None:
    """Return the form that changes a quantity, where the session lets the customer choose one."""
    adjustable = item["adjustable_quantity"] or {"enabled": False}
    if not adjustable["enabled"] or checkout.is_attempted(session):
        return None
    least, most = max(adjustable["minimum"], 1), min(adjustable["maximum"], MOST_QUANTITY)
    label = f"Quantity of {item['description']}"
    name = f"quantity_{item['id']}"
    entry = field(label, name, type="number", min=least, max=most, required=True, value=item["quantity"])
    hidden = tag("input", type="hidden", name="item", value=item["id"])
    return form(visit.token, "quantity", hidden, tag("div", entry, button("Update"), class_="inline"))


def _sums(session: Obj) -> Html:
    details = session["total_details"]
    rows: list[tuple[str, str, str | None]] = [("Subtotal", shown(session["amount_subtotal"], session), None)]
    for entry in details["breakdown"]["discounts"]:
        coupon = entry["discount"]["source"]["coupon"]
        rows.append((f"Discount ({coupon})", "\u2212" + shown(entry["amount"], session), "less"))
    for tax in details["breakdown"]["taxes"]:
        rate = tax["rate"]
        inside = ", included" if rate["inclusive"] else ""
        rows.append((f"{rate['display_name']} {rate['percentage']} %{inside}", shown(tax["amount"], session), None))
    rows.append(("Total due today", shown(session["amount_total"], session), "total"))
    return amounts(rows)


def _code(visit: Visit, session: Obj) -> Html | None:
    """Return the form for a promotion code, where codes are allowed."""
    if not session["allow_promotion_codes"] or checkout.is_attempted(session):
        return None
    code_id = next((entry["promotion_code"] for entry in session["discounts"]), None)
    if code_id:
        text = must(visit.call, "promotion_code", code_id).body["code"]
        return form(
            visit.token,
            "code",
            tag("p", "Promotion code ", tag("code", text), " applied."),
            button("Remove code", class_="quiet"),
        )
    entry = field("Promotion code", "code", autocomplete="off", maxlength=500)
    return form(visit.token, "code", tag("div", entry, button("Apply"), class_="inline code"))
