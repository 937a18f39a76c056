"""Entitlement features (https://docs.stripe.com/api/entitlements/feature); they have no creation time and no events."""

from collections.abc import Iterable

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.lists import Filter, page
from reconciler.sandbox.objects.base import Call, Family, Route, flag, overlay, retrieve
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Term
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    feature = call.fill(FAMILY, call.new_id("feat_test_61", 30))
    return call.create(FAMILY, overlay(feature, call.params, ("lookup_key", "metadata", "name")))


def _update(call: Call) -> Obj:
    """Change an active feature; an archived one stays as it is for good (observed: alchemy.run, Stripe provider)."""
    row = call.row()
    if not row.body["active"]:
        raise invalid("An archived feature cannot be edited or unarchived.")
    return call.save(FAMILY, row, overlay(row.body, call.params, ("active", "metadata", "name")))


def _list(call: Call) -> Obj:
    """List features; archived ones only if asked for (https://docs.stripe.com/api/entitlements/feature/update)."""
    params = call.params
    filters: list[Filter] = []
    if "lookup_key" in params:
        filters.append(("lookup_key", [params["lookup_key"]]))
    filters.append(("archived", [flag(params.get("archived", False))]))
    return page(call, FAMILY, *filters)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "lookup_key", obj["lookup_key"]
    yield "archived", flag(not obj["active"])


def _claims(obj: Obj, settings: Settings) -> Iterable[Claim]:
    if obj["active"] or not settings.archived_feature_frees_key:
        yield "entitlements.feature.lookup_key", obj["lookup_key"]


def _collision(claim: Claim, _: str) -> ApiError:
    return invalid(f"A feature with lookup_key `{claim[1]}` already exists.", "lookup_key")


FAMILY = Family(
    kind="entitlements.feature",
    noun="feature",
    emits_events=False,
    lengths={"lookup_key": 80, "name": 80},
    terms=_terms,
    claims=_claims,
    collision=_collision,
    template={
        "object": "entitlements.feature",
        "active": True,
        "livemode": False,
        "lookup_key": "",
        "metadata": {},
        "name": "",
    },
    routes=(
        Route("POST", "/v1/entitlements/features", "entitlements.FeatureCreateParams", _create),
        Route("GET", "/v1/entitlements/features", "entitlements.FeatureListParams", _list, lists=True),
        Route("GET", "/v1/entitlements/features/{id}", "entitlements.FeatureRetrieveParams", retrieve),
        Route("POST", "/v1/entitlements/features/{id}", "entitlements.FeatureUpdateParams", _update),
    ),
)
