"""E0401-E0499, W0401-W0499: references, and terms of plans, tenants and sales."""

from reconciler.diagnostics.codes.model import Explanation

_MONTHLY = "prices: {monthly: {amount: 5, interval: month}}"
_METERS = "meters: {calls: {name: Calls}}\n"


def _pro(terms: str) -> str:
    return f"plans:\n  pro: {{name: Pro, {terms}}}\n"


def _tenant(terms: str) -> str:
    return f"tenants:\n  acme: {{name: Acme, {terms}}}\n"


def _many(number: int) -> str:
    """Return a plan with a flat price that sells the usage of so many meters."""
    meters = "".join(f"  m{each}: {{name: Meter {each}}}\n" for each in range(number))
    lines = ", ".join(f"m{each}: {{overage: {{unit_amount: 1}}}}" for each in range(number))
    return f"meters:\n{meters}" + _pro(f"{_MONTHLY}, usage: {{{lines}}}")


_SOLD = _pro(_MONTHLY)
_TEAM = f"  team: {{name: Team, {_MONTHLY}}}\n"
_OFF = "coupons:\n  launch: {{percent_off: 10{}}}\n"
_VAT = "tax_rates:\n  vat: {{display_name: VAT, percentage: 21, inclusive: false{}}}\n"

_REFERENCES = {
    "E0401": Explanation(
        "undefined reference",
        "The id is not defined in the section it refers to, in any file.",
        _SOLD + _tenant("plan: prro"),
        _SOLD + _tenant("plan: pro"),
    ),
    "E0402": Explanation(
        "price that is not there",
        "The plan has no price of that id, no default price, or the tenant has no reserved price for that meter.",
        _pro(f"default_price: annual, {_MONTHLY}"),
        _pro(f"default_price: monthly, {_MONTHLY}"),
    ),
    "E0403": Explanation(
        "draft, or no longer sold",
        "A draft has no object at Stripe, and the prices of a legacy plan or pack are archived: tenants may have a "
        "legacy plan, but nothing new is sold with either.",
        _pro(f"status: draft, {_MONTHLY}") + _tenant("plan: pro"),
        _pro(f"status: legacy, {_MONTHLY}") + _tenant("plan: pro"),
    ),
    "E0423": Explanation(
        "unknown time zone",
        "Periods by calendar begin at midnight somewhere. The place is a name of the IANA time zone database, which "
        "knows when its clocks change.",
        "settings: {namespace: acme, timezone: Europe/Berln}\n",
        "settings: {namespace: acme, timezone: Europe/Berlin}\n",
    ),
    "W0401": Explanation(
        "tool no plan allows",
        "The tool is described, but every plan lists its tools and none lists this one: nobody can call it.",
        "tools: {search: {title: Search}}\n" + _pro("tools: [fetch]"),
        "tools: {search: {title: Search}}\n" + _pro("tools: [fetch, search]"),
    ),
    "W0402": Explanation(
        "feature nobody has",
        "No plan and no tenant grants the feature, so a tool that requires it is refused to everybody.",
        "features: {export: {name: Export}}\n" + _SOLD,
        "features: {export: {name: Export}}\n" + _pro(f"{_MONTHLY}, features: [export]"),
    ),
    "W0403": Explanation(
        "price of a tool that is not allowed",
        "The plan sets a price or a cost for a tool that its list of tools does not allow.",
        _pro("tools: [fetch], per_call: {tools: {fetch: 1, search: 2}}"),
        _pro("tools: [fetch, search], per_call: {tools: {fetch: 1, search: 2}}"),
    ),
    "W0404": Explanation(
        "unused table of tiers",
        "No price and no usage line names the table.",
        "tiers:\n  bulk: {steps: [{up_to: inf, unit_amount: 1}]}\n",
        "tiers:\n  bulk: {steps: [{up_to: inf, unit_amount: 1}]}\n"
        + _pro("prices: {m: {tiers: bulk, interval: month}}"),
    ),
    "W0405": Explanation(
        "limit of an unknown target",
        "A limit bounds a tool, a glob or a meter. A word that is no meter is taken for a tool, also where it was "
        "meant to be a meter.",
        _METERS + _pro("limits: [{of: call, max: 5, per: day}]"),
        _METERS + _pro("limits: [{of: calls, max: 5, per: day}]"),
    ),
    "W0406": Explanation(
        "two equal prices",
        "Two prices of a plan charge the same: one of them is probably a copy that was not finished.",
        _pro("prices: {a: {amount: 5, interval: month}, b: {amount: 5, interval: month}}"),
        _pro("prices: {a: {amount: 5, interval: month}, b: {amount: 50, interval: year}}"),
    ),
}

