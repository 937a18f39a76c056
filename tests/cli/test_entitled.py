"""The second half of a plan: what becomes of calls, in every form, in the plan file, and held against its base."""

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.applied import Applied
from reconciler.planning.entitled import changes_text, total
from reconciler.planning.plan import content_digest, seal
from reconciler.provider.propose import entitle
from reconciler.resources.model import canonical_json

from .support import Shell, write
from .test_render import check

BEFORE = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}}
plans:
  pro:
    name: Pro
    usage: {calls: {included: 3, overage: {unit_amount: 0.25}}}
    tools: ["*"]
    limits: [{of: chat, max: 2, per: hour, kind: quota}]
  free:
    name: Free
    usage: {calls: {included: 2, overage: deny}}
    tools: [echo]
tenants:
  zoo: {name: Zoo, plan: pro}
  bakery: {name: Bakery, plan: free}
"""
AFTER = BEFORE.replace("max: 2", "max: 4").replace("included: 3", "included: 2").replace("[echo]", "[sing]")


@pytest.fixture
def changed(shell: Shell, here: Path) -> Shell:
    """Apply BEFORE, keep it as a directory and as a policy, and write AFTER."""
    shell.apply(BEFORE)
    (here / "billing.d").rename(here / "before")
    assert shell("policy", "compile", "--config", "before", "--out", "before.json").code == 0
    write(AFTER)
    return shell


def plan_file(shell: Shell, *more: str) -> dict[str, Any]:
    """Make a plan file and read its content."""
    assert shell.stored("plan", "--out", "plan.json", *more).code == 0
    content: dict[str, Any] = json.loads(Path("plan.json").read_text())
    return content


def reseal(content: dict[str, Any]) -> None:
    """Write an edited plan the way an editor with the tool at hand would."""
    content["digest"] = content_digest(content)
    content["seal"] = seal(content, None)
    Path("plan.json").write_text(canonical_json(content) + "\n")


@pytest.mark.parametrize(("form", "name"), [("text", "calls"), ("markdown", "calls-markdown")])
def test_what_becomes_of_calls(changed: Shell, form: str, name: str, request: pytest.FixtureRequest) -> None:
    """Terms with their position, then calls by whom they are of; in a comment the worst stand outside the fold."""
    check(name, changed.stored("plan", "--base", "before", "--format", form), request)


def test_a_saved_plan_shows_the_same(changed: Shell) -> None:
    """Both halves come back from the plan file as they were shown."""
    shown = changed.stored("plan", "--base", "before", "--out", "plan.json")
    assert changed("show", "plan.json").out == shown.out


@pytest.mark.parametrize(
    ("term", "before", "after", "said"),
    [
        ("plans.pro.lines.calls.rate.brackets", [[None, 20000, 0]], [[None, 35000, 0]], "0.02 → 0.035"),
        (
            "tenants.zoo.lines.calls.rate.brackets",
            [[None, 20000, 0]],
            [[1000, 0, 5000000], [None, 10000, 0]],
            "0.02 → to 1,000: 0 and 5 at once, beyond: 0.01",
        ),
        ("plans.pro.lines.calls.fine.rate.brackets", [[None, 7, 0]], [[None, 8, 0]], "[None, 7, 0] → [None, 8, 0]"),
        ("plans.pro.tools", ["echo"], [], "echo → none"),
        ("plans.pro.tools", None, ["a", "b"], "a, b"),
    ],
)
def test_a_term_reads_as_the_files_write_it(term: str, before: object, after: object, said: str) -> None:
    """Brackets are amounts in major units, lists their items; a rate finer than millionths is left as it is stored."""
    terms = [{"address": term, "before": before, "after": after, "source": ""}]
    assert changes_text(terms, (), unicode=True).split("  ", 2)[2].strip() == said
    assert total(terms, ()) == "1 term changed. Calls: none decided otherwise."


def test_without_a_base_nothing_is_known(changed: Shell) -> None:
    """The half is there and says unknown, never none; the digest of the policy is there all the same."""
    half = plan_file(changed)["entitlements"]
    assert half.pop("policy_digest") == plan_file(changed, "--base", "before")["entitlements"]["policy_digest"]
    assert half == {"known": False, "in_force": False, "reason": "no base to compare with"}


def committed(here: Path) -> None:
    """Make a repository in which BEFORE was committed on main."""
    (here / ".git").rmdir()
    for words in (["init", "-q", "-b", "main"], ["add", "before"], ["commit", "-qm", "one"]):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], check=True, capture_output=True)


@pytest.mark.parametrize("shadow", ["directory", "policy"])
def test_no_path_takes_the_place_of_a_revision(changed: Shell, here: Path, shadow: str) -> None:
    """A change that adds a path with the name of its base is not compared with itself: the name of two is refused."""
    committed(here)
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "main"], check=True)
    (here / "billing.d").rename(here / "after")
    (here / "before").rename(here / "was")
    (here / "after").rename(here / "before")
    (here / "origin").mkdir()
    if shadow == "policy":
        assert changed("policy", "compile", "--config", "before", "--out", "origin/main").code == 0
    else:
        shutil.copytree(here / "before", here / "origin" / "main")
    for refused in (
        changed.stored("plan", "--base", "origin/main", "--config", "before"),
        changed("policy", "diff", "origin/main", "--config", "before"),
    ):
        assert (refused.code, "E1052" in refused.err, refused.out) == (1, True, "")
    told = [
        plan_file(changed, "--config", "before", "--base", base)["entitlements"]["counts"]
        for base in ("refs/remotes/origin/main", "./origin/main")
    ]
    assert [bool(counts) for counts in told] == [True, False]


def test_a_base_is_a_directory_a_policy_or_a_revision(changed: Shell, here: Path) -> None:
    """The three give the same changes."""
    committed(here)
    subprocess.run(["git", "mv", "before", "billing"], check=True, capture_output=True)
    (here / "billing.d").rename(here / "before")
    compared = [
        plan_file(changed, "--config", "before", "--base", base)["entitlements"]
        for base in ("billing", "before.json", "HEAD")
    ]
    assert [each.pop("base") for each in compared] == ["billing", "before.json", "HEAD"]
    digests = [each.pop("base_digest") for each in compared]
    assert digests[1] == digests[2] != digests[0], "a policy knows the places in the files it came from"
    assert compared[0] == compared[1] == compared[2]
    assert compared[0]["counts"] == {"refused": 1, "dearer": 5, "changed": 2, "allowed": 2}


def test_equal_policies_are_said_to_be_equal(changed: Shell) -> None:
    """The control: the files compared with themselves change nothing, and the exit code says so."""
    changed.apply(AFTER)
    done = changed.stored("plan", "--base", "billing.d", "--detailed-exitcode")
    assert (done.code, "no changes since billing.d" in done.out) == (0, True)


def test_changed_calls_alone_are_changes(changed: Shell) -> None:
    """Calls that are decided otherwise make exit code 2, though nothing changes at Stripe; ``changes`` stays 0."""
    write(BEFORE.replace("[echo]", "[sing]"))
    assert changed.stored("plan", "--base", "before", "--detailed-exitcode").code == 2
    assert plan_file(changed, "--base", "before")["changes"] == 0


def test_an_invalid_base_is_an_error_of_its_files(changed: Shell) -> None:
    """What is wrong with the base is shown, and said to be of the base."""
    write("plans: []", "../before/all.yaml")
    done = changed.stored("plan", "--base", "before")
    assert (done.code, "The files at before are not valid" in done.err) == (3, True)


@pytest.mark.parametrize("edit", ["effect", "gone", "policy", "base"])
def test_a_forged_half_is_refused(changed: Shell, edit: str) -> None:
    """A half rewritten and sealed again is refused where the files and the base are at hand; untouched it applies."""
    content = plan_file(changed, "--base", "before")
    half = content["entitlements"]
    if edit == "effect":
        half["calls"][0]["calls"][0]["effect"] = "cheaper"
        half["counts"] = {"dearer": 5, "changed": 2, "cheaper": 1, "allowed": 2}
    elif edit == "gone":
        half |= {"calls": [], "counts": {}}
    else:
        half["policy_digest" if edit == "policy" else "base_digest"] = "0" * 64
    reseal(content)
    done = changed.stored("apply", "plan.json", "--base", "before")
    assert (done.code, "[E0808]" in done.err or "[E0811]" in done.err) == (5, True)
    plan_file(changed, "--base", "before")
    assert changed.stored("apply", "plan.json", "--base", "before").code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"counter": "limit/x"},
        {"counter": "other"},
        {"after": {"allowed": True, "reason": "ok", "paid_by": "", "cost": "1e9999", "unit": "usd"}},
        {"after": {"allowed": True, "reason": "ok", "paid_by": "", "cost": "1", "unit": "doubloons"}},
        {"tool": "\x1b[2J::error::<b>"},
        {"quantity": "many"},
    ],
)
def test_strange_calls_are_shown_inert_or_refused(changed: Shell, wrong: dict[str, Any]) -> None:
    """Whatever a half that was sealed again says, showing it is a refusal or inert text, never a traceback."""
    content = plan_file(changed, "--base", "before")
    content["entitlements"]["calls"][0]["calls"][0] |= wrong
    reseal(content)
    for form in ("text", "markdown", "json"):
        done = changed("show", "plan.json", "--format", form)
        assert done.code in (0, 5)
        assert "\x1b" not in done.out + done.err
        assert "Traceback" not in done.err
        assert not done.out.startswith("::")


def test_what_was_applied_is_known_to_be_in_force(changed: Shell) -> None:
    """Without a base the policy that was last applied is recognised; another one is unknown, never none."""
    changed.apply(BEFORE)
    assert "Entitlements: as last applied." in changed.stored("plan").out
    assert "as last applied" in changed.stored("plan", "--format", "markdown").out
    write(AFTER)
    assert "changes unknown" in changed.stored("plan").out


@pytest.mark.usefixtures("changed")
def test_another_policy_of_the_same_files_is_not_in_force() -> None:
    """Files that another version compiles to another policy are not taken for what was last applied."""
    catalog = load_catalog(Path("billing.d"))
    policy = compile_catalog(catalog).digest
    for recorded, expected in ((policy, True), ("0" * 64, False)):
        applied = Applied(catalog.digest, recorded, "0" * 64, datetime(2027, 1, 1, tzinfo=UTC))
        assert entitle(catalog, None, applied).in_force is expected


def test_a_base_that_was_not_applied_is_told(changed: Shell) -> None:
    """A comparison with something else than what was last applied says so; with what was applied it does not."""
    assert changed("policy", "compile", "--config", "billing.d", "--out", "after.json").code == 0
    told = "Something else than this base was last applied."

    def told_with(base: str, form: str) -> bool:
        return told in " ".join(changed.stored("plan", "--base", base, "--format", form).out.split())

    for form in ("text", "markdown"):
        assert told_with("after.json", form)
        assert not told_with("before", form)
    changed.apply(AFTER)
    assert told_with("before", "text")
    assert not told_with("after.json", "text")


RENAMED = BEFORE.replace("name: Pro", "name: Professional")
GUARDED = BEFORE + "guards: {max_retired_percent: 30, max_price_rise_percent: 10, protected: [plans.pro, plans.free]}\n"


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        ("{max_price_rise_percent: 10, protected: [plans.pro, plans.free]}", "max_retired_percent was 30 and is 100"),
        ("{max_retired_percent: 30, protected: [plans.pro, plans.free]}", "max_price_rise_percent was 10 and is None"),
        ("{max_retired_percent: 30, max_price_rise_percent: 10, protected: [plans.free]}", "plans.pro was protected"),
    ],
)
def test_a_change_does_not_lift_its_own_guards(changed: Shell, guards: str, told: str) -> None:
    """Guards drawn wider than at the base are told and refuse the plan until they are allowed by their name."""
    write(GUARDED, "../before/all.yaml")
    write(RENAMED + f"guards: {guards}\n")
    shown = changed.stored("plan", "--base", "before", "--out", "plan.json")
    assert told in " ".join(shown.out.split())
    refused = changed.stored("apply", "plan.json")
    assert (refused.code, told in refused.err, "--allow=guards" in refused.err) == (4, True, True)
    assert changed.stored("apply", "plan.json", "--allow=guards").code == 0


@pytest.mark.parametrize("guards", ["{max_retired_percent: 20, max_price_rise_percent: 5, protected: ['*.*']}", None])
def test_narrower_guards_and_the_same_are_nothing_to_allow(changed: Shell, guards: str | None) -> None:
    """The control: guards drawn tighter, and those that stay, refuse nothing by themselves."""
    write(GUARDED, "../before/all.yaml")
    own = GUARDED.removeprefix(BEFORE).removeprefix("guards: ").strip()
    write(RENAMED + f"guards: {own if guards is None else guards.replace('[', '[plans.pro, plans.free, ')}\n")
    assert "guards themselves" not in changed.stored("plan", "--base", "before").out


def test_guards_without_a_change_of_prices_pass(changed: Shell) -> None:
    """Files that only loosen their guards change nothing at Stripe, so there is nothing to refuse."""
    write(GUARDED, "../before/all.yaml")
    write(BEFORE)
    assert changed.stored("plan", "--base", "before").out.count("guards themselves") == 0
