"""What a change means for the people who pay: four categories, worst first. Pure."""

from enum import StrEnum

from reconciler.planning.change import Action, Change
from reconciler.resources.model import Removal


class Category(StrEnum):
    """Whom a change touches, and whether Stripe can undo it."""

    IRREVERSIBLE = "irreversible in Stripe"
    SUBSCRIBERS = "existing subscribers affected"
    NEW_CUSTOMERS = "new customers only"
    COSMETIC = "cosmetic"


#: Kinds that cannot be brought back as they were: an archived feature cannot be revived, a deleted coupon is gone, and
#: a meter's event name is taken for ever (https://docs.stripe.com/api/entitlements/feature, /coupons, /billing/meter).
_FINAL_REMOVAL = frozenset({"feature", "coupon"})
_FINAL_CREATION = frozenset({"meter"})
#: Fields that take effect on invoices of subscriptions that exist.
_FELT = frozenset({"tax_code", "tax_details"})
#: Fields that can be set but never changed back.
_ONE_WAY = frozenset({"tax_behavior"})
#: Fields that decide what a new customer gets or pays.
_SOLD = frozenset({"active", "default_price", "currency_options", "restrictions", "lookup_key"})


def category(change: Change) -> Category:
    """Return the worst category of a change."""
    if change.action is Action.CREATE:
        return _created(change)
    if change.action in (Action.RETIRE, Action.REPLACE):
        return _removed(change)
    fields = set(change.fields)
    if fields & _ONE_WAY:
        return Category.IRREVERSIBLE
    if fields & _FELT or (change.kind.removal is Removal.DEACTIVATE and "active" in fields):
        return Category.SUBSCRIBERS
    return Category.NEW_CUSTOMERS if fields & _SOLD else Category.COSMETIC


def _created(change: Change) -> Category:
    if change.kind.name in _FINAL_CREATION:
        return Category.IRREVERSIBLE
    return Category.SUBSCRIBERS if change.kind.parent else Category.NEW_CUSTOMERS


def _removed(change: Change) -> Category:
    if change.kind.name in _FINAL_REMOVAL:
        return Category.IRREVERSIBLE
    felt = change.kind.parent is not None or change.kind.removal is Removal.DEACTIVATE
    return Category.SUBSCRIBERS if felt else Category.NEW_CUSTOMERS


def is_dangerous(change: Change) -> bool:
    """Tell whether a reader must not miss the change: something goes away, or Stripe cannot undo what is edited."""
    if change.action in (Action.RETIRE, Action.REPLACE):
        return True
    return change.action is not Action.CREATE and category(change) is Category.IRREVERSIBLE
