"""The pages over HTTP: who may see them, what they show, what their forms do, and that nothing in them acts."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from reconciler.entitlements.retention import archive_old
from reconciler.ledger.annex import Statement
from reconciler.ledger.archive import Archive
from reconciler.provider.webhooks.signature import Notice
from reconciler.service.dashboard.style import POLICY, STYLE
from reconciler.service.figures.listing import SORTS
from reconciler.service.figures.rounds import Figures
from reconciler.service.hooks.inbox import Inbox
from tests.ledger.databases import database
from tests.service.client import Client, Reply
from tests.service.markup import Markup
from tests.service.world import ACME_KEY, FILES, OPERATOR_KEY, RIVAL_KEY, Served

EVIL = "<script>alert(1)</script>\u202e\"'&"


class Person:
    """Somebody with a browser: keeps the cookie, follows what is answered, sends forms."""

    def __init__(self, served: Served, root: str = "") -> None:
        self.served, self.root, self.cookie = served, root, ""
        self._client = Client(served.app, root=root)

    def close(self) -> None:
        """Close the browser."""
        self._client.close()

    def get(self, path: str, **more: Any) -> Reply:
        """Open an address."""
        return self._client.get(path, headers=self._headers(), **more)

    def page(self, path: str) -> Markup:
        """Open an address and read the page, on which nothing may be wrong."""
        reply = self.get(path)
        assert reply.status == 200, (path, reply.status, reply.body[:300])
        found = Markup(reply.body.decode())
        assert not found.problems, found.problems
        return found

    def send(self, path: str, headers: tuple[tuple[str, str], ...] = (), **fields: str) -> Reply:
        """Send a form."""
        form = [("content-type", "application/x-www-form-urlencoded"), *headers]
        reply = self._client.post(path, urlencode(fields).encode(), headers=[*self._headers(), *form])
        if cookie := reply.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        return reply

    def sign_in(self, key: str = OPERATOR_KEY) -> Reply:
        """Give a key."""
        return self.send("/signin", key=key)

    def _headers(self) -> list[tuple[str, str]]:
        host = [("host", "pay.example"), ("origin", "http://pay.example")]
        return [*host, ("cookie", self.cookie)] if self.cookie else host


def up_to_date(served: Served) -> None:
    """Add up what there is."""
    Figures(served.runtime, lambda: served.service.catalog).round()


@pytest.fixture
def person(served: Served) -> Iterator[Person]:
    """Lend somebody who has signed in."""
    found = Person(served)
    found.sign_in()
    yield found
    found.close()


PAGES = ("/", "/tenants", "/tenant?id=acme", "/catalogue")


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_shown_the_way_in(served: Served, path: str) -> None:
    """Without a session every page leads to the form for a key, and shows nothing."""
    stranger = Person(served)
    reply = stranger.get(path)
    assert (reply.status, reply.headers["location"], reply.body) == (303, "/signin", b"")
    assert "Operator key" in stranger.page("/signin").text
    stranger.close()


@pytest.mark.parametrize(
    "key",
    ["", "nonsense", ACME_KEY, RIVAL_KEY, OPERATOR_KEY[:-1] + "x"],
    ids=["none", "nonsense", "a tenant's", "another tenant's", "mistyped"],
)
def test_only_an_operators_key_opens(served: Served, key: str) -> None:
    """A tenant's key, a wrong one and none open nothing; an operator's does."""
    stranger = Person(served)
    assert stranger.sign_in(key).status == 403
    assert stranger.get("/").status == 303
    assert stranger.sign_in().status == 303
    assert stranger.get("/").status == 200
    stranger.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_key_in_a_header_opens_too(served: Served, path: str) -> None:
    """An operator's key as a bearer opens pages; a tenant's does not, whatever cookie stands beside it."""
    assert served.operator.get(path).status == 200
    assert served.acme.get(path).status == 403
    assert served.stranger.get(path, headers=[("authorization", "Bearer nonsense")]).status == 401


@pytest.mark.parametrize("path", [*PAGES, "/signin"])
def test_pages_are_closed_to_everything_else(person: Person, path: str) -> None:
    """A page may use its own style and its own forms, and nothing from anywhere; nobody keeps or frames it."""
    reply = person.get(path)
    assert reply.headers["content-security-policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-frame-options"] == "DENY"
    assert not re.search(r"https?://", reply.body.decode().replace(STYLE, ""))
    assert OPERATOR_KEY.encode() not in reply.body


def test_the_cookie_is_for_this_place_alone(served: Served) -> None:
    """The cookie is out of reach of scripts and other sites, secure where the page is; its token is kept nowhere."""
    stranger = Person(served)
    cookie = stranger.sign_in().headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    forwarded = stranger.send("/signin", (("x-forwarded-proto", "https"),), key=OPERATOR_KEY).headers["set-cookie"]
    assert "Secure" in forwarded
    token = cookie.partition("=")[2].partition(";")[0]
    kept = served.runtime.ledger.store.ask("SELECT id, operator FROM dashboard_session")
    assert [operator for _, operator in kept] == ["ops", "ops"]
    assert token not in repr(kept)
    stranger.close()


def test_a_session_ends(served: Served, person: Person) -> None:
    """A session is over when it is ended, after twelve hours, and when its key is no operator's any more."""
    csrf = person.page("/").fields("/signout")["csrf"]
    assert person.send("/signout", csrf="wrong").status == 403
    assert person.get("/").status == 200
    old = person.cookie
    assert person.send("/signout", csrf=csrf).headers["location"] == "/signin"
    person.cookie = old
    assert person.get("/").status == 303
    person.sign_in()
    served.clock.now += 12 * 3600 * 1_000_000
    assert person.get("/").status == 303
    person.sign_in()
    served.service.settings = replace(served.service.settings, operator_keys={})
    assert person.get("/").status == 303


