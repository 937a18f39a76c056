"""The whole story, as a person lives it: refused, paid in a real browser, allowed, billed, refunded, and looked at."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cli.support import environment
from tests.sandbox.browser import CHROMIUM, Browser
from tests.sandbox.person import CARD

DEMO = [sys.executable, "-m", "reconciler", "demo", "--serve"]
TOTALS = [("20.00 usd", "20.00 usd"), ("20.75 usd", "20.75 usd")]


def totals(text: str) -> list[tuple[str, str]]:
    """Return the totals of invoices by the files and at the sandbox."""
    return re.findall(r"total +(\d+\.\d+ usd) +(\d+\.\d+ usd)", text)


def statuses(text: str) -> list[str]:
    """Return the HTTP statuses of the calls that were shown."""
    return re.findall(r"^(\d{3}) \{", text, re.MULTILINE)


def test_the_story_plays_by_itself() -> None:
    """Without a person it pays, is allowed, billed what the files say, and refunded; nothing is left running."""
    done = subprocess.run(
        [*DEMO, "--pays"], capture_output=True, env=environment(), text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert statuses(done.stdout) == ["402", "200", "200", "402"]
    assert totals(done.stdout) == TOTALS
    assert done.stdout.rstrip().splitlines()[-1].startswith("Everything happened as promised")


@pytest.fixture
def demo() -> Iterator["subprocess.Popen[str]"]:
    """Play the demo for a person."""
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), text=True
    ) as played:
        yield played
        # It ends the servers it has started, which a kill would leave behind.
        played.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            played.wait(20)
        played.kill()


def until(played: "subprocess.Popen[str]", begins: str, seen: list[str]) -> str:
    """Read on until a line that begins so, and return it."""
    assert played.stdout is not None
    for line in played.stdout:
        seen.append(line)
        if line.startswith(begins):
            return line
    raise AssertionError("".join(seen[-40:]))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at pages with")
def test_a_person_lives_it(demo: "subprocess.Popen[str]") -> None:
    """In Chromium the refusal's page leads to checkout, both purchases arrive, and the dashboard shows who bought."""
    seen: list[str] = []
    with Browser() as browser:
        browser.go(until(demo, "Open ", seen).split()[1])
        assert "Starter" in browser.text()
        browser.click("Continue to payment")
        browser.fill({"email": "zoe@example.com", **CARD})
        browser.submit("buy")
        assert "Thank you" in browser.text()
        browser.go(until(demo, "Open ", seen).split()[1])
        browser.fill({"email": "acme@example.com", **CARD})
        browser.submit("buy")
        _, url, *_, key = until(demo, "Open ", seen).split()
        browser.go(url)
        browser.fill({"key": key})
        browser.click("Sign in")
        browser.go(f"{url}tenant?id=zoe")
        assert "zoe" in browser.text()
        assert "pack starter" in browser.text()
    demo.send_signal(signal.SIGINT)
    assert demo.stdout is not None
    seen += demo.stdout
    assert demo.wait(60) in {0, 130}
    text = "".join(seen)
    assert statuses(text) == ["402", "200", "200", "402"]
    assert totals(text) == TOTALS
