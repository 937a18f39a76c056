"""What a change means for the people who pay: four categories, worst first. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from reconciler.planning.change import Action, Change, Reason
from reconciler.resources.model import Removal


class Category(StrEnum):
    """Whom a change touches, and whether Stripe can undo it."""

    IRREVERSIBLE = "irreversible in Stripe"
    SUBSCRIBERS = "existing subscribers affected"
    NEW_CUSTOMERS = "new customers only"
    COSMETIC = "cosmetic"


#: Kinds that cannot be brought back as they were: an archived feature cannot be revived, a deleted coupon is gone, as
#: are a webhook endpoint and its secret, and a meter's event name is taken for ever
#: (https://docs.stripe.com/api/entitlements/feature, /coupons, /webhook_endpoints, /billing/meter).
_FINAL_REMOVAL = frozenset({"feature", "coupon", "webhook_endpoint"})
#: Kinds whose successor has another address, so that what people hold of the old one no longer works.
_FINAL_REPLACEMENT = frozenset({"payment_link"})
#: Kinds that those who pay already use, or that the service hears of them by.
_USED = frozenset({"portal_configuration"})
_FINAL_CREATION = frozenset({"meter"})
#: Fields that take effect on subscriptions that exist: their invoices, what customers may do, what the service hears.
_FELT = frozenset({"tax_code", "tax_details", "features", "enabled_events", "disabled"})
_FELT_OF = {"webhook_endpoint": frozenset({"url"})}
#: Fields that can be set but never changed back.
_ONE_WAY = frozenset({"tax_behavior"})
#: Fields that decide what a new customer gets or pays.
_SOLD = frozenset(
    {
        "active",
        "after_completion",
        "allow_promotion_codes",
        "currency_options",
        "default_price",
        "lookup_key",
        "restrictions",
        "subscription_data",
    }
)


def category(change: Change) -> Category:
    """Return the worst category of a change."""
    if change.kind.contract:
        return Category.COSMETIC if change.kind.name == "customer" else Category.SUBSCRIBERS
    if change.action is Action.CREATE:
        return _created(change)
    if change.action in (Action.RETIRE, Action.REPLACE):
        return _removed(change)
    fields = set(change.fields)
    if fields & _ONE_WAY:
        return Category.IRREVERSIBLE
    felt = _FELT | _FELT_OF.get(change.kind.name, frozenset())
    if fields & felt or (change.kind.removal is Removal.DEACTIVATE and "active" in fields):
        return Category.SUBSCRIBERS
    return Category.NEW_CUSTOMERS if fields & _SOLD else Category.COSMETIC


def _created(change: Change) -> Category:
    if change.kind.name in _FINAL_CREATION:
        return Category.IRREVERSIBLE
    return Category.SUBSCRIBERS if change.kind.parent else Category.NEW_CUSTOMERS


def _removed(change: Change) -> Category:
    if change.reason is Reason.RELEASED:
        return Category.COSMETIC
    replaced = change.action is Action.REPLACE and change.kind.name in _FINAL_REPLACEMENT
    if replaced or change.kind.name in _FINAL_REMOVAL:
        return Category.IRREVERSIBLE
    felt = change.kind.parent is not None or change.kind.removal is Removal.DEACTIVATE or change.kind.name in _USED
    return Category.SUBSCRIBERS if felt else Category.NEW_CUSTOMERS


#: What becomes of those who have something at hand that the change ends, by kind and action.
_CONSEQUENCES: Mapping[tuple[str, Action], str] = {
    ("payment_link", Action.REPLACE): "new address, nobody can buy at the old one any more",
    ("payment_link", Action.RETIRE): "nobody can buy at its address any more",
    ("webhook_endpoint", Action.REPLACE): "new signing secret",
    ("webhook_endpoint", Action.RETIRE): "its signing secret is gone",
}


def consequence(change: Change) -> str | None:
    """Say in a few words what a change takes from people beyond what it does to the object; None where nothing."""
    return _CONSEQUENCES.get((change.kind.name, change.action))


def is_dangerous(change: Change) -> bool:
    """Tell whether a reader must not miss the change: something goes away, or Stripe cannot undo what is edited."""
    if change.action in (Action.RETIRE, Action.REPLACE):
        return True
    return change.action is not Action.CREATE and category(change) is Category.IRREVERSIBLE