def test_a_forged_cookie_opens_nothing(person: Person) -> None:
    """A token that was never given, of any form, is none."""
    for value in ("x" * 43, "", "x", "%00" * 43, "'; DROP TABLE dashboard_session; --"):
        person.cookie = f"reconciler_session={value}"
        assert person.get("/").status in (303, 400)


def test_nothing_is_known_yet(person: Person) -> None:
    """With an empty ledger pages say what is not known and why, with no number in its place."""
    text = person.page("/").text
    assert "unknown: no invoices were read yet" in text
    assert "unknown: no subscriptions were read yet" in text
    assert "were not added up yet" in text
    assert "No call was made in the last 30 days." in text


def test_what_was_used_is_shown(served: Served, person: Person) -> None:
    """Calls, credits and tools of the last thirty days stand on the first page, and tenants by what they used."""
    for number in range(3):
        served.runtime.consume("acme", "big", key=f"k{number}")
    served.runtime.consume("rival", "basic", key="one")
    up_to_date(served)
    overview = person.page("/")
    assert ["big", "3", "75%", "30 credits"] in overview.rows()
    assert ["basic", "1", "25%", "\u2013"] in overview.rows()
    tenants = person.page("/tenants?sort=tenant")
    assert [row[0] for row in tenants.rows()] == ["Acme acme", "Quiet quiet", "Rival rival"]
    assert tenants.rows()[2][3] == "1 of 3 calls"


def test_tenants_are_searched_and_sorted(served: Served, person: Person) -> None:
    """A search finds part of a name or id in any case, taking no sign for more than it is; a head turns the order."""
    for name in ("Zeta_1", "zeta-2", "100%"):
        served.runtime.grant(name, len(name), key="g")
    up_to_date(served)

    def found(path: str) -> list[str]:
        return [row[0] for row in person.page(path).rows()]

    assert found("/tenants?q=ZETA") == ["Zeta_1", "zeta-2"]
    assert found("/tenants?q=zeta_") == ["Zeta_1"]
    assert found("/tenants?q=%25") == ["100%"]
    assert found("/tenants?q=!") == []
    down = person.page("/tenants?sort=credits&dir=down")
    assert [row[4] for row in down.rows()] == sorted((row[4] for row in down.rows()), key=float, reverse=True)
    assert down.all("th", aria_sort="x") == []
    turned = next(each for each in down.all("th") if each.attributes.get("aria-sort"))
    assert (turned.text.split()[0], turned.attributes["aria-sort"]) == ("Credits", "descending")


def test_pages_have_every_tenant_once(served: Served, person: Person) -> None:
    """Going on from page to page in any order shows every tenant once, whatever stands equal."""
    names = [f"t{number:03}" for number in range(120)]
    for number, name in enumerate(names):
        served.runtime.grant(name, number % 7 + 1, key="g")
    up_to_date(served)
    for sort in SORTS:
        for way in ("up", "down"):
            seen, path = list[str](), f"/tenants?sort={sort}&dir={way}"
            while path:
                page = person.page(path)
                seen += [row[0].split()[-1] for row in page.rows()]
                path = page.links().get("Next page \u2192", "")
            assert sorted(seen) == sorted([*names, "acme", "rival", "quiet"]), (sort, way)


