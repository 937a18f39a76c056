"""Which account a command works on."""

from pathlib import Path

import pytest

from reconciler.cli.account import check_base, connect, find_key
from reconciler.cli.options import AccountOptions
from reconciler.config.models import Environment
from reconciler.diagnostics import PlanRefusedError, UsageError
from reconciler.provider.binding import check_mode

from .support import SIMPLE, Shell, dashboard, write

ONE, TWO = "sk_test_one", "sk_test_two"
LIVE = "sk_" + "live_" + "one1234567890123"


def test_a_key_comes_from_the_environment(tmp_path: Path) -> None:
    """STRIPE_API_KEY counts first, then STRIPE_SECRET_KEY; either may stand in a file."""
    (tmp_path / "key").write_text(f"{ONE}\n")
    file = str(tmp_path / "key")
    assert find_key({}) is None
    assert find_key({"STRIPE_API_KEY": ""}) is None
    for environ in (
        {"STRIPE_API_KEY": ONE},
        {"STRIPE_SECRET_KEY": ONE},
        {"STRIPE_API_KEY_FILE": file},
        {"STRIPE_SECRET_KEY_FILE": file},
        {"STRIPE_API_KEY": ONE, "STRIPE_SECRET_KEY": f"{ONE}\n"},
        {"STRIPE_API_KEY": ONE, "STRIPE_API_KEY_FILE": file},
    ):
        assert find_key(environ) == ONE


def test_two_keys_that_differ_are_an_error(tmp_path: Path) -> None:
    """Two different keys leave open which account is meant, so neither is used."""
    (tmp_path / "key").write_text(TWO)
    file = str(tmp_path / "key")
    for environ in (
        {"STRIPE_API_KEY": ONE, "STRIPE_SECRET_KEY": TWO},
        {"STRIPE_API_KEY": ONE, "STRIPE_API_KEY_FILE": file},
        {"STRIPE_API_KEY": ONE, "STRIPE_SECRET_KEY_FILE": file},
    ):
        with pytest.raises(UsageError) as caught:
            find_key(environ)
        assert ONE not in caught.value.message
        assert TWO not in caught.value.message


def test_no_key_says_both_ways_out(shell: Shell) -> None:
    """Without key and without --sandbox nothing is used in their place, and the message names both."""
    write(SIMPLE)
    done = shell("plan")
    assert done.code == 64
    assert "STRIPE_API_KEY" in done.err
    assert "--sandbox" in done.err


