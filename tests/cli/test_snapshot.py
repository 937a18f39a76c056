"""A recorded read-out of an account, and plans made from it without key or network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.planning.snapshot import MAX_BYTES, parse_snapshot
from reconciler.resources.model import canonical_json, digest

from .support import SIMPLE, STATE, Shell, dashboard, write
from .test_render import AFTER, BEFORE

FILE = "stripe.snapshot.json"
KEY = "sk_" + "live_" + "planted1234567890"
PERSONAL = ("jane@example.org", "Jane Roe", "1 Main Street", KEY)
ENVIRONMENTS = "environments: {one: {}, two: {account: acct_theirs}, live: {mode: live}}\n"


@pytest.fixture
def recorded(shell: Shell) -> Shell:
    """Make an account from BEFORE, with drift, a second object, personal data of others and secrets; record it."""
    with dashboard() as sandbox:
        client = sandbox.client()
        metadata = {"customer": PERSONAL[0], "address": PERSONAL[2], "note": f"call {PERSONAL[1]} {KEY}"}
        client.v1.products.create({"id": "prod_gold", "name": "Gold", "metadata": {"customer": PERSONAL[0]}})
        client.v1.products.create({"name": f"For {PERSONAL[1]}", "description": KEY, "metadata": metadata})
        client.v1.coupons.create({"id": "theirs", "name": PERSONAL[1], "percent_off": 5, "metadata": metadata})
        client.v1.customers.create({"name": PERSONAL[1], "email": PERSONAL[0], "metadata": metadata})
    shell.apply(BEFORE)
    with dashboard() as sandbox:
        client = sandbox.client()
        client.v1.products.update(
            "acme_plan_pro", {"description": f"Edited {KEY}", "metadata": {"asked-by": PERSONAL[0]}}
        )
        client.v1.products.create(
            {"name": "Twin", "metadata": {"managed_by": "reconciler/acme", "address": "plans.basic"}}
        )
    write(AFTER)
    done = shell.stored("snapshot", "--out", FILE)
    assert (done.code, done.out) == (0, "")
    return shell


def plan(done_out: str) -> dict[str, Any]:
    """Return a plan's JSON without what differs from one making to the next."""
    return {name: value for name, value in json.loads(done_out).items() if name not in ("id", "created", "expires")}