def test_a_tenants_page_tells_every_entry(served: Served, person: Person) -> None:
    """A tenant's page has each entry in a sentence, and lots in words; a refund and its call lead to each other."""
    served.runtime.consume("acme", "big", key="one")
    served.runtime.refund("acme", "one", key="back")
    page = person.page("/tenant?id=acme")
    entries = {row[0].split()[0]: row for row in page.rows() if row[0].startswith("#")}
    assert entries["#1"][2] == "The files grant 30 credits: welcome."
    assert "Called big for 10 credits (calls +1); 20 credits left. refunded by #3" in entries["#2"][2]
    assert "went back to where they came from (calls -1). about #2" in entries["#3"][2]
    assert entries["#2"][3] == "\u221210"
    assert page.links()["#2"] == "/tenant?id=acme&before=3#entry-2"
    assert "welcome (files)" in page.text


def test_entries_are_paged(served: Served, person: Person) -> None:
    """Entries come newest first, a page at a time, each once; what an entry is about stands on any page."""
    for number in range(100):
        served.runtime.grant("many", 1, key=f"g{number}")
    seen, path = list[int](), "/tenant?id=many"
    while path:
        page = person.page(path)
        seen += [int(row[0].split()[0][1:]) for row in page.rows() if row[0].startswith("#")]
        path = page.links().get("Older entries \u2192", "").partition("#")[0]
    assert seen == list(range(100, 0, -1))
    assert person.page("/tenant?id=many&before=999999").rows()
    assert "Nothing was entered" in person.page("/tenant?id=many&before=0").text


def test_archived_calls_leave_the_page_and_not_the_figures(served: Served, person: Person, tmp_path: Path) -> None:
    """Entries that went into an archive are no more on the page, all others are; figures stay as they were."""
    store = served.runtime.ledger.store
    served.runtime.grant("rival", 500, key="before")
    for number in range(3):
        served.runtime.consume("rival", "basic", key=f"k{number}")
        served.clock.now += 31 * 86_400_000_000
    up_to_date(served)
    before = store.ask("SELECT * FROM figure_day ORDER BY 1, 2, 3, 4, 5")
    served.clock.now += 60 * 86_400_000_000
    gone = sum(part.archived for part in archive_old(store, served.runtime.policy, "rival", 40, Archive(tmp_path)))
    assert gone == 3
    served.runtime.grant("rival", 5, key="after")
    up_to_date(served)
    person.sign_in()
    rows = [row for row in person.page("/tenant?id=rival").rows() if row[0].startswith("#")]
    assert [row[2].partition(" key ")[0] for row in rows] == [
        "Granted 5 credits.",
        "Calls up to entry 4 were archived: 3 entries in all.",
        "Granted 500 credits.",
    ]
    after = store.ask("SELECT * FROM figure_day ORDER BY 1, 2, 3, 4, 5")
    assert [row for row in after if row[1] <= before[-1][1]] == before


def test_nobody_knows_some_tenants(person: Person) -> None:
    """A tenant that is nowhere has no page, and no form makes it one."""
    assert person.get("/tenant?id=nobody").status == 404
    assert person.get("/tenant").status == 404
    assert person.get("/tenant?id=..%2F..%2Fetc").status == 404


def test_credits_are_granted_once(served: Served, person: Person) -> None:
    """A grant needs a reason, happens once however often the form is sent, and names who gave it in the ledger."""
    fields = person.page("/tenant?id=acme").fields("/tenant/grant")
    given = {**fields, "credits": "12.5", "expires": "2027-02-01", "reason": "for the outage"}
    for _ in range(2):
        reply = person.send("/tenant/grant", **given)
        assert (reply.status, reply.headers["location"]) == (303, "/tenant?id=acme&done=granted")
    page = person.page("/tenant?id=acme&done=granted")
    assert "The credits were granted." in page.text
    assert "Granted 12.5 credits until 2027-02-02 00:00:00 UTC: for the outage (by ops)." in page.text
    assert served.runtime.balance("acme").credits == 42_500_000
    again = person.send("/tenant/grant", **{**given, "credits": "13"})
    assert again.status == 409
    assert served.runtime.balance("acme").credits == 42_500_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": " "},
        {"reason": "x" * 201},
        {"credits": "0"},
        {"credits": "-1"},
        {"credits": "NaN"},
        {"credits": "1e400"},
        {"credits": "1,5"},
        {"credits": "1_0"},
        {"credits": "\uff11\uff12"},
        {"credits": "0.0000001"},
        {"credits": "ten"},
        {"expires": "tomorrow"},
        {"expires": "9999-12-31"},
        {"tenant": "nobody"},
        {"tenant": ""},
        {"key": "other"},
        {"key": "~file:x"},
        {"csrf": ""},
        {"csrf": "0" * 64},
    ],
)
def test_a_wrong_grant_gives_nothing(served: Served, person: Person, wrong: dict[str, str]) -> None:
    """A form with anything wrong is refused with a page that says so, and nothing is given; a right one is."""
    fields = person.page("/tenant?id=acme").fields("/tenant/grant")
    given = {**fields, "credits": "5", "expires": "", "reason": "because"}
    reply = person.send("/tenant/grant", **{**given, **wrong})
    assert reply.status in (403, 404, 422), reply
    assert b"<h1>" in reply.body
    assert served.runtime.balance("acme").credits == 30_000_000
    assert person.send("/tenant/grant", **given).status == 303
    assert served.runtime.balance("acme").credits == 35_000_000


