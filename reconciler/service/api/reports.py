"""What may be read: the tenants there are, every entry of a tenant's ledger, and what is for sale."""

import asyncio
from itertools import islice
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from reconciler.entitlements.acts import checked
from reconciler.entitlements.policy import Policy
from reconciler.entitlements.standing import standing, subscription_of
from reconciler.entitlements.told import told
from reconciler.ledger.base import Balance, Store
from reconciler.service.api.answers import decimal, moment
from reconciler.service.api.model import Amount, Name
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.service import Service

_PAGE, _LARGEST = 100, 1000


class _Query(BaseModel):
    """Text that is read as what it stands for, and no names beside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=_LARGEST)] = _PAGE


class TenantsAsked(_Query):
    """Which page of tenants, by name."""

    after: Name | None = Field(None, description="The last name of the page before.")


class EntriesAsked(_Query):
    """Which page of a tenant's entries, oldest first."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")
    after: Annotated[int, Field(ge=0, le=2**53)] = Field(0, description="The last number of the page before.")


class TenantAnswer(BaseModel):
    """A tenant of the files or of the ledger: its plan, why it may call nothing, its credits."""

    tenant: str
    name: str
    plan: str | None
    status: str | None = Field(description="Of its subscription, where one is known.")
    refused: str | None
    credits: Amount
    held: Amount


class TenantsAnswer(BaseModel):
    """Tenants by name; ``next`` is ``after`` of the page behind, where there is one."""

    tenants: list[TenantAnswer]
    next: str | None


class EntryAnswer(BaseModel):
    """One entry of a ledger, told in a sentence; ``hash`` covers it and all before it."""

    seq: int
    at: AwareDatetime
    kind: str
    key: str | None
    of: str | None = Field(description="Key of the call, reservation or grant it is about, where it is another entry.")
    text: str
    hash: str


class EntriesAnswer(BaseModel):
    """Entries, oldest first; ``next`` is ``after`` of the page behind, where there is one."""

    tenant: str
    entries: list[EntryAnswer]
    next: int | None


class PlanAnswer(BaseModel):
    """A plan that is sold: its features, and the tools and globs it has; no tools means all."""

    id: str
    name: str
    features: list[str]
    tools: list[str] | None


class PackAnswer(BaseModel):
    """A credit pack that is sold."""

    id: str
    name: str
    credits: Amount
    bonus: Amount
    price: Amount
    currency: str


class CatalogAnswer(BaseModel):
    """What is for sale under the files that decide now."""

    config_digest: str
    plans: list[PlanAnswer]
    packs: list[PackAnswer]


async def _tenants(asked: Asked) -> dict[str, Any]:
    query: TenantsAsked = asked.query
    found = await asyncio.to_thread(_page, asked.service, query.after or "", query.limit)
    following = found[-1]["tenant"] if len(found) == query.limit else None
    return {"tenants": found, "next": following}


def _page(service: Service, after: str, limit: int) -> list[dict[str, Any]]:
    policy, store = service.runtime.policy, service.runtime.ledger.store
    kept = {each.tenant: each for each in store.balances(after, limit)}
    declared = islice((name for name in sorted(policy.tenants) if name > after), limit)
    names = sorted({*kept, *declared})[:limit]
    return [_tenant(policy, store, name, kept.get(name)) for name in names]


def _tenant(policy: Policy, store: Store, name: str, kept: Balance | None) -> dict[str, Any]:
    subscription = None if kept is None else subscription_of(store.read(name).facts)
    stands = standing(policy, name, subscription)
    return {
        "tenant": name,
        "name": stands.tenant.name if stands.tenant is not None else "",
        "plan": stands.plan.id if stands.plan is not None else None,
        "status": None if subscription is None else subscription.status,
        "refused": None if stands.refused is None else stands.refused.value,
        "credits": decimal(kept.credits if kept is not None else 0),
        "held": decimal(kept.held if kept is not None else 0),
    }


async def _entries(asked: Asked) -> dict[str, Any]:
    query: EntriesAsked = asked.query
    tenant = asked.tenant(query.tenant)
    checked(tenant, None)
    store = asked.service.runtime.ledger.store
    found = await asyncio.to_thread(store.entries, tenant, query.after, query.limit + 1)
    shown = found[: query.limit]
    answers = []
    for place, entry in enumerate(shown):
        said = told(entry, found[place + 1] if place + 1 < len(found) else None)
        answers.append(
            {
                "seq": entry.seq,
                "at": moment(entry.at),
                "kind": entry.kind,
                "key": entry.key,
                "of": said.of,
                "text": said.text,
                "hash": entry.hash.hex(),
            }
        )
    return {"tenant": tenant, "entries": answers, "next": shown[-1].seq if len(found) > query.limit else None}


async def _catalog(asked: Asked) -> dict[str, Any]:
    policy = asked.service.runtime.policy
    return {
        "config_digest": policy.config_digest,
        "plans": [
            {
                "id": plan.id,
                "name": plan.name,
                "features": sorted(plan.features),
                "tools": None if plan.tools is None else list(plan.tools),
            }
            for plan in policy.plans.values()
            if plan.status == "active"
        ],
        "packs": [
            {
                "id": pack.id,
                "name": pack.name,
                "credits": decimal(pack.credits),
                "bonus": decimal(pack.bonus),
                "price": decimal(pack.price),
                "currency": pack.currency,
            }
            for pack in policy.packs.values()
            if pack.status == "active"
        ],
    }


OPERATIONS = (
    Operation(
        "tenants",
        "GET",
        "/v1/tenants",
        "List the tenants of the files and of the ledger",
        _tenants,
        TenantsAnswer,
        "reports",
        "tenants",
        who="operator",
        query=TenantsAsked,
        problems=(403, 422, 503),
    ),
    Operation(
        "entries",
        "GET",
        "/v1/entries",
        "List what happened to a tenant's books, entry by entry",
        _entries,
        EntriesAnswer,
        "reports",
        "entries",
        query=EntriesAsked,
        problems=(403, 422, 503),
    ),
    Operation(
        "catalog",
        "GET",
        "/v1/catalog",
        "Show what is for sale",
        _catalog,
        CatalogAnswer,
        "reports",
        "catalog",
    ),
)