def test_an_offline_plan_is_the_plan(recorded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without key and account the plan is the same but for who is subscribed; it says when the read-out was taken."""
    online = plan(recorded.stored("plan", "--format", "json").out)
    for name in ("sandbox.db", "sandbox.db-wal", "sandbox.db-shm"):
        Path(name).unlink(missing_ok=True)
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    done = recorded("plan", "--snapshot", FILE, "--format", "json")
    assert done.code == 0, done.err
    offline = plan(done.out)
    taken = offline.pop("snapshot")
    unknown = offline.pop("subscribers")
    assert unknown == dict.fromkeys(online.pop("subscribers"), None) != {}
    assert {each.pop("guard") for each in offline.pop("refusals")} == {"subscribers"}
    assert (online.pop("refusals"), offline.pop("digest") == online.pop("digest")) == ([], False)
    assert offline == online
    assert {each["action"] for each in offline["actions"]} == {"create", "update", "replace", "retire", "adopt"}
    assert json.loads(Path(FILE).read_text())["taken"] == taken
    assert f"Planned from a snapshot of {taken[:10]}" in recorded("plan", "--snapshot", FILE).out
    assert (
        f"Planned from a snapshot of {taken[:10]}" in recorded("plan", "--snapshot", FILE, "--format", "markdown").out
    )
    assert recorded("plan", "--snapshot", FILE, "--detailed-exitcode").code == 2


def test_a_plan_of_other_files_is_the_plan(recorded: Shell) -> None:
    """Files of a pull request are planned offline as online, and an account equal to the files has no changes."""
    for files in (BEFORE, BEFORE.replace("49.99", "59.99"), SIMPLE):
        write(files)
        online = plan(recorded.stored("plan", "--format", "json").out)
        offline = plan(recorded("plan", "--snapshot", FILE, "--format", "json").out)
        assert offline["actions"] == online["actions"]
        assert offline["counts"] == online["counts"]
    recorded.apply(BEFORE)
    recorded.stored("snapshot", "--out", FILE)
    assert "No changes" in recorded("plan", "--snapshot", FILE).out


def test_nothing_personal_and_no_secret_is_recorded(recorded: Shell) -> None:
    """Nothing of customers, of others' words and metadata, and no key is in the file; what is ours is."""
    text = Path(FILE).read_text()
    assert [each for each in (*PERSONAL, "planted", "asked-by") if each in text] == []
    objects = {each["id"]: each for each in json.loads(text)["objects"]}
    assert objects["acme_plan_pro"]["values"]["name"] == "Pro"
    assert objects["theirs"]["values"] == {"id": "theirs"}
    assert objects["prod_gold"]["metadata"] == {}
    assert {each["kind"] for each in objects.values()} <= {
        *("meter", "feature", "product", "product_feature", "price", "coupon", "promotion_code", "tax_rate")
    }
    assert recorded.stored("plan").code == 0


def test_codes_of_others_are_not_given_away(recorded: Shell) -> None:
    """A promotion code made by hand is in no snapshot unless the files name it; then it is seen as taken."""
    with dashboard() as sandbox:
        client = sandbox.client()
        for code in ("JANE100", "FREE100"):
            client.v1.promotion_codes.create(
                {"promotion": {"type": "coupon", "coupon": "theirs"}, "code": code, "metadata": {}}
            )
    write(f"{SIMPLE}coupons: {{c: {{percent_off: 5}}}}\npromotion_codes: {{p: {{coupon: c, code: FREE100}}}}\n")
    online = recorded.stored("plan")
    assert recorded.stored("snapshot", "--out", FILE).code == 0
    text = Path(FILE).read_text()
    assert ("JANE100" in text, "FREE100" in text) == (False, True)
    offline = recorded("plan", "--snapshot", FILE)
    assert (online.code, offline.code, "FREE100" in offline.err) == (3, 3, True)
    write(AFTER)
    assert recorded.stored("snapshot", "--out", FILE).code == 0
    foreign = [
        json.loads(each.out)["foreign"]
        for each in (
            recorded.stored("plan", "--format", "json"),
            recorded("plan", "--snapshot", FILE, "--format", "json"),
        )
    ]
    assert foreign[0] == foreign[1]
    assert foreign[0]["promotion_code"] == 2


def test_a_snapshot_is_the_same_for_the_same_account(recorded: Shell) -> None:
    """Taken twice, only the instant and with it the digest differ."""
    first = json.loads(Path(FILE).read_text())
    recorded.stored("snapshot", "--out", FILE)
    second = json.loads(Path(FILE).read_text())
    volatile = ("taken", "digest")
    assert {**first, **dict.fromkeys(volatile)} == {**second, **dict.fromkeys(volatile)}


def test_a_snapshot_reads_and_never_writes(recorded: Shell) -> None:
    """Taking one leaves no trace in the account."""
    with dashboard() as sandbox:
        before = sandbox.client().v1.events.list({"limit": 100}).data
    recorded.stored("snapshot", "--out", FILE)
    with dashboard() as sandbox:
        assert sandbox.client().v1.events.list({"limit": 100}).data == before


def resealed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Change a snapshot's content and give it the right digest again."""
    content = json.loads(Path(FILE).read_text())
    del content["digest"]
    change(content)
    return f"{canonical_json({**content, 'digest': digest(content)})}\n".encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data.replace(b"4999", b"1999"), "E0832"),
        (lambda data: data.replace(b",", b", ", 1), "E0832"),
        (lambda data: data[:-1], "E0832"),
        (lambda data: data[: len(data) // 2], "E0831"),
        (lambda _: b"{}\n", "E0831"),
        (lambda _: b"\xff", "E0831"),
        (lambda _: b"[" * 100_000, "E0831"),
        (lambda data: data + b" " * MAX_BYTES, "E0831"),
        (lambda _: resealed(lambda content: content.update(format="reconciler.snapshot/2")), "E0831"),
        (lambda _: resealed(lambda content: content.update(more=1)), "E0831"),
        (lambda _: resealed(lambda content: content["objects"][0].update(kind="customer")), "E0831"),
        (lambda _: resealed(lambda content: content["objects"][0]["values"].update(more=1)), "E0831"),
        (lambda _: resealed(lambda content: content.update(tool="0.0.0")), "E0833"),
        (lambda _: resealed(lambda content: content.update(namespace="other")), "E0833"),
    ],
)
def test_an_altered_snapshot_is_refused(recorded: Shell, change: Callable[[bytes], bytes], code: str) -> None:
    """Whatever is not as it was written is refused with 5 and its own code; as it was written it is planned from."""
    whole = Path(FILE).read_bytes()
    Path(FILE).write_bytes(change(whole))
    done = recorded("plan", "--snapshot", FILE)
    assert (done.code, code in done.err, done.out) == (5, True, "")
    Path(FILE).write_bytes(whole)
    assert recorded("plan", "--snapshot", FILE).code == 0


@pytest.mark.parametrize("env", ["two", "live", "one", None])
def test_a_snapshot_is_of_one_environment(shell: Shell, env: str | None) -> None:
    """Another environment than that it was taken for is refused: its account and mode count as with a key."""
    write(SIMPLE + ENVIRONMENTS)
    assert shell.stored("snapshot", "--out", FILE, "--env", "one").code == 0
    chosen = () if env is None else ("--env", env)
    done = shell("plan", "--snapshot", FILE, *chosen)
    assert (done.code, "E0833" in done.err) == ((0, False) if env == "one" else (5, True))