_PLANS = {
    "E0407": Explanation(
        "several sources to pay from",
        "A call can be paid from the plan's usage, with credits, or by its price. Which one pays must not depend on "
        "chance: pay lists them in order, and the first that can pay the whole call pays it.",
        _METERS + _pro("usage: {calls: {included: 5}}, credits: {default: 1}"),
        _METERS + _pro("usage: {calls: {included: 5}}, credits: {default: 1}, pay: [usage, credits]"),
    ),
    "E0408": Explanation(
        "pay that does not fit",
        "pay names exactly the sources the plan has: usage, credits, per_call.",
        _pro("credits: {default: 1}, pay: [usage, credits]"),
        _pro("credits: {default: 1}, pay: [credits]"),
    ),
    "E0409": Explanation(
        "stands twice",
        "The list is a set, or its items have ids, so a second one is a mistake.",
        _pro("tools: [search, fetch, search]"),
        _pro("tools: [search, fetch]"),
    ),
    "E0410": Explanation(
        "key without effect",
        "No key is accepted and ignored. Units that are sold follow the billing period of the subscription, so per and "
        "resets_on say nothing there; interval says nothing where nothing is billed; what goes through the spend meter "
        "has no price of its own to carry a nickname or metadata.",
        _METERS + _pro("usage: {calls: {included: 5, per: day, overage: {unit_amount: 1}}}"),
        _METERS + _pro("usage: {calls: {included: 5, per: day, overage: deny}}"),
    ),
    "E0411": Explanation(
        "intervals that do not go together",
        "One subscription holds prices by the day and week, or by the month and year. A usage line is monthly unless "
        "it says otherwise; charges per call and minimums are always monthly.",
        _METERS + _pro("prices: {w: {amount: 5, interval: week}}, usage: {calls: {overage: {unit_amount: 1}}}"),
        _METERS
        + _pro("prices: {w: {amount: 5, interval: week}}, usage: {calls: {interval: week, overage: {unit_amount: 1}}}"),
    ),
    "E0412": Explanation(
        "interval longer than three years",
        "Stripe bills a recurring price at least every 3 years, 36 months, 156 weeks or 1095 days.",
        _pro("prices: {long: {amount: 5, interval: year, interval_count: 5}}"),
        _pro("prices: {long: {amount: 5, interval: year, interval_count: 3}}"),
    ),
    "E0413": Explanation(
        "trial of nothing",
        "A trial delays the first payment of a recurring price.",
        _pro("trial_days: 14"),
        _pro(f"trial_days: 14, {_MONTHLY}"),
    ),
    "E0414": Explanation(
        "terms of another kind of limit",
        "A rate refills continuously within a day at most and may have a burst; a quota is counted in a period, and "
        "only a monthly one begins anew on a chosen day.",
        _pro("limits: [{of: search, max: 5, per: day, burst: 2}]"),
        _pro("limits: [{of: search, max: 5, per: day, kind: rate, burst: 2}]"),
    ),
    "E0415": Explanation(
        "upgrade to itself",
        "upgrade_to names the plan a refused customer should buy, so it is another one.",
        _pro("limits: [{of: search, max: 5, per: day, upgrade_to: pro}]"),
        _pro("limits: [{of: search, max: 5, per: day, upgrade_to: team}]").rstrip()
        + f"\n  team: {{name: Team, {_MONTHLY}}}\n",
    ),
    "E0416": Explanation(
        "count that does not fit the meter",
        "A meter with aggregation count ignores the number it is sent. One with aggregation last keeps the newest "
        "value, as of seats or of storage, while the runtime adds up what is used: nothing that it counts, refuses or "
        "charges for can be on such a meter. Units of one can be sold by a Stripe price of their own, where the "
        "service reports the value to Stripe itself.",
        "meters: {calls: {name: Calls, aggregation: count}}\ntools: {search: {counts: {calls: 2}}}\n",
        "meters: {calls: {name: Calls, aggregation: sum}}\ntools: {search: {counts: {calls: 2}}}\n",
    ),
}

