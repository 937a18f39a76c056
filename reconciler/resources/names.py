"""Default natural keys: how an address becomes an id, a lookup key, an event name."""

from reconciler.resources.model import shorten

ID_LIMIT = 255
LOOKUP_KEY_LIMIT = 200
EVENT_NAME_LIMIT = 100
FEATURE_KEY_LIMIT = 80


def chosen_id(namespace: str, family: str, name: str) -> str:
    """Return the id a product or coupon is created under: ``acme_plan_pro``."""
    return shorten(f"{namespace}_{family}_{name}", ID_LIMIT)


def default_key(namespace: str, address: str, limit: int) -> str:
    """Return the lookup key or event name of an address: ``acme.plans.pro.prices.monthly``."""
    return shorten(f"{namespace}.{address}", limit)
