"""impact: what it says in every form, what it takes, that no name acts, and that a ledger and its export agree.

``pytest tests/cli --update-expected`` writes the golden texts anew; read the diff before keeping it.
"""

import csv
import io
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from reconciler.ledger import ledger as opening
from tests.entitlements.worlds import at

from .support import Done, Shell, write

GOLDEN = Path(__file__).parent / "golden"
BASE = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
tools:
  chat: {counts: {calls: 1, tokens: {from: result.tokens}}}
  load: {quantity: {from: argument.rows, per: 1000, round: up}}
plans:
  pro:
    name: Pro
    default_price: monthly
    trial_days: 14
    prices: {monthly: {amount: 49, interval: month}, annual: {amount: 490, interval: year}}
    usage:
      calls: {included: 1000, overage: {unit_amount: 0.01}}
      tokens: {included: 100000, overage: {unit_amount: 0.00002}}
    limits: [{of: "*", max: 600, per: minute, kind: rate}]
  free:
    name: Free
    usage: {calls: {included: 200, per: month, overage: deny}}
  payg:
    name: Pay as you go
    per_call: {default: 0.05, tools: {chat: 0.20, load: 0.50}}
  credits:
    name: Credits
    credits: {default: 1, tools: {chat: 10}, included: 500}
  europe:
    name: Europe
    currency: eur
    prices: {monthly: {amount: 39, interval: month, on_change: now}}
credit_packs:
  small: {name: Small, credits: 100, price: 9.99}
tenants:
  acme: {name: Acme Inc, plan: pro, price: monthly}
  bakery: {name: Bakery, plan: free}
  clinic: {name: Clinic, plan: pro, price: annual}
  dentist: {name: Dentist, plan: payg}
  estate: {name: Estate, plan: credits}
  farm: {name: Farm, plan: pro, price: monthly}
  garage: {name: Garage, plan: europe}
  hotel: {name: Hotel, plan: payg}
"""
CHANGES = {
    "amount: 49,": "amount: 59,",
    "amount: 490": "amount: 540",
    "unit_amount: 0.01": "unit_amount: 0.008",
    "included: 200": "included: 100",
    "chat: 0.20": "chat: 0.15",
    "chat: 10}": "chat: 12}",
    "amount: 39": "amount: 36",
    "price: 9.99": "price: 11.99",
    "trial_days: 14": "trial_days: 7",
    "  hotel: {name: Hotel, plan: payg}": "  ice: {name: Ice, plan: free}",
}
USAGE = """\
tenant,tool,meter,quantity,calls,time
acme,search,,250000,,
acme,chat,tokens,9000000,500,
bakery,search,,180,,
clinic,,calls,40000,,
dentist,chat,,,2000,
dentist,load,,2500,30,
estate,chat,,,45,
hotel,search,,500,,
acme,search,,,1,2026-12-31T23:59:59Z
"""


def edited(text: str) -> str:
    """Return the files with every change."""
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    return text


def put(directory: str, text: str) -> None:
    """Write a directory of files."""
    Path(directory).mkdir(exist_ok=True)
    (Path(directory) / "all.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def changed(shell: Shell) -> Shell:
    """Write the files before and after, and what was used."""
    put("base", BASE)
    put("head", edited(BASE))
    Path("usage.csv").write_text(USAGE, encoding="utf-8")
    return shell


def check(name: str, done: Done, request: pytest.FixtureRequest) -> None:
    """Compare what a command wrote with the text it must write."""
    assert done.code == 0, done.err
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-expected"):
        path.write_text(done.out, encoding="utf-8")
    assert done.out == path.read_text(encoding="utf-8")


ASKED = ("impact", "base", "head", "--usage", "usage.csv", "--month", "2027-01")


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html", "csv"])
def test_every_form(changed: Shell, form: str, request: pytest.FixtureRequest) -> None:
    """Totals by currency, tenants, calls decided otherwise and what is not known, as each form has them."""
    check(f"impact-{form}", changed(*ASKED, "--format", form), request)


def test_ascii(changed: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that knows no more gets ASCII, the picture too."""
    monkeypatch.setenv("LC_ALL", "C")
    done = changed(*ASKED)
    assert done.out.isascii()
    check("impact-ascii", done, request)


