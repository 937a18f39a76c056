"""What a plan looks like: golden texts of one catalogue that has every kind of change in it.

``pytest tests/cli --update-expected`` writes the texts anew; read the diff before keeping it.
"""

import json
import re
from pathlib import Path

import pytest

from reconciler.planning.markdown import LIMIT, MARKER
from reconciler.provider.gateway import Gateway

from .support import SIMPLE, STATE, Done, Shell, dashboard, write

GOLDEN = Path(__file__).parent / "golden"

BEFORE = """\
settings: {namespace: acme, currency: usd}
meters: {calls: {name: Tool calls, unit: call}}
features: {support: {name: Priority support}, export: {name: Export}}
plans:
  basic: {name: Basic, description: For one, metadata: {team: core}}
  old:
    name: Old
    prices: {monthly: {amount: 5, interval: month}}
  pro:
    name: Pro
    default_price: monthly
    prices:
      monthly: {amount: 49.99, interval: month}
      seats: {interval: month, amount: 10, nickname: Seats}
    usage:
      calls: {included: 5000, overage: {unit_amount: 0.005}}
    features: [support]
coupons:
  five: {name: Five, percent_off: 5, redeem_by: 2030-01-01}
"""
AFTER = """\
settings: {namespace: acme, currency: usd}
meters: {calls: {name: Calls of tools, unit: call}}
features: {support: {name: Priority support}, export: {name: Export}}
plans:
  basic: {name: Basic, description: For one or two people, metadata: {team: core, line: small}}
  gold: {name: Gold, stripe_id: prod_gold, statement_descriptor: ACME GOLD}
  pro:
    name: Pro
    default_price: monthly
    prices:
      monthly: {amount: 59.99, interval: month}
      seats: {interval: month, amount: 10}
    usage:
      calls: {included: 5000, overage: {unit_amount: 0.004}}
    features: [support, export]
credit_packs:
  starter: {name: Starter, credits: 100, price: 9.99}
coupons:
  five: {name: Five, percent_off: 7.5, redeem_by: 2031-01-01}
"""


def stable(text: str) -> str:
    """Replace ids that the sandbox makes up by as many letters, moments, and digests of a comment."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2027-01-01 00:00 UTC", text)
    text = re.sub(r"digest `[0-9a-f]{16}`", "digest `0123456789abcdef`", text)
    made_up = r"(?:(?<=m)|(?<![A-Za-z0-9]))(acct|price|prodft|feat|mtr_test|req)_([A-Za-z0-9]{14,})"
    return re.sub(made_up, lambda m: f"{m[1]}_{'x' * len(m[2])}", text)


def check(name: str, done: Done, request: pytest.FixtureRequest) -> None:
    """Compare what a command wrote with the text it must write."""
    assert done.code == 0, done.err
    path = GOLDEN / f"{name}.txt"
    actual = stable(done.out)
    if request.config.getoption("--update-expected"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


@pytest.fixture
def changed(shell: Shell) -> Shell:
    """Make an account from BEFORE, edit it in the dashboard, and write the files of AFTER."""
    with dashboard() as sandbox:
        sandbox.client().v1.products.create({"id": "prod_gold", "name": "Gold"})
        sandbox.client().v1.products.create({"name": "Theirs"})
    shell.apply(BEFORE)
    with dashboard() as sandbox:
        client = sandbox.client()
        client.v1.products.update("acme_plan_pro", {"description": "Edited in the dashboard"})
        client.v1.products.create(
            {"name": "Twin", "metadata": {"managed_by": "reconciler/acme", "address": "plans.basic"}}
        )
    write(AFTER)
    return shell


def test_a_first_plan(shell: Shell, request: pytest.FixtureRequest) -> None:
    """Everything is created: one line each, with money, brackets and position."""
    write(BEFORE)
    check("create", shell.stored("plan"), request)


def test_no_changes(shell: Shell, request: pytest.FixtureRequest) -> None:
    """An account that is as the files say is told by a sentence of its own."""
    shell.apply(BEFORE)
    check("no-changes", shell.stored("plan"), request)


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_every_kind_of_change(
    changed: Shell, columns: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Creation, update, replacement, retirement and adoption, each with reason, category, position and leaves."""
    monkeypatch.setenv("COLUMNS", columns)
    check(f"changes-{columns}", changed.stored("plan"), request)


