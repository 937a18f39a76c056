"""Auto-recharge and notices over HTTP: a tenant agrees for itself alone, an operator looks after what was told."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.service.work.caps import Caps
from reconciler.service.work.outbox import Outbox, notice_of
from reconciler.service.work.room import Work, WorkSettings

from .recharging_world import Shop
from .world import Served

PATH = "/v1/auto-recharge"


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve with an account, where credits may be bought."""
    world = Served()
    shop = Shop()
    world.service.work = Work(world.runtime, WorkSettings(caps=Caps(monthly=9)), gateway=shop.gateway())
    yield world
    shop.runtime.close()
    world.close()


def post(client: Any, **body: Any) -> Any:
    """Send what a tenant says."""
    return client.post(PATH, body)


def test_it_is_off_until_a_tenant_agrees(served: Served) -> None:
    """A tenant switches it on with a cap and off again; when and by which key is kept and shown."""
    found = served.acme.get(PATH).json
    assert (found["offered"], found["enabled"], found["monthly_cap"], found["principal"]) == (True, False, None, None)
    assert post(served.acme, enabled=True, monthly_cap=3).status == 200
    found = served.acme.get(PATH).json
    assert found == {
        "tenant": "acme",
        "offered": True,
        "enabled": True,
        "monthly_cap": 3,
        "changed": "2027-01-01T00:00:00Z",
        "principal": "tenant:acme:ci",
        "purchases": [],
    }
    assert served.rival.get(PATH).json["enabled"] is False
    assert post(served.acme, enabled=False).json["enabled"] is False


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("acme", {"enabled": True}, 422),
        ("acme", {"enabled": True, "monthly_cap": 0}, 422),
        ("acme", {"enabled": True, "monthly_cap": 1001}, 422),
        ("acme", {"enabled": True, "monthly_cap": "3"}, 422),
        ("acme", {"enabled": 1, "monthly_cap": 3}, 422),
        ("acme", {"monthly_cap": 3}, 422),
        ("acme", {"enabled": True, "monthly_cap": 3, "pack": "small"}, 422),
        ("acme", {"enabled": True, "monthly_cap": 3, "tenant": "rival"}, 403),
        ("operator", {"enabled": True, "monthly_cap": 3, "tenant": "acme"}, 403),
        ("stranger", {"enabled": True, "monthly_cap": 3, "tenant": "acme"}, 401),
    ],
)
def test_nobody_else_agrees(served: Served, who: str, body: Any, status: int) -> None:
    """Without a cap, for another tenant, as an operator or a stranger: refused, and nothing is kept."""
    assert post(getattr(served, who), **body).status == status
    assert served.operator.get(f"{PATH}?tenant=acme").json["changed"] is None
    assert post(served.acme, enabled=True, monthly_cap=3).status == 200


def test_an_operator_can_switch_it_off(served: Served) -> None:
    """Off is always allowed: for the tenant itself, and for an operator who names it."""
    post(served.acme, enabled=True, monthly_cap=3)
    found = post(served.operator, enabled=False, tenant="acme").json
    assert (found["enabled"], found["principal"]) == (False, "operator::ops")


def test_it_is_not_offered_unless_the_operator_says_so(served: Served) -> None:
    """Where it is not switched on nobody can agree, but everybody can end it."""
    served.service.work = Work(served.runtime, WorkSettings())
    assert post(served.acme, enabled=True, monthly_cap=3).status == 403
    assert post(served.acme, enabled=False).json["offered"] is False
    served.service.work = None
    assert served.acme.get(PATH).status == 404


def test_notices_are_listed_and_tried_again_by_operators(served: Served) -> None:
    """Pages of notices with their states; dead ones are due again; a tenant's key sees none of it."""
    now = served.clock.now
    notices = [
        notice_of("acme", "acme", "credits_low", str(number), now, number, {"below": "5"}) for number in range(3)
    ]
    served.runtime.ledger.alongside([Outbox.put(notices[0], 1), *(Outbox.put(each, now) for each in notices[1:])])
    outbox = served.service.work.outbox
    outbox.settle(outbox.claim(1)[0], "it is away")
    page = served.operator.get("/v1/notices?limit=2").json
    assert [(each["id"], each["state"]) for each in page["notices"]] == [
        (notices[0].id, "dead"),
        (notices[1].id, "pending"),
    ]
    assert (page["notices"][0]["error"], page["notices"][0]["data"]) == ("it is away", {"below": "5"})
    rest = served.operator.get(f"/v1/notices?after={page['next']}").json
    assert ([each["id"] for each in rest["notices"]], rest["next"]) == ([notices[2].id], None)
    assert served.operator.post("/v1/notices/retry", {"ids": [notices[1].id]}).json == {"retried": 0}
    assert served.operator.post("/v1/notices/retry", {}).json == {"retried": 1}
    for client, status in ((served.acme, 403), (served.stranger, 401)):
        assert client.get("/v1/notices").status == status
        assert client.post("/v1/notices/retry", {}).status == status
    assert served.operator.get("/v1/notices?limit=0").status == 422
    assert served.operator.get("/v1/notices?state=lost").status == 422