@pytest.mark.parametrize(
    "header",
    [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ],
)
def test_another_site_sends_no_form(served: Served, person: Person, header: tuple[str, str]) -> None:
    """A form that another place has sent changes nothing, though it has cookie and token."""
    fields = person.page("/tenant?id=acme").fields("/tenant/grant")
    given = {**fields, "credits": "5", "expires": "", "reason": "because"}
    pairs = [("host", "pay.example"), ("cookie", person.cookie), header]
    pairs.append(("content-type", "application/x-www-form-urlencoded"))
    client = Client(served.app)
    assert client.post("/tenant/grant", urlencode(given).encode(), headers=pairs).status == 403
    assert (
        client.post("/signin", urlencode({"key": OPERATOR_KEY}).encode(), headers=pairs[2:] + pairs[:1]).status == 403
    )
    client.close()
    assert served.runtime.balance("acme").credits == 30_000_000


def test_a_grant_is_taken_away(served: Served, person: Person) -> None:
    """What is left of a grant is taken away with a reason; what the ledger gave by itself is not offered."""
    served.runtime.grant("acme", 5, key="gift")
    fields = person.page("/tenant?id=acme").fields("/tenant/adjust")
    given = {**fields, "lot": "gift", "reason": "given in error"}
    assert person.send("/tenant/adjust", **{**given, "lot": "~file:welcome"}).status == 422
    assert person.send("/tenant/adjust", **{**given, "lot": "none"}).status == 404
    assert person.send("/tenant/adjust", **given).status == 303
    assert served.runtime.balance("acme").credits == 30_000_000
    text = person.page("/tenant?id=acme").text
    assert "Took away what was left of a grant, 5 credits: given in error (by ops). about" in text


def test_nothing_in_a_name_acts() -> None:
    """Names, reasons and keys with markup and signs that turn lines round are shown as they are, and do nothing."""
    tenant = {**FILES["tenants"]["quiet"], "name": '<b>Bold</b> & "quoted"'}
    files = {**FILES, "tenants": {**FILES["tenants"], "quiet": tenant}}
    served = Served(files=files)
    name = "<img src=x onerror=alert(1)>"
    served.runtime.grant(name, 1, key=EVIL.replace("\u202e", ""), reason=EVIL)
    up_to_date(served)
    person = Person(served)
    person.sign_in()
    for path in (
        "/",
        "/tenants",
        f"/tenants?{urlencode({'q': EVIL})}",
        f"/tenant?{urlencode({'id': name})}",
        "/catalogue",
    ):
        page = person.page(path)
        assert not [*page.all("img"), *page.all("b")], path
    shown = person.get(f"/tenant?{urlencode({'id': name})}").body.decode()
    assert "\u202e" not in shown
    assert "\\u{202e}" in shown
    person.close()
    served.close()


def test_the_catalogue_is_as_the_files_say(person: Person) -> None:
    """Plans, limits and packs stand there in words; what is not known of the account is said to be so."""
    text = person.page("/catalogue").text
    assert "3 included a month, then refused" in text
    assert "everything: at most 2 a minute, refilled all the time" in text
    assert "Small small 10 1 9.99 USD never" in text
    assert "not checked here" in text


