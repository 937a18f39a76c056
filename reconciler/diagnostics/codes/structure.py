"""E0201-E0299: what does not have the form of the language."""

from reconciler.diagnostics.codes.model import Explanation

CODES = {
    "E0201": Explanation(
        "unknown key",
        "A key that no rule of the language names. It is never ignored: a misspelt limit would be no limit.",
        "plans:\n  pro: {name: Pro, trial_day: 14, prices: {m: {amount: 5, interval: month}}}\n",
        "plans:\n  pro: {name: Pro, trial_days: 14, prices: {m: {amount: 5, interval: month}}}\n",
    ),
    "E0202": Explanation(
        "missing key",
        "The mapping lacks a key that has no default.",
        "plans:\n  pro: {name: Pro, prices: {monthly: {amount: 5}}}\n",
        "plans:\n  pro: {name: Pro, prices: {monthly: {amount: 5, interval: month}}}\n",
    ),
    "E0203": Explanation(
        "wrong kind of value",
        "A mapping, list, text, number or boolean stands where another kind belongs. A number that is meant as text "
        "needs quotes, and a number in quotes is text wherever no amount is expected.",
        "plans:\n  pro: {name: 2027}\n",
        'plans:\n  pro: {name: "2027"}\n',
    ),
    "E0204": Explanation(
        "not one of the values",
        "The key takes one of a few words.",
        "plans:\n  pro: {name: Pro, status: activ}\n",
        "plans:\n  pro: {name: Pro, status: active}\n",
    ),
    "E0205": Explanation(
        "text of another form",
        "Ids, amounts in quotes, currency codes, dates, addresses and the like have a fixed form. Amounts are digits "
        "with a point at most: an exponent or a thousands separator is read differently by different programs.",
        'plans:\n  pro: {name: Pro, prices: {monthly: {amount: "1,000", interval: month}}}\n',
        "plans:\n  pro: {name: Pro, prices: {monthly: {amount: 1000, interval: month}}}\n",
    ),
    "E0206": Explanation(
        "empty or too long text",
        "Stripe bounds the length of every text, and an empty one says nothing.",
        'plans:\n  pro: {name: ""}\n',
        "plans:\n  pro: {name: Pro}\n",
    ),
    "E0207": Explanation(
        "number out of range",
        "The number is below or above what the key can mean.",
        "coupons:\n  all: {percent_off: 101}\n",
        "coupons:\n  all: {percent_off: 100}\n",
    ),
    "E0208": Explanation(
        "too many or too few items",
        "The list or mapping holds more than Stripe takes, or nothing where something is needed.",
        "payment_links:\n  shop: {items: []}\n",
        "credit_packs:\n  small: {name: Small, credits: 10, price: 1}\n"
        "payment_links:\n  shop: {items: [{pack: small}]}\n",
    ),
    "E0209": Explanation(
        "no value",
        "A key without a value is null. In the base files null means nothing at all; in an overlay it removes a key.",
        "plans:\n  pro: {name: Pro, description: }\n",
        "plans:\n  pro: {name: Pro}\n",
    ),
    "E0210": Explanation(
        "key of another form",
        "The keys of a section are ids, the keys of currency_options currency codes, and so on.",
        "plans:\n  Pro Plan: {name: Pro}\n",
        "plans:\n  pro-plan: {name: Pro}\n",
    ),
    "E0211": Explanation(
        "no such day",
        "The date has the right form but does not exist in the calendar.",
        'coupons:\n  all: {percent_off: 10, redeem_by: "2027-02-30"}\n',
        "coupons:\n  all: {percent_off: 10, redeem_by: 2027-02-28}\n",
    ),
}