def test_equal_files_make_no_difference(changed: Shell) -> None:
    """The same files on both sides: no difference in any form, and exit code 0 where changes would be told by it."""
    for form in ("text", "json", "markdown", "html"):
        done = changed("impact", "base", "base", "--usage", "usage.csv", "--format", form, "--detailed-exitcode")
        assert done.code == 0
        assert "o difference" in done.out or not json.loads(done.out)["differs"]
    assert changed(*ASKED, "--detailed-exitcode").code == 2


def test_the_files_at_hand_are_the_new_ones(changed: Shell) -> None:
    """Without HEAD the files at hand are compared; without usage fixed fees alone, and that is said."""
    write(edited(BASE))
    done = changed("impact", "base")
    assert "No usage was given" in done.out
    assert "+10.00" in done.out
    assert done.out.startswith("Impact of base → these files, ")
    assert changed("impact", "base", "head").out.splitlines()[2:] == done.out.splitlines()[2:]


WRONG = {
    "tenant,tool,meter,quantitiy\na,b,,1": ("E1302", 1),
    "tool,quantity\nb,1": ("E1302", 1),
    "tenant,tool,calls\na,b,1\na,b,1,2": ("E1301", 3),
    'tenant,tool,calls\na,b,1\na,"b,1': ("E1301", 3),
    "tenant,tool,calls\n,b,1": ("E1303", 2),
    "tenant,tool,calls\na,,1": ("E1303", 2),
    "tenant,meter,quantity\na,cals,1": ("E1303", 2),
    "tenant,meter,quantity\na,calls,1.5": ("E1304", 2),
    "tenant,meter,quantity\na,calls,-1": ("E1304", 2),
    "tenant,meter,quantity\na,calls,": ("E1304", 2),
    "tenant,meter,quantity\na,calls,1000000000000000": ("E1304", 2),
    "tenant,tool,calls,time\na,b,1,yesterday": ("E1305", 2),
    '[{"tenant": "a", "tool": "b"},\n{"tenant": "a", "tool": "b", "calls": 1.5}]': ("E1304", 2),
    '[{"tenant": "a", "tool": "b"},\n5]': ("E1301", 2),
    '{"tenant": "a", "tool": "b"}\n{"tenant": "a", "tool": tru}': ("E1301", 2),
    '{"tenant": "a", "tool": ["b"]}': ("E1303", 1),
    '[{"tenant": "a", "tool": "b"}\n': ("E1301", 2),
    '[{"tenant": "a", "tool": "b"}\n{"tenant": "a", "tool": "b"}]': ("E1301", 2),
    '[{"tenant": "a", "tool": "b"}]\n5': ("E1301", 1),
    "": ("E1301", 1),
    "[" * 100_000: ("E1301", 1),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:40])
def test_a_bad_row_is_told_with_its_line(changed: Shell, text: str) -> None:
    """Every bad row has its code, its line and a remedy, ends with 3, and nothing is computed."""
    Path("bad").write_text(text, encoding="utf-8")
    done = changed("impact", "base", "head", "--usage", "bad")
    code, line = WRONG[text]
    assert (done.code, done.out, "Traceback" in done.err) == (3, "", False)
    assert f"bad:{line}:1: error[{code}]" in done.err
    assert "= help:" in done.err


def test_all_bad_rows_are_told_at_once(changed: Shell) -> None:
    """Every bad row is told, and only those; beyond fifty they are counted."""
    rows = ["tenant,meter,quantity", "acme,calls,x", "acme,calls,5", "acme,cals,5"]
    Path("bad.csv").write_text("\n".join(rows), encoding="utf-8")
    done = changed("impact", "base", "head", "--usage", "bad.csv")
    assert re.findall(r"bad.csv:(\d+):1: error", done.err) == ["2", "4"]
    Path("bad.csv").write_text("\n".join([rows[0], *[rows[1]] * 80]), encoding="utf-8")
    assert "and 30 problems more" in changed("impact", "base", "head", "--usage", "bad.csv").err


def test_what_cannot_be_read(changed: Shell) -> None:
    """A file that is not there, is no text, or a revision that is not there are errors with a code."""
    Path("bad").write_bytes(b"\xff\xfe\x00")
    assert "E1301" in changed("impact", "base", "head", "--usage", "bad").err
    assert "E1005" in changed("impact", "base", "head", "--usage", "none").err
    assert changed("impact", "nowhere", "head").code != 0
    assert changed(*ASKED[:-1], "2027-13").code == 64


EVIL = [
    "<script>alert(1)</script>",
    "::error::owned",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "@SUM(1)",
    "`a` | [b](https://c.example) **d** <img src=x onerror=1>",
    '" onload="alert(1)',
    "\x1b[31mred\u202e",
    "![x](y) @everyone #1",
]