@pytest.mark.parametrize("key", ["pk_test_abc", "abc", "sk_test_a b", "sk_other_abc"])
def test_a_wrong_key_is_refused_without_showing_it(key: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a secret key is refused before anything is sent, and is not repeated."""
    write(SIMPLE)
    monkeypatch.setenv("STRIPE_API_KEY", key)
    done = shell("plan")
    assert (done.code, key in done.err) == (64, False)


def test_the_sandbox_is_used_only_when_asked_for() -> None:
    """--sandbox wins over a key in the environment; without it the key goes to Stripe."""
    environ = {"STRIPE_API_KEY": ONE}
    assert connect(AccountOptions(sandbox=":memory:"), environ).transport is not None
    outside = connect(AccountOptions(), environ)
    assert (outside.transport, outside.base, outside.key) == (None, None, ONE)


@pytest.mark.parametrize("base", ["http://127.0.0.1:4242", "http://localhost:1", "https://[::1]:5", "http://127.9.9.9"])
def test_this_machine_may_be_the_api_base(base: str) -> None:
    """A server on the loopback needs no permission, from the option or from STRIPE_API_BASE."""
    assert connect(AccountOptions(api_base=base), {"STRIPE_API_KEY": ONE}).base == base
    assert connect(AccountOptions(), {"STRIPE_API_KEY": ONE, "STRIPE_API_BASE": f"{base}/"}).base == base


@pytest.mark.parametrize(
    "base", ["https://evil.example", "http://127.0.0.1.evil.example", "http://10.0.0.1", "http://[2001:db8::1]"]
)
def test_another_machine_has_to_be_allowed(base: str) -> None:
    """The key is not sent beyond this machine unless --allow-custom-endpoint says so."""
    with pytest.raises(UsageError, match="not this machine"):
        check_base(base, allowed=False)
    check_base(base, allowed=True)


@pytest.mark.parametrize("base", ["127.0.0.1:4242", "ftp://localhost", "http://", "http://user@127.0.0.1", "localhost"])
def test_what_is_no_address_is_refused(base: str) -> None:
    """An API base is a URL of a server, without user name, whether allowed or not."""
    with pytest.raises(UsageError):
        check_base(base, allowed=True)


@pytest.mark.parametrize("name", ["plan.json", "notes.txt", "folder"])
def test_a_file_taken_for_a_sandbox_is_refused(name: str, shell: Shell) -> None:
    """The optional value of --sandbox does not turn another file into a database."""
    write(SIMPLE)
    Path("notes.txt").write_text("not a database, and longer than its header")
    Path("folder").mkdir()
    done = shell("plan", "--sandbox", name)
    assert (done.code, "E1025" in done.err) == (64, True)
    assert not Path("plan.json").exists()


def test_the_command_after_a_passing_sandbox_names_one_that_stays(shell: Shell) -> None:
    """What a plan of the sandbox in memory says to run next leaves something behind; a named file is named again."""
    write(SIMPLE)
    followed = shell("plan", "--sandbox").err.splitlines()[-1]
    assert followed == "Next: reconciler apply --sandbox=sandbox.db"
    assert shell("plan", "--sandbox=mine.db").err.splitlines()[-1] == "Next: reconciler apply --sandbox=mine.db"
    assert shell(*followed.split()[2:], "--auto-approve").code == 0
    assert "No changes" in shell("plan", "--sandbox=sandbox.db").out


def test_requests_for_attachments_are_told_where_there_are_any(shell: Shell) -> None:
    """The count of requests for attachments stands apart, and not at all where there were none."""
    shell.apply(SIMPLE)
    assert shell.stored("plan").err.splitlines()[0].endswith(" requests.")
    shell.apply(SIMPLE.replace("    prices:", "    features: [sso]\n    prices:") + "features: {sso: {name: SSO}}\n")
    assert shell.stored("plan").err.splitlines()[0].endswith(" requests, and 1 for attachments.")


def test_an_option_after_sandbox_is_not_its_value(shell: Shell) -> None:
    """``--sandbox --out FILE`` is the sandbox in memory and a plan file."""
    write(SIMPLE)
    assert shell("plan", "--sandbox", "--out", "plan.json").code == 0
    assert Path("plan.json").exists()
    assert [path.name for path in Path().iterdir() if path.suffix == ".db"] == []


PRODUCTION = ("production", Environment(mode="live"))
STAGING = ("staging", Environment(mode="test"))


def test_live_and_test_never_mix() -> None:
    """A key is used where its mode is the environment's; a live key only where an environment says live."""
    check_mode("test", None)
    check_mode("test", STAGING)
    check_mode("live", PRODUCTION)
    for mode, environment in (("live", None), ("live", STAGING), ("test", PRODUCTION)):
        with pytest.raises(PlanRefusedError):
            check_mode(mode, environment)


def test_a_live_key_without_environment_exits_5(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live key is refused before anything is sent, and is not shown."""
    write(SIMPLE)
    monkeypatch.setenv("STRIPE_API_KEY", LIVE)
    done = shell("plan", "--api-base", "http://127.0.0.1:9")
    assert (done.code, "mode: live" in done.err, LIVE in done.err) == (5, True, False)


def test_an_environment_of_another_account_exits_5(shell: Shell) -> None:
    """An environment that names another account is refused after reading the account alone; its own is taken."""
    with dashboard() as sandbox:
        account = sandbox.client().v1.accounts.retrieve_current().id
    write(SIMPLE + f"environments: {{mine: {{account: {account}}}, theirs: {{account: acct_theirs}}}}\n")
    refused = shell.stored("plan", "--env", "theirs")
    assert (refused.code, "acct_theirs" in refused.err, "Read acct_" in refused.err) == (5, True, False)
    taken = shell.stored("plan", "--env", "mine")
    assert (taken.code, "environment mine" in taken.out) == (0, True)


def test_a_plan_for_an_environment_is_applied_there(shell: Shell) -> None:
    """Applying takes the environment of the plan, and refuses another that is named."""
    write(SIMPLE + "environments: {one: {}, two: {}}\n")
    shell.stored("plan", "--env", "one", "--out", "plan.json")
    assert shell.stored("apply", "plan.json", "--env", "two").code == 5
    assert shell.stored("apply", "plan.json").code == 0