def test_the_bound_account_counts_offline(shell: Shell) -> None:
    """A snapshot of one account is not planned from where the files come to bind the environment to another."""
    write(SIMPLE + "environments: {one: {}}\n")
    assert shell.stored("snapshot", "--out", FILE, "--env", "one").code == 0
    write(SIMPLE + "environments: {one: {account: acct_theirs}}\n")
    done = shell("plan", "--snapshot", FILE, "--env", "one")
    assert (done.code, "is of account acct_" in done.err) == (5, True)


def test_what_is_not_recorded_is_not_guessed(recorded: Shell) -> None:
    """Taking over an object of somebody else's that was recorded by its key alone is refused, by its id."""
    write(AFTER.replace("coupons:", "coupons:\n  theirs: {stripe_id: theirs, percent_off: 5}"))
    assert recorded.stored("plan").code == 0
    done = recorded("plan", "--snapshot", FILE)
    assert (done.code, "E0834" in done.err, "coupons.theirs: theirs" in done.err) == (5, True, True)
    with dashboard() as sandbox:
        archived = sandbox.client().v1.products.create({"name": "Old", "active": False}).id
    write(f"{AFTER}imports: [{{to: plans.basic2, id: {archived}}}]\n".replace("plans:", "plans:\n  basic2: {name: X}"))
    done = recorded("plan", "--snapshot", FILE)
    assert (done.code, f"plans.basic2: {archived}" in done.err) == (5, True)
    assert recorded.stored("snapshot", "--out", FILE).code == 0
    assert recorded("plan", "--snapshot", FILE).code == 0


def test_a_key_held_by_others_is_seen_offline(recorded: Shell) -> None:
    """A product id that an object of others holds is told as online, though nothing else of it is recorded."""
    with dashboard() as sandbox:
        sandbox.client().v1.products.create({"id": "acme_plan_new", "name": PERSONAL[1]})
    recorded.stored("snapshot", "--out", FILE)
    write(BEFORE.replace("plans:", "plans:\n  new: {name: New}"))
    online, offline = recorded.stored("plan"), recorded("plan", "--snapshot", FILE)
    assert (online.code, offline.code) == (3, 3)
    assert "E0701" in online.err
    assert [line for line in offline.err.splitlines() if "E0701" in line] == [
        line for line in online.err.splitlines() if "E0701" in line
    ]


def test_an_offline_plan_is_for_reading_only(recorded: Shell) -> None:
    """It cannot be saved, mixed with an account, or applied from what was printed; a plan of the account can."""
    assert recorded("plan", "--snapshot", FILE, "--out", "plan.json").code == 64
    assert not Path("plan.json").exists()
    assert recorded("plan", "--snapshot", FILE, f"--sandbox={STATE}").code == 64
    printed = recorded("plan", "--snapshot", FILE, "--format", "json").out
    for text in (printed, f"{canonical_json(json.loads(printed))}\n"):
        Path("plan.json").write_text(text)
        assert recorded.stored("apply", "plan.json").code == 5
    assert recorded.stored("plan", "--out", "plan.json").code == 0
    sealed = json.loads(Path("plan.json").read_text())
    del sealed["seal"]
    offline = {**sealed, "snapshot": "2026-01-01T00:00:00+00:00"}
    seal = digest(offline)
    Path("forged.json").write_text(f"{canonical_json({**offline, 'seal': f'sha256:{seal}'})}\n")
    forged = recorded.stored("apply", "forged.json")
    assert (forged.code, "E0803" in forged.err) == (5, True)
    assert recorded.stored("apply", "plan.json").code == 0


def test_a_snapshot_needs_a_key_and_a_place(shell: Shell) -> None:
    """Taking one without an account, or without --out, is a wrong command line; nothing is written."""
    write(SIMPLE)
    assert shell("snapshot", "--out", FILE).code == 64
    assert shell.stored("snapshot").code == 64
    assert not Path(FILE).exists()


@pytest.mark.usefixtures("recorded")
def test_what_a_snapshot_holds_is_what_planning_reads() -> None:
    """Read back, the objects are those of the account, ours with all their values."""
    snapshot = parse_snapshot(Path(FILE).read_bytes())
    ours = {each.id: each for each in snapshot.live.objects if each.mark is not None}
    assert ours["acme_plan_basic"].mark is not None
    assert ours["acme_plan_basic"].metadata["team"] == "core"
    assert ("coupon", "theirs") in snapshot.partial
    assert ("product", "prod_gold") not in snapshot.partial
