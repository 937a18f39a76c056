"""policy, check, consume, balance, grant, usage, ledger: what they say and write, and that looking writes nothing.

``pytest tests/cli --update-expected`` writes the golden texts anew; read the diff before keeping it.
"""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.entitlements.policy import FORMAT
from reconciler.ledger import ledger as opening
from reconciler.sandbox import clock as sandbox_clock
from tests.entitlements.worlds import at

from .support import Done, Shell, dashboard, write

GOLDEN = Path(__file__).parent / "golden"
NOW = at("2027-01-10T12:00:00")
HOUR = 3_600_000_000
FILES = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
features: {reports: {name: Reports}}
tools:
  report: {requires: [reports]}
  chat: {counts: {calls: 1, tokens: {from: result.tokens}}}
plans:
  pro:
    name: Pro
    prices: {monthly: {amount: 49, interval: month}}
    usage:
      calls: {included: 3, overage: {unit_amount: 0.25}}
      tokens: {included: 100, overage: {unit_amount: 0.00000015}}
    features: [reports]
    limits: [{of: chat, max: 2, per: hour, kind: quota}, {of: "*", max: 60, per: minute, kind: rate, burst: 100}]
  free:
    name: Free
    usage: {calls: {included: 2, per: month, overage: deny}}
    tools: [echo]
  credits:
    name: Credits
    credits: {default: 1, tools: {chat: 10}}
credit_packs:
  small: {name: Small, credits: 100, bonus: 5, price: 9.99, expires_after: 30 days}
tenants:
  acme: {name: Acme, plan: pro}
  bakery: {name: Bakery, plan: free}
  zoo: {name: Zoo, plan: credits, credits: [{id: welcome, amount: 2.5, reason: hello}]}
"""


class Time:
    """The machine's time, set by hand."""

    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Let ledgers be opened with a time that stands still."""
    clock = Time()
    monkeypatch.setattr(opening, "system_clock", clock)
    return clock


@pytest.fixture
def books(shell: Shell, time: Time) -> Shell:
    """Write the files."""
    assert time.now == NOW
    write(FILES)
    return shell


@pytest.fixture
def used(books: Shell, time: Time) -> Shell:
    """Let tenants use things, some of it refused."""
    for call in (
        ("grant", "zoo", "--pack", "small", "--key", "cs_1"),
        ("consume", "acme", "chat", "--units", "tokens=500", "--key", "a1"),
        ("consume", "acme", "echo"),
        ("consume", "acme", "echo"),
        ("consume", "bakery", "echo"),
        ("consume", "zoo", "chat", "--units", "tokens=7", "--key", "z1"),
        ("consume", "acme", "--meter", "tokens", "--units", "tokens=11"),
    ):
        done = books(*call)
        assert done.code == 0, done.err
    time.now += HOUR
    assert books("consume", "acme", "echo").code == 0
    return books


def check(name: str, done: Done, request: pytest.FixtureRequest) -> None:
    """Compare what a command wrote with the text it must write."""
    assert done.code == 0, done.err
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-expected"):
        path.write_text(done.out, encoding="utf-8")
    assert done.out == path.read_text(encoding="utf-8")


SENTENCES = [
    ("acme", "echo"),
    ("acme", "report"),
    ("acme", "chat", "--units", "tokens=1"),
    ("bakery", "echo"),
    ("bakery", "chat", "--units", "tokens=1"),
    ("zoo", "chat", "--units", "tokens=1"),
    ("zoo", "report"),
    ("zoo", "echo", "--quantity", "2000"),
    ("acme", "--meter", "tokens", "--units", "tokens=3"),
    ("nobody", "echo"),
]


def test_a_check_says_what_and_why_in_a_sentence(used: Shell, request: pytest.FixtureRequest, time: Time) -> None:
    """Every answer is one sentence with the place in the files, and what would help behind it."""
    used("consume", "acme", "chat", "--units", "tokens=1")
    used("consume", "acme", "chat", "--units", "tokens=1")
    used("consume", "bakery", "echo")
    said = [used("check", *call) for call in SENTENCES]
    assert {done.code for done in said} == {0}
    check("check", Done(0, "".join(done.out for done in said), ""), request)
    assert time.now == NOW + HOUR


def test_a_refusal_is_an_answer_unless_the_exit_code_is_asked_for(books: Shell) -> None:
    """A refused call ends with 0, and with 4 under --exit-code; an allowed one with 0 either way."""
    for command in ("check", "consume"):
        assert books(command, "bakery", "report").code == 0
        assert books(command, "bakery", "report", "--exit-code").code == 4
        assert books(command, "bakery", "echo", "--exit-code").code == 0


def test_json_holds_the_decision_and_the_sentence(books: Shell) -> None:
    """The JSON of a check is the runtime's own decision, with the sentence beside it."""
    found = json.loads(books("check", "zoo", "report", "--format", "json").out)
    assert (found["allowed"], found["reason"], found["remedy"]["id"]) == (False, "feature_required", "pro")
    assert found["explanation"] == books("check", "zoo", "report").out.strip()


