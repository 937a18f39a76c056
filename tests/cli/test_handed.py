"""Signing secrets go to a file and nowhere else; addresses of links are told."""

import json
import stat
from pathlib import Path

import pytest
import stripe

from reconciler.cli.handed import SecretFile

from .support import SIMPLE, Shell, dashboard, write

HOOKED = SIMPLE + 'webhooks: {inbox: {url: "https://example.com/in", events: [invoice.paid]}}\n'
FILE = "secrets.json"
OPTION = f"--webhook-secrets={FILE}"


def held() -> dict[str, str]:
    """Return what the file of secrets holds."""
    read: dict[str, str] = json.loads(Path(FILE).read_text())
    return read


def endpoints() -> int:
    """Count the endpoints of the account."""
    with dashboard() as sandbox:
        client = stripe.StripeClient("sk_test_sandbox", http_client=sandbox.http_client())
        return len(client.v1.webhook_endpoints.list().data)


def test_without_a_file_nothing_is_written(shell: Shell) -> None:
    """The command says what it needs, with the flag, and writes nothing."""
    write(HOOKED)
    done = shell.stored("apply", "--auto-approve")
    assert (done.code, "E1048" in done.err, "--webhook-secrets" in done.err) == (64, True, True)
    assert endpoints() == 0


def test_the_secret_stands_in_the_file_alone(shell: Shell) -> None:
    """Beside what the file held, for its owner alone, and in no plan, output or event."""
    write(HOOKED)
    Path(FILE).write_text('{"webhooks.other": "kept"}')
    outputs = [
        shell.stored("plan", "--out", "plan.json"),
        shell.stored("apply", "plan.json", OPTION, "--format=jsonl", "-vv"),
        shell.stored("plan", "-vv"),
        shell("show", "plan.json", "--format=json"),
        shell.stored("drift", "--format=json"),
        shell.stored("snapshot", "--out", "snapshot.json"),
    ]
    assert [done.code for done in outputs] == [0] * len(outputs), outputs
    secrets = held()
    assert secrets.keys() == {"webhooks.inbox", "webhooks.other"}
    assert stat.S_IMODE(Path(FILE).stat().st_mode) == 0o600
    secret = secrets["webhooks.inbox"].removeprefix("whsec_")
    assert len(secret) > 20
    assert not [done for done in outputs if secret in done.out + done.err]
    files = [path for path in Path().rglob("*") if path.is_file() and "sandbox.db" not in path.name]
    assert [str(path) for path in files if secret.encode() in path.read_bytes()] == [FILE]


def test_a_lost_secret_is_told_of(shell: Shell) -> None:
    """Where the endpoint is there and the file lacks its secret, an apply says so and how to get another."""
    write(HOOKED)
    assert shell.stored("apply", "--auto-approve", OPTION).code == 0
    assert "no signing secret" not in shell.stored("apply", "--auto-approve", OPTION).err
    Path(FILE).write_text("{}")
    done = shell.stored("apply", "--auto-approve", OPTION)
    assert done.code == 0
    assert "webhooks.inbox has no signing secret" in done.err
    assert "Roll it" in done.err


@pytest.mark.parametrize(("name", "content", "code"), [(FILE, "[]", "E1049"), ("no/such/place", None, "E1004")])
def test_a_place_that_takes_no_secrets_is_found_before_the_first_write(
    shell: Shell, name: str, content: str | None, code: str
) -> None:
    """A file of something else, or a directory that is not there, stops the apply while nothing is lost."""
    write(HOOKED)
    if content is not None:
        Path(name).write_text(content)
    done = shell.stored("apply", "--auto-approve", f"--webhook-secrets={name}")
    assert done.code == 1
    assert code in done.err
    assert endpoints() == 0


def test_the_secret_before_is_put_aside_until_there_is_another() -> None:
    """The file never says that a secret is that of an endpoint it was not made for, and loses none too early."""
    file = SecretFile(Path(FILE))
    file.prepare()
    assert held() == {}
    file.keep("webhooks.inbox", "first")
    file.expect("webhooks.inbox")
    assert held() == {"webhooks.inbox.replaced": "first"}
    assert file.lacking(["webhooks.inbox"]) == ["webhooks.inbox"]
    file.keep("webhooks.inbox", "second")
    assert held() == {"webhooks.inbox": "second"}


def test_the_address_of_a_new_link_is_told(shell: Shell) -> None:
    """People see where a link is, programs find it in its event; an apply that makes none tells of none."""
    write(SIMPLE + "payment_links: {shop: {items: [{plan: pro}]}}\n")
    done = shell.stored("apply", "--auto-approve")
    assert "  payment_links.shop: http" in done.out
    assert "payment_links.shop" not in shell.stored("apply", "--auto-approve").out
    write(SIMPLE + "payment_links: {shop: {items: [{plan: pro, quantity: 2}]}}\n")
    lines = [json.loads(line) for line in shell.stored("apply", "--auto-approve", "--format=jsonl").out.splitlines()]
    (made,) = [line for line in lines if line.get("url")]
    assert (made["address"], made["op"]) == ("payment_links.shop", "create")
