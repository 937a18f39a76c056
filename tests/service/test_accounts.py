"""Balances, grants, refunds, reloads and lists over HTTP."""

import pytest

from tests.service.world import FILES, Served

GRANT = {"tenant": "acme", "credits": "12.5", "reason": "goodwill"}


def test_a_balance_in_decimals(served: Served) -> None:
    """Credits and lots are decimals, instants are RFC 3339, and the file's grant is there before any call."""
    served.acme.post("/v1/consume", {"tool": "half"})
    found = served.acme.get("/v1/balance").json
    assert (found["tenant"], found["plan"], found["credits"], found["held"]) == ("acme", "credits", "29.5", "0")
    assert [(lot["granted"], lot["remaining"], lot["reason"]) for lot in found["lots"]] == [("30", "29.5", "welcome")]
    (quota, rate) = served.rival.get("/v1/balance").json["allowances"]
    assert (quota["of"], quota["limit"], quota["resets_at"]) == ("calls", "3", "2027-02-01T00:00:00Z")
    assert (rate["kind"], rate["resets_at"]) == ("rate", None)


def test_a_subscription_in_a_balance(served: Served) -> None:
    """What is known of a subscription stands in the balance, and why it entitles to nothing any more."""
    served.runtime.set_subscription("acme", status="unpaid", plan="credits")
    found = served.operator.get("/v1/tenants/acme/balance").json
    assert (found["subscription"]["status"], found["refused"]) == ("unpaid", "subscription_inactive")


def test_a_grant_happens_once_for_a_key(served: Served) -> None:
    """An operator's grant of twelve and a half credits is there once, however often it is sent."""
    for _ in range(2):
        found = served.operator.post("/v1/grants", GRANT, once="g-1")
        assert (found.status, found.json) == (200, {"tenant": "acme", "key": "g-1", "credits": "42.5"})
    other = served.operator.post("/v1/grants", {**GRANT, "credits": 1}, once="g-1")
    assert (other.status, other.code) == (422, "key_conflict")


def test_a_pack_is_granted_with_its_bonus(served: Served) -> None:
    """Ten credits of a pack come with one on top; a pack the files do not have is 422, at its place."""
    pack = {"tenant": "acme", "pack": "small", "reason": "phone order"}
    assert served.operator.post("/v1/grants", pack, once="p").json["credits"] == "41"
    none = served.operator.post("/v1/grants", {**pack, "pack": "huge"}, once="q")
    assert (none.status, none.json["errors"][0]["pointer"]) == (422, "/pack")


@pytest.mark.parametrize(
    "change",
    [
        {"reason": None},
        {"reason": ""},
        {"credits": "0"},
        {"credits": "-1"},
        {"credits": "1e3"},
        {"credits": "1_000"},
        {"credits": "0.0000001"},
        {"credits": 0.1},
        {"credits": True},
        {"credits": "1000000001"},
        {"credits": "١٢"},
        {"pack": "small"},
        {"expires": "2027-13-01"},
        {"expires": "2027-01-31T00:00:00"},
        {"priority": 101},
        {"price": 1},
    ],
    ids=str,
)
def test_a_grant_that_cannot_be(served: Served, change: dict[str, object]) -> None:
    """A grant without a reason, of no amount, of a float, of both kinds or with more than there is, is refused."""
    found = served.operator.post("/v1/grants", {**GRANT, **change}, once="k")
    assert (found.status, found.code) == (422, "invalid_request")
    assert served.operator.post("/v1/grants", GRANT, once="k").status == 200


def test_a_grant_needs_a_key(served: Served) -> None:
    """Without an idempotency key nothing is granted, since nobody could tell it from its repetition."""
    assert served.operator.post("/v1/grants", GRANT).status == 400
    assert served.operator.post("/v1/grants", GRANT, once="~own").status == 400


def test_a_refund_gives_back_once(served: Served) -> None:
    """A call's credits go back to their lot, once; of a call that was never made there is nothing to give back."""
    served.acme.post("/v1/consume", {"tool": "big"}, once="call")
    asked = {"tenant": "acme", "of": "tenant:call"}
    for _ in range(2):
        found = served.operator.post("/v1/refunds", asked, once="r")
        assert (found.status, found.json["restored"], found.json["lost"]) == (200, "10", "0")
    assert served.acme.get("/v1/balance").json["credits"] == "30"
    assert served.operator.post("/v1/refunds", {**asked, "of": "other"}, once="s").status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/grants", GRANT), ("/v1/refunds", {"tenant": "acme", "of": "tenant:k"}), ("/v1/policy/reload", None)],
)
def test_what_only_an_operator_may(served: Served, path: str, body: object) -> None:
    """A tenant may neither grant nor refund, not even to itself, nor have files read; an operator may."""
    served.acme.post("/v1/consume", {"tool": "big"}, once="k")
    assert served.acme.post(path, body, once="a").status == 403
    assert served.stranger.post(path, body, once="a").status == 401
    once = None if body is None else "a"
    assert served.operator.post(path, body, once=once).status == 200


def test_new_files_decide_at_once(served: Served) -> None:
    """After a reload the new price holds; files that are wrong change nothing and are told problem by problem."""
    before = served.acme.post("/v1/check", {"tool": "big"}).json
    dearer = {"name": "Credits", "credits": {"default": 1, "tools": {"big": 12}}}
    served.files = {**FILES, "plans": {**FILES["plans"], "credits": dearer}}
    assert served.operator.post("/v1/policy/reload").json["revision"] != before["config_digest"]
    assert served.acme.post("/v1/check", {"tool": "big"}).json["cost"] == "12"


def test_tenants_page_by_page(served: Served) -> None:
    """Tenants of the files and of the ledger are listed together by name, each once, over any number of pages."""
    served.runtime.grant("selfmade", 5, key="g")
    first = served.operator.get("/v1/tenants?limit=3").json
    assert [each["tenant"] for each in first["tenants"]] == ["acme", "quiet", "rival"]
    rest = served.operator.get(f"/v1/tenants?limit=3&after={first['next']}").json
    assert [(each["tenant"], each["credits"]) for each in rest["tenants"]] == [("selfmade", "5")]
    assert rest["next"] is None
    assert served.acme.get("/v1/tenants").status == 403


def test_entries_tell_what_happened(served: Served) -> None:
    """Every entry of a tenant's books is told in order, its own only; the page behind begins where one ends."""
    served.acme.post("/v1/consume", {"tool": "big"}, once="call")
    served.rival.post("/v1/consume", {"tool": "basic"})
    first = served.acme.get("/v1/entries?limit=1").json
    rest = served.acme.get(f"/v1/entries?after={first['next']}").json
    assert ([each["kind"] for each in first["entries"] + rest["entries"]], rest["next"]) == (["grant", "consume"], None)
    assert (rest["entries"][0]["key"], rest["entries"][0]["text"][:10]) == ("tenant:call", "Called big")


def test_the_catalogue_shows_what_is_for_sale(served: Served) -> None:
    """Plans and packs on sale are shown with exact prices, and nothing of any tenant."""
    found = served.acme.get("/v1/catalog")
    assert [(pack["id"], pack["price"], pack["bonus"]) for pack in found.json["packs"]] == [("small", "9.99", "1")]
    assert [plan["id"] for plan in found.json["plans"]] == ["credits", "free", "pro"]
    assert b"sha256" not in found.body
    assert b"Rival" not in found.body