def test_a_key_books_once(books: Shell) -> None:
    """The same call again gets the first answer and says so; another call under the key is refused."""
    first = books("consume", "acme", "echo", "--key", "k")
    again = books("consume", "acme", "echo", "--key", "k")
    assert again.out == first.out.rstrip() + " The first answer again.\n"
    assert "another request" in books("consume", "acme", "report", "--key", "k").out
    assert "3 of 3" not in books("check", "acme", "echo").out
    assert "1 of 3 calls left" in books("check", "acme", "echo").out


def test_balance(used: Shell, request: pytest.FixtureRequest) -> None:
    """Lots in the order of spending, what is included, what is limited, with their ends and places."""
    check("balance", Done(0, "".join(used("balance", name).out for name in ("acme", "zoo", "nobody")), ""), request)
    found = json.loads(used("balance", "zoo", "--format", "json").out)
    assert (found["credits"], found["plan"]) == (97_500_000, "credits")


def test_grants(books: Shell) -> None:
    """Credits come once for a key, with expiry and reason, exactly; another grant under the key is refused."""
    done = books("grant", "acme", "0.000001", "--key", "g", "--expires", "2027-02-01", "--reason", "sorry")
    assert done.out == "acme has 0.000001 credits.\n"
    assert (
        books("grant", "acme", "0.000001", "--key", "g", "--expires", "2027-02-01", "--reason", "sorry").out == done.out
    )
    conflict = books("grant", "acme", "5", "--key", "g")
    assert (conflict.code, "E1120" in conflict.err) == (1, True)
    (lot,) = json.loads(books("balance", "acme", "--format", "json").out)["lots"]
    assert (lot["expires"], lot["reason"]) == (at("2027-02-01T00:00:00"), "sorry")