@pytest.fixture
def evil(shell: Shell) -> Shell:
    """Let tenants, tools and names of every kind of mischief be in what is compared and used."""
    settings = "settings: {namespace: acme, currency: usd, default_meter: calls, default_plan: free}"
    text = BASE.replace(BASE.splitlines()[0], settings)
    text = text.replace("Bakery", "'<b onclick=1>&amp;`|::warning::'").replace("Farm", "'=HYPERLINK(1)'")
    put("base", text)
    put("head", edited(text).replace("included: 100,", "included: 1,"))
    rows = [{"tenant": name, "tool": other, "calls": 7} for name, other in zip(EVIL, EVIL[::-1], strict=True)]
    Path("usage.json").write_text(json.dumps([*rows, {"tenant": "bakery", "tool": EVIL[0], "calls": 9}]))
    return shell


def asked(form: str) -> tuple[str, ...]:
    """Return the command line of a form."""
    return ("impact", "base", "head", "--usage", "usage.json", "--month", "2027-01", "--format", form)


class Page(HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note an element."""
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_nothing_acts_on_a_page(evil: Shell) -> None:
    """No element or attribute comes from a name, nothing is loaded, and every name is there to be read."""
    text = evil(*asked("html")).out
    page = Page()
    page.feed(text)
    allowed = "html head meta title style body main header h1 h2 h3 p code div section dl dt dd span svg desc text rect"
    assert page.found <= {*allowed.split(), *"line table thead tbody tr th td details summary ul li".split()}
    assert not {name for name in page.attributes if name.startswith("on") or name in {"href", "src"}}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "::warning::" in text
    assert "\x1b" not in text


def test_nothing_acts_in_markdown(evil: Shell) -> None:
    """Outside code spans there is nothing of a name; a row of a table has as many cells as its head."""
    text = evil(*asked("markdown")).out
    assert "owned" in text
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    for bad in ("script>alert", "<img", "[b]", "@everyone", "::error", "=cmd", "onload"):
        assert bad not in outside, bad
    for line in text.splitlines():
        if line.startswith("| newly"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 6, line


def test_nothing_acts_in_a_terminal_or_a_workflow(evil: Shell) -> None:
    """No control character, no line that GitHub would take for a command."""
    text = evil(*asked("text")).out
    assert "owned" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not [line for line in text.splitlines() if line.strip().startswith(("::", "##["))]


def test_nothing_acts_in_a_spreadsheet(evil: Shell) -> None:
    """No cell begins as a formula does, but for numbers; without the mark before it each name is as it was."""
    rows = list(csv.DictReader(io.StringIO(evil(*asked("csv")).out)))
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell and not re.fullmatch(r"-?[\d.]+", cell)]
    assert "'=HYPERLINK(1)" in cells
    assert {row["tenant"].removeprefix("'") for row in rows} >= set(EVIL)


class Time:
    """The machine's time, set by hand."""

    now = at("2027-01-10T12:00:00")

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def used(changed: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Let tenants use things in January and a little in February, where the month before is the last that is over."""
    clock = Time()
    monkeypatch.setattr(opening, "system_clock", clock)
    write(BASE)
    calls: list[tuple[str, ...]] = [
        ("acme", "chat", "--units", "tokens=2000000", "--key", "a1"),
        ("acme", "--meter", "calls", "--quantity", "5000"),
        ("dentist", "chat", "--units", "tokens=1"),
        ("dentist", "load", "--quantity", "2500", "--key", "d1"),
        *[("estate", "chat", "--units", "tokens=1")] * 45,
    ]
    for call in calls:
        clock.now += 1_000_000
        done = changed("consume", *call)
        assert done.code == 0, done.err
    clock.now = at("2027-02-10T12:00:00")
    assert changed("consume", "acme", "search").code == 0
    return changed


def test_a_ledger_and_its_export_agree(used: Shell) -> None:
    """The ledger's last month, a month by name, and the files its export and its report write all say the same."""
    by_ledger = json.loads(used("impact", "base", "head", "--ledger", "sqlite:///usage.db", "--format", "json").out)
    rows = {row["tenant"]: row for row in by_ledger["tenants"]}
    assert rows["acme"]["before"]["month"] == "127.01"  # 49 + 4001 calls at 0.01 + 1.9m tokens at 0.00002
    assert rows["acme"]["after"]["month"] == "129.01"
    assert (rows["dentist"]["before"]["month"], rows["dentist"]["after"]["month"]) == ("1.70", "1.65")
    assert by_ledger["calls"] == [
        {
            "tenant": "estate",
            "tool": "chat",
            "meter": False,
            "effect": "refused",
            "reason": "insufficient_credits",
            "number": 4,
        }
    ]
    month = ("--month", "2027-01", "--format", "json")
    assert json.loads(used("impact", "base", "head", *month).out)["tenants"] == by_ledger["tenants"]
    exports = [("export", "csv"), ("export", "json"), ("export", "jsonl"), ("report", "json")]
    for what, form in exports:
        more = ("--month", "2027-01") if what == "report" else ()
        Path("again").write_text(used("usage", what, "--format", form, *more).out, encoding="utf-8")
        found = json.loads(used("impact", "base", "head", "--usage", "again", *month).out)
        assert found["calls"] == by_ledger["calls"], form
        again = {row["tenant"]: row for row in found["tenants"]}
        del again["dentist"]  # an export does not hold quantities, and says so
        assert all(again[name]["after"] == rows[name]["after"] for name in again), form
        assert all(again[name]["before"] == rows[name]["before"] for name in again), form


def test_looking_at_a_ledger_writes_nothing(used: Shell) -> None:
    """The ledger is as it was, byte for byte."""
    before = Path("usage.db").read_bytes()
    assert used("impact", "base", "head").code == 0
    assert Path("usage.db").read_bytes() == before


PLANNED = ("plan", "--sandbox", "--config", "head", "--usage", "usage.csv", "--month", "2027-01")


def test_a_plan_tells_its_impact(changed: Shell, request: pytest.FixtureRequest) -> None:
    """A plan has a small section: totals, who pays most more, how much is newly refused; in JSON a member."""
    for form, mark in (("text", "\nImpact of "), ("markdown", "\n**Impact**")):
        whole = changed(*PLANNED, "--base", "base", "--impact", "--format", form)
        before, sign, section = whole.out.rpartition(mark)
        assert "24 to create" in before
        check(f"plan-impact-{form}", Done(whole.code, sign + section, whole.err), request)
    asked = json.loads(changed(*ASKED, "--format", "json").out)
    found = json.loads(changed(*PLANNED, "--base", "base", "--impact", "--format", "json").out)
    assert found["impact"]["totals"] == asked["totals"]
    assert [row["tenant"] for row in found["impact"]["top"]] == ["farm"]
    assert found["actions"]


def test_a_plan_has_no_impact_of_nothing(changed: Shell) -> None:
    """Without files to compare with, or in a form that has no place for it, a plan's impact is refused."""
    for more in ((), ("--base", "usage.csv"), ("--base", "base", "--format", "html")):
        done = changed(*PLANNED, "--impact", *more)
        assert (done.code, "E1306" in done.err) == (64, True), done.err


def test_a_job_is_told_the_impact(changed: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The summary of a GitHub job has the section behind the plan; of an impact it has all, and the outputs."""
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.touch()
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert changed(*PLANNED, "--base", "base", "--impact").code == 0
    text = summary.read_text(encoding="utf-8")
    assert "**Impact**" in text
    assert "584 calls newly refused" in text
    summary.write_text("")
    outputs.write_text("")
    assert changed(*ASKED, "--detailed-exitcode").code == 2
    assert "### Impact: -3.00 eur a month" in summary.read_text(encoding="utf-8")
    assert re.findall(r"(changes|newly-refused)<<\S+\n(.*)\n", outputs.read_text()) == [
        ("changes", "true"),
        ("newly-refused", "584"),
    ]


def test_a_revision_is_a_base(changed: Shell) -> None:
    """The files as they were at a git revision are compared with those at hand."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    write(BASE)
    Path(".git").rmdir()
    for words in (["init", "-q"], ["add", "billing.d"], ["commit", "-qm", "before"]):
        subprocess.run([*git, *words], check=True)
    write(edited(BASE))
    by_revision = changed("impact", "HEAD", *ASKED[3:], "--format", "json")
    assert by_revision.code == 0, by_revision.err
    by_directory = json.loads(changed(*ASKED, "--format", "json").out)
    found = json.loads(by_revision.out)
    assert found["base"] == "HEAD"
    assert (found["tenants"], found["calls"]) == (by_directory["tenants"], by_directory["calls"])