def test_ascii(changed: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the C locale no sign goes beyond ASCII."""
    monkeypatch.setenv("LC_ALL", "C")
    done = changed.stored("plan")
    assert done.out.isascii()
    check("changes-ascii", done, request)


def test_colours(changed: Shell, request: pytest.FixtureRequest) -> None:
    """With colours the text is the same but for escape sequences."""
    plain, colored = changed.stored("plan").out, changed.stored("plan", "--color", "always")
    assert re.sub(r"\x1b\[\d+m", "", colored.out) == plain
    check("changes-color", colored, request)


def test_verbose_counts_by_kind(changed: Shell, request: pytest.FixtureRequest) -> None:
    """--verbose adds a count for each kind, foreign objects included."""
    check("changes-verbose", changed.stored("plan", "--verbose"), request)


def test_markdown(changed: Shell, request: pytest.FixtureRequest) -> None:
    """The comment has its counts and what is dangerous outside the fold."""
    done = changed.stored("plan", "--format", "markdown")
    head = done.out.split("<details>", maxsplit=1)[0]
    assert head.startswith(MARKER)
    for address in ("plans.old", "coupons.five", "plans.pro.prices.monthly"):
        assert f"`{address}`" in head
    check("changes-markdown", done, request)


def test_drift(changed: Shell, request: pytest.FixtureRequest) -> None:
    """Drift lists what was edited or deleted at Stripe, when and by which request, and second objects.

    It does not list what the files changed.
    """
    with dashboard() as sandbox:
        sandbox.clock.advance(60)  # in the second of the apply itself nobody could tell who deleted it
        sandbox.client().v1.coupons.delete("acme_coupon_five")
    write(BEFORE)
    check("drift", changed.stored("drift"), request)


def test_drift_as_json(changed: Shell) -> None:
    """The JSON of drift has the same lists; a meter whose name differs does not tell who changed it."""
    document = json.loads(changed.stored("drift", "--format", "json").out)
    assert document["drift"] is True
    assert [each["address"] for each in document["edited"]] == ["meters.calls", "plans.pro"]
    assert [each["address"] for each in document["strays"]] == ["plans.basic"]
    assert document["foreign"] == {"product": 1}
    assert document["counts"] == {
        "edited": 2,
        "archived": 0,
        "deleted": 0,
        "missing": len(document["missing"]),
        "strays": 1,
        "unapplied": len(document["unapplied"]),
    }
    assert all(each["before"] is None for each in [*document["missing"], *document["unapplied"]])
    known = document["edited"][1]["happened"]
    assert (known["what"], known["request"][:4]) == ("edited", "req_")
    assert document["edited"][0]["happened"] is None
    assert document["applied"]["current"] is False


def test_json_says_what_text_says(changed: Shell) -> None:
    """JSON lists each change with its category, and the digest is that of the plan file."""
    changed.stored("plan", "--out", "plan.json")
    document = json.loads(changed("show", "plan.json", "--format", "json").out)
    saved = json.loads(Path("plan.json").read_text())
    assert document["digest"] == saved["digest"]
    assert {each["address"]: each["category"] for each in document["actions"]}[
        "coupons.five"
    ] == "irreversible in Stripe"
    assert document["counts"] == saved["counts"]
    assert document["refusals"] == []


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_show_shows_what_plan_showed(changed: Shell, form: str) -> None:
    """A plan file is shown later exactly as it was shown when it was made."""
    made = changed.stored("plan", "--out", "plan.json", "--format", form)
    assert changed("show", "plan.json", "--format", form).out == made.out or form == "json"


HOSTILE = r"""settings: {namespace: acme, currency: usd}
plans:
  pro:
    name: "[red]bold[/red] ``` </details> {0.__class__} $(id) %s | ::error file=x::y"
    description: "=cmd() \u00e9 @team #1 <script> ::set-output name=a::b"
    metadata: {note: "`tick` ``two`` ```three```"}
    prices: {monthly: {amount: 1, interval: month, nickname: "::add-mask::x"}}
"""


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_hostile_text_of_the_files_is_inert(shell: Shell, form: str) -> None:
    """Markup, workflow commands and fences in names are shown as text and act nowhere."""
    shell.apply(HOSTILE.replace("[red]", "old ").replace("=cmd", "cmd"))
    write(HOSTILE)
    done = shell.stored("plan", "--format", form)
    assert done.code == 0
    assert "[red]bold[/red]" in done.out
    assert not [line for line in done.out.splitlines() if line.lstrip().startswith("::")]
    if form == "markdown":
        inside = done.out.split("````text\n")[1].split("````\n")[0]
        assert "</details>" in inside
        assert done.out.count("</details>") == inside.count("</details>") + 1


def test_hostile_text_of_stripe_is_inert(shell: Shell) -> None:
    """Escape sequences and line breaks that an object at Stripe holds are written out."""
    shell.apply(SIMPLE)
    hostile = "a\x1b[2J\x1b]0;title\x07\n::error::b\r\u202ec"
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"description": hostile})
        sandbox.client().v1.products.create(
            {"name": hostile, "metadata": {"managed_by": "reconciler/acme", "address": f"plans.{hostile}`x"}}
        )
    for form in ("text", "markdown", "json"):
        out = shell.stored("plan", "--format", form).out
        assert "u{1b}" in out or form == "json"
        assert not set(out) & {"\x1b", "\x07", "\r", "\u202e"}
        assert not [line for line in out.splitlines() if line.lstrip().startswith("::")]


def test_a_long_text_is_cut_around_its_difference(shell: Shell) -> None:
    """Of two long texts the part around the first difference is shown."""
    long = "word " * 500
    shell.apply(SIMPLE.replace("name: Pro", f"name: Pro\n    description: {long}one"))
    write(SIMPLE.replace("name: Pro", f"name: Pro\n    description: {long}two"))
    out = shell.stored("plan").out
    assert 'one"' in out
    assert 'two"' in out
    assert len(out) < 1500


def many(count: int) -> str:
    """Return files with so many plans."""
    plans = {f"plan-{number}": {"name": f"Plan {number}", "description": "x" * 200} for number in range(count)}
    return json.dumps({"settings": {"namespace": "acme"}, "plans": plans})


def test_a_large_comment_stays_below_the_limit(shell: Shell) -> None:
    """500 retirements and as many edits fit into a comment with every retirement outside the fold."""
    shell.apply(many(700))
    edited = json.loads(many(700))
    edited["plans"] = {name: {**plan, "description": "y" * 200} for name, plan in list(edited["plans"].items())[:200]}
    write(json.dumps(edited))
    out = shell.stored("plan", "--format", "markdown").out
    head = out.split("<details>", maxsplit=1)[0]
    assert len(out) <= LIMIT
    assert head.count("- retire `plans.plan-") == 500
    assert "more lines" in out
    assert out.endswith("</details>\n")


def test_equal_input_gives_equal_text(changed: Shell) -> None:
    """Two plans from the same files and account have the same text and the same digest."""
    first, second = changed.stored("plan", "--format", "json"), changed.stored("plan", "--format", "json")
    strip = ("id", "created", "expires")
    one, two = ({k: v for k, v in json.loads(each.out).items() if k not in strip} for each in (first, second))
    assert one == two
    assert changed.stored("plan").out == changed.stored("plan").out


def test_a_plan_cannot_write(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport a plan is made with refuses a write, even if planning tried one."""

    def tries(_catalog: object, gateway: Gateway, **_options: object) -> None:
        gateway.post("/v1/products", {"name": "x"}, "key")

    monkeypatch.setattr("reconciler.cli.planner.propose", tries)
    write(SIMPLE)
    done = shell.stored("plan")
    assert (done.code, "E0901" in done.err) == (1, True)
    with dashboard() as sandbox:
        assert sandbox.client().v1.products.list().data == []


def test_a_plan_writes_nothing(shell: Shell) -> None:
    """plan, drift and doctor leave the account as it was, byte for byte."""
    shell.apply(SIMPLE)
    write(AFTER)
    with dashboard() as sandbox:
        before = sandbox.client().v1.events.list({"limit": 100}).data
    for command in ("plan", "drift", "doctor"):
        assert shell(command, f"--sandbox={STATE}").code == 0
    with dashboard() as sandbox:
        assert sandbox.client().v1.events.list({"limit": 100}).data == before