@pytest.mark.parametrize(
    "wrong",
    [
        ("check", "acme"),
        ("check", "acme", "echo", "--meter", "calls"),
        ("check", "acme", "chat"),
        ("check", "acme", "chat", "--units", "tokens=x"),
        ("check", "acme", "chat", "--units", "tokens=-1"),
        ("check", "acme", "echo", "--quantity", "-1"),
        ("consume", "acme", "echo", "--key", "~own"),
        ("consume", "", "echo"),
        ("consume", "a\nb", "echo"),
        ("grant", "acme", "--key", "k"),
        ("grant", "acme", "5", "--pack", "small", "--key", "k"),
        ("grant", "acme", "--pack", "large", "--key", "k"),
        ("grant", "acme", "--pack", "small", "--key", "k", "--reason", "x"),
        ("grant", "acme", "-5", "--key", "k"),
        ("grant", "acme", "0", "--key", "k"),
        ("grant", "acme", "nan", "--key", "k"),
        ("grant", "acme", "1e9x", "--key", "k"),
        ("grant", "acme", "0.0000001", "--key", "k"),
        ("grant", "acme", "5"),
        ("grant", "acme", "5", "--key", "k", "--expires", "soon"),
        ("usage", "report", "--month", "2027-13"),
        ("usage", "report", "--month", "2027-01", "--previous"),
        ("usage", "report", "--from", "2027-01-01"),
        ("usage", "report", "--from", "2027-01-02", "--to", "2027-01-01"),
        ("usage", "export", "--to", "2027-01-01"),
        ("usage", "export", "--format", "xlsx"),
        ("usage", "flush", "--sandbox", "--customers", "billing.d/all.yaml"),
        ("policy", "diff"),
        ("ledger", "verfy"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_usage_error(books: Shell, wrong: tuple[str, ...]) -> None:
    """Nothing is booked, nothing is traced back, and the exit code is 64."""
    done = books(*wrong)
    assert (done.code, done.out, "Traceback" in done.err) == (64, "", False), done.err
    assert json.loads(books("balance", "acme", "--format", "json").out)["seq"] == 0


@pytest.mark.parametrize("wrong", ["nested", "of another shape", "without parts"])
def test_a_forged_policy_is_no_policy(books: Shell, wrong: str) -> None:
    """A file nested too deep to read, or with a digest that holds over something else, is refused."""
    content: object = {"meters": {"m": 1}} if wrong == "of another shape" else {}
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    text = json.dumps({"format": FORMAT, "digest": digest, "content": content})
    Path("forged.json").write_text("[" * 100_000 if wrong == "nested" else text)
    done = books("policy", "diff", "forged.json")
    assert (done.code, "[E1110]" in done.err, "bug" in done.err) == (1, True, False), done.err


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (("check", "acme", "echo", "--ledger", "usage.db"), "E1106"),
        (("check", "acme", "echo", "--ledger", "sqlite:///none/there.db"), "E1101"),
        (("check", "acme", "echo", "--ledger", "sqlite:///typo.db"), "E1101"),
        (("check", "acme", "echo", "--ledger", "sqlite:///billing.d/all.yaml"), "E1101"),
        (("check", "acme", "echo", "--policy", "none.json"), "E1113"),
        (("check", "acme", "echo", "--policy", "billing.d/all.yaml"), "E1110"),
        (("consume", "acme", "echo", "--ledger", "sqlite:///none/there.db"), "E1101"),
        (("policy", "diff", "none.json"), "E1113"),
        (("ledger", "verify", "--ledger", "sqlite:///typo.db"), "E1101"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_what_is_not_there_is_an_error_with_its_code(books: Shell, wrong: tuple[str, ...], code: str) -> None:
    """A ledger or policy that was named must be there: it is never taken for an empty one, nor made by looking."""
    done = books(*wrong)
    assert (done.code, f"[{code}]" in done.err, "Traceback" in done.err) == (1, True, False), done.err
    assert not Path("typo.db").exists()


def test_invalid_files_end_with_3(shell: Shell) -> None:
    """Problems of the files are shown with their lines, whichever command reads them."""
    write(FILES.replace("included: 3", "included: three"))
    for call in (
        ("check", "acme", "echo"),
        ("policy", "compile"),
        ("usage", "report"),
        ("policy", "diff", "billing.d"),
    ):
        done = shell(*call)
        assert (done.code, "all.yaml:12:" in done.err) == (3, True), call


def test_the_ledger_stands_beside_the_files(books: Shell, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """The default is usage.db beside billing.d, from wherever it is run; variable and option go before it."""
    (here / "src").mkdir()
    monkeypatch.chdir(here / "src")
    done = books("consume", "acme", "echo")
    assert done.err == f"New ledger: {here / 'usage.db'}.\n"
    assert "1 of 3" in books("check", "acme", "echo").out
    monkeypatch.setenv("RECONCILER_LEDGER", f"sqlite:///{here / 'other.db'}")
    assert "New ledger" in books("consume", "acme", "echo").err
    assert books("consume", "acme", "echo", "--ledger", f"sqlite:///{here / 'third.db'}").code == 0
    assert sorted(path.name for path in here.glob("*.db")) == ["other.db", "third.db", "usage.db"]


def test_a_compiled_policy_takes_the_place_of_the_files(books: Shell, here: Path) -> None:
    """What is compiled decides the same without any file, and compiling again writes the same bytes."""
    assert books("policy", "compile", "--out", "policy.json").code == 0
    assert books("policy", "compile").out == Path("policy.json").read_text()
    expected = books("check", "acme", "echo").out
    Path("billing.d/all.yaml").unlink()
    Path("billing.d").rmdir()
    assert books("check", "acme", "echo", "--policy", "policy.json").out == expected
    assert books("consume", "acme", "echo", "--policy", "policy.json").code == 0
    assert (here / "usage.db").exists()


def test_policy_show(books: Shell, request: pytest.FixtureRequest) -> None:
    """Plans and tenants with their tools, prices, limits and places."""
    check("policy-show", books("policy", "show"), request)
    assert json.loads(books("policy", "show", "--format", "json").out)["namespace"] == "acme"


def test_policy_diff(books: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms first, then who gets what dearer, cheaper, refused or allowed; exit 2 only where it is asked for."""
    books("policy", "compile", "--out", "before.json")
    assert (
        books("policy", "diff", "before.json", "--detailed-exitcode").out
        == "No changes: calls are decided as before.\n"
    )
    write(
        FILES.replace("included: 3,", "included: 2,")
        .replace("tools: [echo]", "tools: [sing]")
        .replace("chat: 10}", "chat: 8}")
        .replace("max: 2,", "max: 4,")
    )
    check("policy-diff", books("policy", "diff", "before.json"), request)
    assert books("policy", "diff", "before.json", "--detailed-exitcode").code == 2
    same = books("policy", "diff", "billing.d", "billing.d", "--detailed-exitcode")
    assert (same.code, same.out) == (0, "No changes: calls are decided as before.\n")
    found = json.loads(books("policy", "diff", "before.json", "--format", "json").out)
    assert [term["address"] for term in found["terms"]][:1] == ["plans.credits.credits.listed.chat"]
    monkeypatch.setenv("LC_ALL", "C")
    assert books("policy", "diff", "before.json").out.isascii()


def test_usage_report(used: Shell, request: pytest.FixtureRequest) -> None:
    """Every tenant by tool and meter, within and beyond, in credits and money, and what all come to."""
    check("usage-report", used("usage", "report"), request)
    assert used("usage", "report").out == used("usage", "report", "--month", "2027-01").out
    found = json.loads(used("usage", "report", "acme", "--format", "json").out)
    assert [row["money"] for row in found[0]["meters"] if row["meter"] == "tokens"] == ["0.00006165"]
    assert "nothing used" in used("usage", "report", "--previous", "acme").out
    part = used(
        "usage", "report", "acme", "--from", "2027-01-10T13:00:00", "--to", "2027-01-11", "--format", "json"
    ).out
    assert [row["calls"] for row in json.loads(part)[0]["meters"] if not row["meter"]] == [1]


def test_usage_export(used: Shell) -> None:
    """CSV, JSON and JSON lines hold the same rows, which add up to the report; text that acts is made harmless."""
    used("consume", "acme", "=cmd()", "--key", "-1+1")
    rows = list(csv.DictReader(io.StringIO(used("usage", "export").out)))
    listed = json.loads(used("usage", "export", "--format", "json").out)
    lines = [json.loads(line) for line in used("usage", "export", "--format", "jsonl").out.splitlines()]
    assert listed == lines
    plain = [{name: str(value) for name, value in row.items()} for row in listed]
    assert [row for row in plain if "=" not in row["tool"]] == [row for row in rows if "=" not in row["tool"]]
    assert sum(int(row["units"]) for row in rows if (row["tenant"], row["meter"]) == ("acme", "tokens")) == 511
    assert sum(int(row["calls"]) for row in rows) == 8
    assert sum(float(row["credits"]) for row in rows) == 10
    (acting,) = [row for row in rows if row["tool"].endswith("=cmd()")]
    assert (acting["tool"], acting["key"]) == ("'=cmd()", "'-1+1")
    assert [row["tool"] for row in listed if row["key"] == "-1+1"] == ["=cmd()"]
    assert used("usage", "export", "nobody").out.count("\n") == 1
    assert used("usage", "export", "nobody", "--format", "json").out == "[]\n"


LOOKING = [
    ("check", "acme", "echo"),
    ("check", "zoo", "chat", "--units", "tokens=1"),
    ("balance", "zoo"),
    ("policy", "compile"),
    ("policy", "show"),
    ("policy", "diff", "billing.d"),
    ("usage", "report"),
    ("usage", "export"),
    ("usage", "outbox"),
    ("ledger", "verify"),
]


@pytest.mark.parametrize("call", LOOKING, ids=" ".join)
def test_looking_writes_nothing(used: Shell, call: tuple[str, ...], time: Time) -> None:
    """The ledger's bytes stay as they are, also where something has become due; only SQLite's own files appear."""
    time.now += 60 * 24 * HOUR
    path = Path("usage.db")
    path.chmod(0o444)
    before, names = path.read_bytes(), {each.name for each in Path().iterdir()}
    done = used(*call)
    assert done.code == 0, done.err
    assert path.read_bytes() == before
    assert {each.name for each in Path().iterdir()} - names <= {"usage.db-wal", "usage.db-shm"}
    assert path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("call", LOOKING, ids=" ".join)
def test_looking_makes_no_ledger(books: Shell, call: tuple[str, ...]) -> None:
    """Without a ledger nothing was used: that is said, and none is made."""
    done = books(*call)
    assert done.code == 0, done.err
    assert call[0] == "policy" or "There is no ledger at" in done.err
    assert [each.name for each in Path().iterdir() if "usage" in each.name] == []


def test_ledger_verify_tells_what_does_not_add_up(used: Shell) -> None:
    """Honest books are told by a sentence; a book that was edited is named, and the command ends with 1."""
    assert used("ledger", "verify").out == "OK: every entry, book and export adds up.\n"
    with sqlite3.connect("usage.db") as db:
        db.execute("UPDATE tenant SET credits = credits + 1 WHERE tenant = 'zoo'")
    db.close()
    done = used("ledger", "verify")
    assert (done.code, done.out.startswith("zoo"), "1 problem" in done.out) == (1, True, True)
    assert json.loads(used("ledger", "verify", "--format", "json").out)["ok"] is False


@pytest.fixture
def account(used: Shell) -> Callable[[], dict[tuple[str, str], int]]:
    """Apply the files, which makes customers with our mark, and return what reads the account's usage."""
    assert used.stored("apply", "--auto-approve").code == 0

    def shown() -> dict[tuple[str, str], int]:
        with dashboard() as sandbox:
            client = sandbox.client()
            found = {}
            for meter in client.v1.billing.meters.list().data:
                for customer in client.v1.customers.list().data:
                    noon = NOW // 10**6
                    bounds = {"customer": customer.id, "start_time": noon - 7200, "end_time": noon + 7200}
                    sums = client.v1.billing.meters.event_summaries.list(meter.id, bounds).data
                    total = sum(int(each.aggregated_value) for each in sums)
                    if total:
                        found[str(customer.name).lower(), meter.event_name.rpartition(".")[2]] = total
            return found

    return shown


@pytest.fixture
def at_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded sandbox have the ledger's time."""
    monkeypatch.setattr(sandbox_clock.time, "time", lambda: NOW / 10**6 + 7200)


USED = {("acme", "calls"): 4, ("acme", "tokens"): 511, ("bakery", "calls"): 1}


@pytest.mark.usefixtures("at_the_time")
def test_flush_sends_what_was_used(used: Shell, account: Any, request: pytest.FixtureRequest) -> None:
    """Everything counted by now is sent to the customers with our mark, once; what credits paid for is not."""
    done = used.stored("usage", "flush")
    assert done.code == 0, done.err
    check("usage-flush", done, request)
    assert account() == USED
    again = used.stored("usage", "flush")
    assert (again.code, again.out) == (0, "Sent 0 exports in 0 events.\n")
    assert account() == USED
    assert used("usage", "outbox").out == "Nothing there.\n"
    assert used("usage", "outbox", "--state", "sent").out.count("\n") == 4
    assert used("ledger", "verify").code == 0


@pytest.mark.usefixtures("at_the_time")
def test_flush_tells_what_waits_and_what_is_dead(used: Shell, account: Any, time: Time) -> None:
    """Without a customer usage waits and the exit code is 7; a refused one is a dead letter, 1, and tried --again."""
    Path("none.json").write_text("{}")
    waits = used.stored("usage", "flush", "--customers", "none.json")
    assert (waits.code, waits.out.count("no Stripe customer of the tenant is known")) == (7, 4)
    time.now += 1_000_000
    Path("wrong.json").write_text('{"acme": "cus_none", "bakery": "cus_none"}')
    dead = used.stored("usage", "flush", "--customers", "wrong.json")
    assert (dead.code, dead.out.count("No such customer")) == (1, 4)
    assert (used.stored("usage", "flush").out, account()) == ("Sent 0 exports in 0 events.\n", {})
    assert used("usage", "outbox", "--state", "dead").out.count("No such customer") == 4
    healed = used.stored("usage", "flush", "--again", "--format", "json")
    assert (healed.code, json.loads(healed.out)["sent"]) == (0, 4)
    assert account() == USED


@pytest.mark.usefixtures("at_the_time")
def test_flush_streams_where_it_is_told_to(used: Shell, account: Any) -> None:
    """--stream sends by the hundred, and says sent of what the summary shows already; --no-stream goes one by one."""
    done = used.stored("usage", "flush", "--stream", "--before", "2027-01-10T13:00:00")
    assert (done.code, done.out) == (0, "Sent 3 exports in 3 events.\n")
    assert used.stored("usage", "flush", "--no-stream").out == "Sent 1 export in 1 event.\n"
    assert account() == USED


@pytest.mark.usefixtures("at_the_time")
def test_flush_before_an_instant(used: Shell, account: Any) -> None:
    """--before leaves hours that begin later to another flush."""
    assert used.stored("usage", "flush", "--before", "2027-01-10T13:00:00").code == 0
    assert account() == USED | {("acme", "calls"): 3}


def test_flush_needs_an_account(used: Shell) -> None:
    """Without a key and without --sandbox nothing is sealed, and both ways out are said."""
    before = Path("usage.db").read_bytes()
    done = used("usage", "flush")
    assert (done.code, "STRIPE_API_KEY" in done.err, "--sandbox" in done.err) == (64, True, True)
    assert Path("usage.db").read_bytes() == before


@pytest.mark.usefixtures("at_the_time")
def test_a_customer_marked_twice_is_none(used: Shell, account: Any) -> None:
    """Usage of a tenant that is marked on two customers waits, and both are named."""
    with dashboard() as sandbox:
        mark = {"managed_by": "reconciler/acme", "address": "tenants.acme"}
        sandbox.client().v1.customers.create({"metadata": mark})
    done = used.stored("usage", "flush")
    assert (done.code, "acme is marked on cus_" in done.err) == (7, True)
    assert account() == {("bakery", "calls"): 1}
