"""E0501-E0699, W0601: what is unique at Stripe, how files come together, what was renamed."""

from reconciler.diagnostics.codes.model import Explanation, prose

_PRO = "plans:\n  pro: {name: Pro, prices: {monthly: {amount: 5, interval: month}}}\n"


_UNIQUE = {
    "E0501": Explanation(
        "reserved metadata key",
        "managed_by, address, config_digest, reconciler_keys and reconciler_features mark an object's owner at Stripe, "
        "and reconciler_lock a lock.",
        "coupons:\n  all: {percent_off: 10, metadata: {managed_by: us}}\n",
        "coupons:\n  all: {percent_off: 10, metadata: {owner: us}}\n",
    ),
    "E0502": Explanation(
        "one object taken over twice",
        "stripe_id, lookup_key and event_name name an existing object to take over; it can only become one thing.",
        "meters:\n  a: {name: A, event_name: calls}\n  b: {name: B, event_name: calls}\n",
        "meters:\n  a: {name: A, event_name: calls}\n  b: {name: B}\n",
    ),
    "E0503": Explanation(
        "promotion code used twice",
        "Active codes are unique in an account, whatever their case.",
        "coupons: {a: {percent_off: 10}}\npromotion_codes:\n"
        "  one: {coupon: a, code: LAUNCH}\n  two: {coupon: a, code: launch}\n",
        "coupons: {a: {percent_off: 10}}\npromotion_codes:\n"
        "  one: {coupon: a, code: LAUNCH}\n  two: {coupon: a, code: launch, active: false}\n",
    ),
}

_FILES = {
    "E0601": prose(
        "no settings",
        "The namespace in settings owns every object made from the files, so one file must have it.",
        "a directory without a settings section",
        "settings: {namespace: acme, currency: usd}",
    ),
    "E0602": prose(
        "id defined twice",
        "The sections of all files are merged, and which of two definitions would win must not depend on their names.",
        "plans.pro in plans.yaml and in plans/pro.yaml",
        "plans.pro in plans/pro.yaml only",
    ),
    "E0603": prose(
        "section defined twice",
        "settings, portal and guards stand in one file, so that it is clear where to look.",
        "settings in settings.yaml and in plans.yaml",
        "settings in settings.yaml only",
    ),
    "E0604": prose(
        "overlay of nothing",
        "An overlay changes what the base files define. An id they do not define is usually misspelt; an id that is "
        "meant to be new says so.",
        "env/production/plans.yaml with plans: {prro: {trial_days: 7}}",
        "plans: {pro: {trial_days: 7}}, or plans: {other: {new: true, name: Other}}",
    ),
    "E0605": prose(
        "new that is not new",
        "new: true adds an id in an overlay; the base files define this one already, or the value is not true.",
        "env/production/plans.yaml with plans: {pro: {new: true, trial_days: 7}}",
        "plans: {pro: {trial_days: 7}}",
    ),
    "E0606": prose(
        "nothing to remove",
        "null in an overlay removes a key that the base files have.",
        "env/production/plans.yaml with plans: {pro: {trial_dais: null}}",
        "plans: {pro: {trial_days: null}}",
    ),
}

_MOVED = {
    "E0607": Explanation(
        "moved but still there",
        "moved says that an object has a new address; the old one is then no longer defined.",
        _PRO + "  team: {name: Team}\nmoved: [{from: plans.pro, to: plans.team}]\n",
        _PRO + "moved: [{from: plans.professional, to: plans.pro}]\n",
    ),
    "E0608": Explanation(
        "moved to nowhere",
        "The new address is not defined.",
        _PRO + "moved: [{from: plans.old, to: plans.prro}]\n",
        _PRO + "moved: [{from: plans.old, to: plans.pro}]\n",
    ),
    "E0609": Explanation(
        "moved twice, or in a circle",
        "Every old address has one new address, and following the entries ends.",
        _PRO + "  team: {name: Team}\nmoved: [{from: plans.old, to: plans.pro}, {from: plans.old, to: plans.team}]\n",
        _PRO
        + "  team: {name: Team}\nmoved: [{from: plans.old, to: plans.older}, {from: plans.older, to: plans.team}]\n",
    ),
    "E0610": Explanation(
        "cannot move",
        "Both addresses are of one kind, and of a kind that carries an owner mark at Stripe. A meter carries none: "
        "keep its event_name instead.",
        "meters: {calls: {name: Calls}}\nmoved: [{from: meters.requests, to: meters.calls}]\n",
        "meters: {calls: {name: Calls, event_name: acme.meters.requests}}\n",
    ),
    "W0601": Explanation(
        "protection of nothing",
        "A guard's protected address matches nothing that is defined, so it protects nothing.",
        _PRO + "guards: {protected: [plans.prro]}\n",
        _PRO + "guards: {protected: [plans.pro]}\n",
    ),
}

_IMPORTS = {
    "E0611": Explanation(
        "taken over for nothing",
        "An entry of imports names an existing Stripe object and the address it is taken over for. The files have no "
        "such address, or it stands for something that carries no owner mark: a meter is taken over by its event_name.",
        _PRO + "imports: [{to: plans.pro.prices.montly, id: price_1EXAMPLE}]\n",
        _PRO + "imports: [{to: plans.pro.prices.monthly, id: price_1EXAMPLE}]\n",
    ),
    "E0612": Explanation(
        "taken over twice",
        "An address stands for one object, and an object for one address.",
        _PRO + "imports: [{to: plans.pro, id: prod_1EXAMPLE}, {to: plans.pro, id: prod_2EXAMPLE}]\n",
        _PRO + "imports: [{to: plans.pro, id: prod_1EXAMPLE}]\n",
    ),
}

CODES = {**_UNIQUE, **_FILES, **_MOVED, **_IMPORTS}
