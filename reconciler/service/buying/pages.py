"""The pages around a purchase, as HTML: what is bought and by whom, thanks, and why not."""

from decimal import Decimal

from reconciler import money
from reconciler.diagnostics.html import Child, Html, tag
from reconciler.entitlements.policy import MICRO, Policy
from reconciler.impact.style import STYLE
from reconciler.service.buying.tokens import Wanted

_OWN = """
main { max-width: 560px; }
button { font: inherit; font-weight: 600; padding: 10px 20px; border: 0; border-radius: 6px; cursor: pointer;
  background: var(--less); color: var(--ground); margin-top: 20px; }
button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
"""


def offer(policy: Policy, wanted: Wanted) -> str | None:
    """Return the page that asks to go on to payment; ``None`` where the files do not sell it any more."""
    lines = _sold(policy, wanted)
    if lines is None:
        return None
    name, rows = lines
    facts = [part for label, value in (*rows, ("For", wanted.tenant)) for part in (tag("dt", label), tag("dd", value))]
    form = tag("form", tag("button", "Continue to payment", type="submit"), method="post")
    card = tag("div", tag("p", name, class_="big"), tag("dl", *facts), class_="card")
    note = tag("p", "You pay on a page of Stripe. What you bought is there within moments.", class_="faint")
    return page(f"Buy {name}", card, form, note)


def thanks() -> str:
    """Return the page a paid purchase comes back to; it grants nothing, the payment itself does."""
    return page("Thank you", tag("p", "As soon as the payment is confirmed you can go on: make the call again."))


def refused(title: str, why: str) -> str:
    """Return the page that says why nothing can be bought here."""
    return page(title, tag("p", why))


def page(title: str, *content: Child) -> str:
    """Return a page of these parts."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        tag("style", Html(STYLE + _OWN)),
    )
    return "<!doctype html>" + tag("html", head, tag("body", tag("main", tag("h1", title), *content)), lang="en")


def _sold(policy: Policy, wanted: Wanted) -> tuple[str, list[tuple[str, str]]] | None:
    if wanted.kind == "pack":
        pack = policy.packs.get(wanted.id)
        if pack is None or pack.status != "active":
            return None
        bonus = [("Bonus", _credits(pack.bonus))] if pack.bonus else []
        return pack.name, [("Credits", _credits(pack.credits)), *bonus, ("Price", _price(pack.price, pack.currency))]
    plan = policy.plans.get(wanted.id)
    if plan is None or plan.status != "active":
        return None
    price = [] if plan.price is None else [("A month", _price(plan.price, plan.currency))]
    return plan.name, price


def _credits(millionths: int) -> str:
    return f"{(Decimal(millionths) / MICRO).normalize():,f}"


def _price(millionths: int, currency: str) -> str:
    return money.display(Decimal(millionths) / MICRO * 10 ** money.exponent(currency), currency)