_SALES = {
    "E0404": Explanation(
        "tenant without terms",
        "A tenant has a plan, usage terms of its own, or both.",
        _tenant("email: billing@acme.example"),
        _SOLD + _tenant("email: billing@acme.example, plan: pro"),
    ),
    "E0405": Explanation(
        "price not chosen",
        "The plan has several recurring prices, and the tenant does not say which one it pays.",
        _pro("prices: {m: {amount: 5, interval: month}, a: {amount: 50, interval: year}}") + _tenant("plan: pro"),
        _pro("prices: {m: {amount: 5, interval: month}, a: {amount: 50, interval: year}}")
        + _tenant("plan: pro, price: a"),
    ),
    "E0406": Explanation(
        "recurring price needed",
        "Tenants and the portal change between subscriptions, which a price that is paid once cannot be.",
        _pro("prices: {setup: {amount: 5, interval: once}}") + _tenant("plan: pro, price: setup"),
        _SOLD + _tenant("plan: pro, price: monthly"),
    ),
    "E0417": Explanation(
        "terms of a subscription",
        "An invoice that is sent has somebody it is sent to, and a number of days in which it is due; a card that is "
        "charged has not. There must be something to bill.",
        _SOLD + _tenant("plan: pro, subscription: {collection: send_invoice}"),
        _SOLD
        + _tenant(
            "email: billing@acme.example, plan: pro, subscription: {collection: send_invoice, days_until_due: 30}"
        ),
    ),
    "E0426": Explanation(
        "more prices than a subscription holds",
        "A subscription has at most 20 items at Stripe. The flat price is one, each meter whose usage is sold another, "
        "and all that goes through the spend meter one together.",
        _many(20),
        _many(19),
    ),
    "W0408": Explanation(
        "coupon that takes nothing off",
        "The coupon of the subscription is limited to products that the tenant does not pay for, or has no amount in "
        "the currency in which it is billed. A tenant's own usage is a product of its meter, which no coupon names.",
        _SOLD
        + _TEAM
        + _OFF.format(", applies_to: [plans.team]")
        + _tenant("plan: pro, subscription: {coupon: launch}"),
        _SOLD + _OFF.format("") + _tenant("plan: pro, subscription: {coupon: launch}"),
    ),
    "W0409": Explanation(
        "tax rate that is not active",
        "What has a tax rate already keeps it when it is archived, but Stripe gives it to no new subscription.",
        _SOLD + _VAT.format(", active: false") + _tenant("plan: pro, subscription: {tax_rates: [vat]}"),
        _SOLD + _VAT.format("") + _tenant("plan: pro, subscription: {tax_rates: [vat]}"),
    ),
    "E0418": Explanation(
        "item of a payment link",
        "An item sells one thing: a plan (and one of its prices), a credit pack, or a tenant's reserved capacity.",
        _SOLD + "payment_links:\n  shop: {items: [{price: monthly}]}\n",
        _SOLD + "payment_links:\n  shop: {items: [{plan: pro, price: monthly}]}\n",
    ),
    "E0424": Explanation(
        "sale of a payment link",
        "What recurs in a link becomes one subscription with one billing interval, the plan's usage included, and a "
        "checkout has 20 lines.",
        _METERS
        + _pro("prices: {annual: {amount: 5, interval: year}}, usage: {calls: {overage: {unit_amount: 1}}}")
        + "payment_links:\n  shop: {items: [{plan: pro, price: annual}]}\n",
        _METERS
        + _pro(f"{_MONTHLY}, usage: {{calls: {{overage: {{unit_amount: 1}}}}}}")
        + "payment_links:\n  shop: {items: [{plan: pro, price: monthly}]}\n",
    ),
    "E0419": Explanation(
        "two ways to expire",
        "Credits of a pack expire at an instant, or some time after the purchase.",
        "credit_packs:\n  a: {name: A, credits: 1, price: 1, expires: 2027-01-01, expires_after: 1 year}\n",
        "credit_packs:\n  a: {name: A, credits: 1, price: 1, expires_after: 1 year}\n",
    ),
    "E0420": Explanation(
        "terms of a coupon",
        "duration_in_months belongs to duration: repeating, and currencies to amount_off.",
        "coupons:\n  a: {percent_off: 10, duration: repeating}\n",
        "coupons:\n  a: {percent_off: 10, duration: repeating, duration_in_months: 3}\n",
    ),
    "E0421": Explanation(
        "currency of no amount",
        "The currencies of a restriction belong to minimum_amount.",
        "coupons: {a: {percent_off: 10}}\npromotion_codes:\n  b: {coupon: a, code: B, restrictions: {currency: usd}}\n",
        "coupons: {a: {percent_off: 10}}\npromotion_codes:\n"
        "  b: {coupon: a, code: B, restrictions: {minimum_amount: 5, currency: usd}}\n",
    ),
    "E0425": Explanation(
        "money credit in another currency",
        "At Stripe a money credit pays invoices in its own currency only, so it is in the one its tenant is billed in: "
        "that of the tenant, else of what it has bought.",
        _METERS
        + _pro("usage: {calls: {overage: {unit_amount: 1}}}")
        + _tenant("plan: pro, subscription: {}, money_credits: [{id: pilot, amount: 50, currency: eur}]"),
        _METERS
        + _pro("usage: {calls: {overage: {unit_amount: 1}}}")
        + _tenant("plan: pro, subscription: {}, money_credits: [{id: pilot, amount: 50}]"),
    ),
    "W0407": Explanation(
        "money credits that pay nothing",
        "Money credits pay usage on the invoices of a subscription, and nothing else: no flat price, no reservation.",
        _SOLD + _tenant("plan: pro, subscription: {}, money_credits: [{id: pilot, amount: 50}]"),
        _METERS
        + _pro(f"{_MONTHLY}, usage: {{calls: {{overage: {{unit_amount: 1}}}}}}")
        + _tenant("plan: pro, subscription: {}, money_credits: [{id: pilot, amount: 50}]"),
    ),
    "E0422": Explanation(
        "API key of two tenants",
        "A key says which tenant calls, so its hash stands once.",
        _SOLD
        + f'tenants:\n  a: {{name: A, plan: pro, api_keys: [{{id: x, sha256: "{"0a" * 32}"}}]}}\n'
        + f'  b: {{name: B, plan: pro, api_keys: [{{id: z, sha256: "{"0a" * 32}"}}]}}\n',
        _SOLD
        + f'tenants:\n  a: {{name: A, plan: pro, api_keys: [{{id: x, sha256: "{"0a" * 32}"}}]}}\n'
        + f'  b: {{name: B, plan: pro, api_keys: [{{id: z, sha256: "{"0b" * 32}"}}]}}\n',
    ),
}

CODES = {**_REFERENCES, **_PLANS, **_SALES}
