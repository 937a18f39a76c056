"""Plans that somebody wrote so that they look half done: a resumed apply touches nothing that files and account do not.

A resumed plan differs from what would be planned now, for what it has done already. Whoever can put a plan file in
place of the reviewed one could hide a write behind such a difference.
"""

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.diagnostics import PlanRefusedError
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.change import Change
from reconciler.planning.live import read_object
from reconciler.planning.plan import Plan
from reconciler.planning.verify import check_config
from reconciler.provider.executor import Ending, Report
from reconciler.resources import BY_NAME, desire

from .samples import simple
from .test_attacks import PRICE, forge
from .test_crash import die
from .world import World, catalog_of

BARE = "plans.bare"


def there(world: World, kind: str, object_id: str) -> dict[str, Any]:
    """Return how a plan tells of an object that is there: id, fingerprint, state."""
    client = world.dashboard.v1
    raw = (client.prices if kind == "price" else client.products).retrieve(object_id).to_dict()
    live = read_object(BY_NAME[kind], raw)
    state = {"values": live.values, "metadata": {}}
    return {"kind": kind, "id": object_id, "fingerprint": live.fingerprint, "before": state}


def created(change: Change) -> dict[str, Any]:
    """Return the action that creates what a change has created; what stands there already counts as done."""
    assert change.after is not None
    return {
        "address": change.address,
        "kind": change.kind.name,
        "action": "create",
        "reason": str(change.reason),
        "fields": [],
        "id": None,
        "fingerprint": None,
        "source": change.source,
        "named": False,
        "policy": None,
        "before": None,
        "after": {"values": change.after.values, "metadata": change.after.metadata},
    }


def retire_foreign_price(world: World, content: dict[str, Any], made: dict[str, dict[str, Any]]) -> None:
    """Replace a price of somebody else by the one that is there."""
    theirs = world.dashboard.v1.products.create({"name": "Theirs"}).id
    params: Any = {"product": theirs, "currency": "usd", "unit_amount": 700, "recurring": {"interval": "month"}}
    foreign = there(world, "price", world.dashboard.v1.prices.create(params).id)
    content["actions"].append(made[PRICE] | {"action": "replace", "reason": "the files changed"} | foreign)


def retire_own_product(world: World, content: dict[str, Any], _made: dict[str, dict[str, Any]]) -> None:
    """Retire the product the files want, as a second object whose default price is unset already."""
    action = there(world, "product", "acme_plan_bare") | {"fingerprint": "0" * 32, "fields": [], "source": None}
    action["before"]["values"] |= {"default_price": {"$id": "price/price_x"}}
    action["before"]["metadata"] = world.dashboard.v1.products.retrieve("acme_plan_bare").to_dict()["metadata"]
    action |= {"address": BARE, "action": "retire", "reason": "a second object of the same address"}
    content["actions"].append(action | {"after": None, "named": False, "policy": None})


def bind_foreign_product(world: World, content: dict[str, Any], made: dict[str, dict[str, Any]]) -> None:
    """Put the new price below a product of somebody else."""
    theirs = there(world, "product", world.dashboard.v1.products.create({"name": "Theirs"}).id)
    content["bindings"]["plans.pro"] = {name: theirs[name] for name in ("kind", "id", "fingerprint")}
    content["actions"].append(made[BARE])


FORGERIES: dict[str, Callable[..., None]] = {
    "a foreign price as the predecessor of ours": retire_foreign_price,
    "our own product as a stray": retire_own_product,
    "a foreign product in the place of ours": bind_foreign_product,
}


def files(*, annual: bool) -> dict[str, Any]:
    """Return two plans, the first with a yearly price or without."""
    sections = simple("19")
    sections["plans"]["bare"] = {"name": "Bare"}
    if annual:
        sections["plans"]["pro"]["prices"]["annual"] = {"amount": "190", "interval": "year"}
    return sections


def attempt(world: World, plan: Plan) -> Report:
    """Do what ``apply PLAN`` does with the files at hand."""
    catalog = catalog_of(files(annual=True))
    check_config(plan, desire(catalog), catalog.digest, compile_catalog(catalog).digest)
    return world.run(plan, catalog=catalog)


@pytest.mark.parametrize("name", FORGERIES)
def test_what_looks_begun_writes_nothing_that_is_not_asked(name: str) -> None:
    """A forged plan that pretends to be half done is refused before its first write."""
    world = World()
    first = world.plan(files(annual=False))
    world.run(first)

    def edit(content: dict[str, Any]) -> None:
        FORGERIES[name](world, content, {each.address: created(each) for each in first.changes})
        content["unchanged"] -= 1
        content["actions"].sort(key=lambda action: (action["address"], action["id"] or ""))

    forged = forge(world.plan(files(annual=True)), edit)
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError) as refused:
        attempt(world, forged)
    assert refused.value.code == "E0809"
    assert world.writes() == []


def test_a_plan_that_is_half_done_is_resumed() -> None:
    """The control: a plan that died after its first write applies again, as a whole."""
    world = World()
    world.apply(files(annual=False))
    plan = world.plan(files(annual=True))
    die(world, plan, 1, after=True)
    assert attempt(world, plan).ending is Ending.COMPLETE
