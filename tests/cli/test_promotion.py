"""From test to live: the same files with another key; a wrong key is refused before anything is read."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stripe

from reconciler.sandbox import Sandbox

from .support import SIMPLE, Done, Shell, write

STAGING, PRODUCTION, LIVE = "sk_test_staging", "sk_test_production", "sk_" + "live_" + "one1234567890123"
DEARER = SIMPLE.replace("49.99", "59.99")
ACCOUNT = [("GET", "/v1/account")]


class Recorder(stripe.HTTPClient):
    """A transport to the accounts of one sandbox that writes down what it is asked."""

    name = "recorder"

    def __init__(self, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self.inner = inner
        self.asked: list[tuple[str, str]] = []

    def request(self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None) -> Any:
        """Pass a request on."""
        self.asked.append((method.upper(), "/" + url.split("/", 3)[3].partition("?")[0]))
        return self.inner.request(method, url, headers, post_data)

    def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def stripe_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Stand in for Stripe with a sandbox in which every key has an account of its own."""
    with Sandbox() as sandbox:
        recorder = Recorder(sandbox.http_client())
        monkeypatch.setattr("stripe.RequestsClient", lambda **_options: recorder)
        yield recorder


@pytest.fixture
def command(shell: Shell, stripe_: Recorder, monkeypatch: pytest.MonkeyPatch) -> "Command":
    """Write files for two environments, each bound to its account, with a dearer price in production."""
    ids = {}
    for key in (STAGING, PRODUCTION):
        client = stripe.StripeClient(key, http_client=stripe_)
        ids[key] = client.v1.accounts.retrieve_current().id
    assert ids[STAGING] != ids[PRODUCTION]
    bound = f"staging: {{account: {ids[STAGING]}}}, production: {{account: {ids[PRODUCTION]}}}"
    write(f"environments: {{{bound}, live: {{mode: live, account: acct_live}}}}\n", "environments.yaml")
    write(SIMPLE)
    write("plans: {pro: {prices: {monthly: {amount: 69.99}}}}\n", "env/production/pro.yaml")
    return Command(shell, stripe_, monkeypatch)


class Command:
    """Runs commands with a key."""

    def __init__(self, shell: Shell, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shell = shell
        self.recorder = recorder
        self.monkeypatch = monkeypatch

    def __call__(self, key: str, *arguments: str) -> Done:
        """Run one command with a key, and remember only what this one asks."""
        self.monkeypatch.setenv("STRIPE_API_KEY", key)
        self.recorder.asked.clear()
        return self.shell(*arguments)

    def prices(self, key: str) -> list[str | None]:
        """Return the active amounts of an account."""
        client = stripe.StripeClient(key, http_client=self.recorder)
        return [each.unit_amount_decimal and str(each.unit_amount) for each in client.v1.prices.list({"active": True})]


def test_the_same_files_are_promoted(command: Command) -> None:
    """What was tried in staging is planned and applied in production as it was there, but for what its overlay says."""
    for key, env, amount in ((STAGING, "staging", "4999"), (PRODUCTION, "production", "6999")):
        made = command(key, "plan", "--env", env, "--out", f"{env}.json")
        assert (made.code, f"environment {env}" in made.out) == (0, True)
        assert command(key, "apply", f"{env}.json").code == 0
        assert command(key, "plan", "--env", env, "--detailed-exitcode").code == 0
        assert command.prices(key) == [amount]
    plans = [json.loads(Path(f"{env}.json").read_text()) for env in ("staging", "production")]
    assert plans[0]["account"] != plans[1]["account"]
    actions = [[(each["address"], each["action"]) for each in plan["actions"]] for plan in plans]
    assert actions[0] == actions[1]
    write(DEARER)
    assert "1 to replace" in command(STAGING, "plan", "--env", "staging").out
    assert "No changes" in command(PRODUCTION, "plan", "--env", "production").out


READING = [
    ("plan",),
    ("plan", "--out", "plan.json"),
    ("apply", "--auto-approve"),
    ("drift",),
    ("snapshot", "--out", "x.json"),
    ("status",),
    ("unlock", "--generation", "1"),
    ("import", "plans.pro", "prod_1", "--auto-approve"),
    ("import", "--match", "--auto-approve"),
    ("doctor",),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_the_key_of_another_account_reads_nothing_but_the_account(command: Command, arguments: tuple[str, ...]) -> None:
    """With staging's key a command for production asks whose key it is, and nothing else; it ends with a refusal."""
    done = command(STAGING, *arguments, "--env", "production")
    assert done.code == (1 if arguments[0] == "doctor" else 5)
    assert "environment production is for account acct_" in done.out + done.err
    assert command.recorder.asked == ACCOUNT
    right = command(PRODUCTION, *arguments, "--env", "production")
    assert "is for account" not in right.out + right.err
    assert len(command.recorder.asked) > 1


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
@pytest.mark.parametrize(("key", "env"), [(LIVE, "staging"), (LIVE, None), (STAGING, "live")])
def test_the_key_of_another_mode_reads_nothing(
    command: Command, arguments: tuple[str, ...], key: str, env: str | None
) -> None:
    """A live key for a test environment or for none, or a test key for a live one, is refused without any request."""
    chosen = () if env is None else ("--env", env)
    done = command(key, *arguments, *chosen)
    assert done.code == (1 if arguments[0] == "doctor" else 5)
    assert command.recorder.asked == []


def test_a_plan_is_for_one_environment(command: Command) -> None:
    """A plan of staging is refused with production's key and for production, whichever is said; nothing is written."""
    assert command(STAGING, "plan", "--env", "staging", "--out", "plan.json").code == 0
    for key, chosen in (
        (PRODUCTION, ()),
        (PRODUCTION, ("--env", "staging")),
        (PRODUCTION, ("--env", "production")),
        (STAGING, ("--env", "production")),
        (PRODUCTION, ("--no-config",)),
    ):
        done = command(key, "apply", "plan.json", *chosen)
        assert done.code == 5, (chosen, done.err)
        assert {method for method, _path in command.recorder.asked} == {"GET"}
    assert command.prices(PRODUCTION) == []
    assert command(STAGING, "apply", "plan.json").code == 0


def test_an_environment_that_is_not_declared_reads_nothing(command: Command) -> None:
    """A misspelt environment is told by its file's place, and no request is sent."""
    done = command(PRODUCTION, "plan", "--env", "prodution")
    assert (done.code, "did you mean" in done.err, command.recorder.asked) == (3, True, [])