def test_pages_below_a_path(served: Served) -> None:
    """Mounted below a path, every link and form stays below it."""
    person = Person(served, root="/billing")
    assert person.sign_in().headers["location"] == "/billing/"
    for path in PAGES:
        page = person.page(path)
        targets = [*page.links().values(), *(each.attributes["action"] for each in page.all("form"))]
        assert targets
        assert all(target.startswith(("/billing/", "#")) for target in targets), targets
    person.close()


def test_the_history_of_applies_is_shown(served: Served, person: Person, tmp_path: Path) -> None:
    """Applies stand there newest first; without a file it is said how to have one, and lines that are none are told."""
    assert "No history is known" in person.page("/history").text
    file = tmp_path / "history.jsonl"
    served.service.settings = replace(served.service.settings, history=file)
    assert "Nothing was applied yet." in person.page("/history").text
    record = {
        "at": "2027-01-02T03:04:05+00:00",
        "ending": "complete",
        "changes": {"create": 3, "retire": 0},
        "by": EVIL,
    }
    older = {**record, "ending": "partly", "changes": {}, "account": "acct_1", "mode": "test", "environment": "prod"}
    file.write_text("".join(json.dumps(each) + "\n" for each in (older, record)) + "rubbish\n")
    page = person.page("/history")
    assert [row[:3] for row in page.rows()] == [
        ["2027-01-02 03:04", "complete", "3 create"],
        ["2027-01-02 03:04", "partly", "none"],
    ]
    assert "1 lines of the history could not be read" in page.text


def test_webhooks_are_shown_and_replayed(served: Served, person: Person) -> None:
    """What Stripe has told stands there newest first, with what became of it; a form replays it."""
    assert "This service takes no webhooks" in person.page("/webhooks").text
    inbox = Inbox(served.runtime.ledger.store)
    served.service.hooks = SimpleNamespace(inbox=inbox)  # type: ignore[assignment]  the inbox alone is asked
    assert "Nothing was received yet." in person.page("/webhooks").text
    for number in range(60):
        served.clock.now += 1_000_000
        inbox.add(
            [
                Notice(
                    f"evt_{number}",
                    "checkout.session.completed",
                    1,
                    False,
                    None,
                    None,
                    "cs_1",
                    "session",
                    "cus_1",
                    None,
                )
            ]
        )
    dead = "UPDATE hook SET state = 'dead', error = ?, tenant = 'acme', attempts = 9 WHERE id = 'evt_59'"
    served.runtime.ledger.store.alongside([Statement(dead, (EVIL,))])
    page = person.page("/webhooks")
    assert len(page.rows()) == 50
    assert page.rows()[0][2] == "dead 9 tries"
    assert "pending 59, the oldest from" in page.text
    assert page.links()["acme"] == "/tenant?id=acme"
    assert len(person.page(page.links()["Older \u2192"]).rows()) == 10
    assert "1 could not be worked off" in person.page("/").text
    csrf = page.fields("/webhooks/replay")["csrf"]
    assert person.send("/webhooks/replay", csrf="", id="evt_59").status == 403
    assert person.send("/webhooks/replay", csrf=csrf, id="evt_none").status == 409
    assert inbox.show("evt_59").state == "dead"
    assert person.send("/webhooks/replay", csrf=csrf, id="evt_59").status == 303
    assert inbox.show("evt_59").state == "pending"
    assert "worked off once more" in person.page("/webhooks?done=replayed").text


def test_postgres_serves_the_same_pages() -> None:
    """On PostgreSQL every page is there, in every order, and strange texts are no error."""
    with database("postgres", Path()) as url:
        served = Served(url)
        person = Person(served)
        person.sign_in()
        served.runtime.consume("acme", "big", key="one")
        up_to_date(served)
        for path in (*PAGES, *(f"/tenants?sort={sort}&dir=down" for sort in SORTS)):
            person.page(path)
        assert [row[0] for row in person.page("/tenants?q=ACM%00").rows()] == ["Acme acme"]
        assert person.get("/tenant?id=acme%00").status == 404
        assert person.page("/tenants?sort=plan&at=x%00&after=%00").rows()
        person.close()
        served.close()


@pytest.mark.parametrize(
    "query",
    [
        "sort=nonsense",
        "sort=tenant;DROP",
        "dir=x",
        "after=a&at=x&sort=credits",
        "after=&sort=plan",
        "before=x",
        "q=%00",
    ],
)
def test_a_strange_query_is_no_error(person: Person, query: str) -> None:
    """What a query says that cannot be is left out; the page is shown."""
    assert person.get(f"/tenants?{query}").status == 200
    assert person.get(f"/tenant?id=acme&{query}").status == 200
