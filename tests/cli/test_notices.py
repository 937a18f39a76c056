"""reconciler notices: what was told, what became of it, and another try for what is dead."""

import json
from pathlib import Path

from reconciler.ledger.ledger import open_ledger
from reconciler.service.work.outbox import Outbox, notice_of
from tests.entitlements.worlds import at

from .support import Shell

NOW = at("2027-01-10T12:00:00")
LEDGER = ("--ledger", "sqlite:///usage.db")


def _made() -> list[str]:
    """Write a notice that was sent, one that is dead and one that waits; return their ids in that order."""
    notices = [notice_of("acme", tenant, "credits_low", "x", NOW, 3, {"below": "5"}) for tenant in ("a", "b", "c\x1b")]
    with open_ledger(f"sqlite:///{Path('usage.db').absolute()}", "direct", lambda: NOW) as ledger:
        outbox = Outbox(ledger.store)
        ledger.alongside([Outbox.put(notices[0], NOW), Outbox.put(notices[1], 1), Outbox.put(notices[2], NOW + 1)])
        for notice in outbox.claim(2):
            outbox.settle(notice, "it is away" if notice.tenant == "b" else None)
    return [notice.id for notice in notices]


def test_notices_are_listed(shell: Shell) -> None:
    """Every notice has a line with its state and what went wrong last; a state or tenant picks some."""
    sent, dead, waiting = _made()
    lines = sorted(shell("notices", "list", *LEDGER).out.splitlines(), key=lambda line: line.split()[4])
    assert [line.split()[0] for line in lines] == [sent, dead, waiting]
    assert lines[0].split()[4:] == ["a", "credits_low", "sent"]
    assert lines[1].split()[4:] == ["b", "credits_low", "dead", "1", "attempt", "it", "is", "away"]
    assert "\x1b" not in lines[2]
    (found,) = json.loads(shell("notices", "list", "--state", "dead", "--format", "json", *LEDGER).out)
    assert found == {
        "id": dead,
        "tenant": "b",
        "type": "credits_low",
        "created": "2027-01-10T12:00:00Z",
        "state": "dead",
        "attempts": 1,
        "due": None,
        "ended": "2027-01-10T12:00:00Z",
        "error": "it is away",
        "data": {"below": "5"},
    }
    assert [
        each["id"] for each in json.loads(shell("notices", "list", "--tenant", "a", "--format", "json", *LEDGER).out)
    ] == [sent]


def test_dead_notices_are_tried_again(shell: Shell) -> None:
    """By their ids, or all of them; what is sent or waits already is left as it is."""
    sent, dead, waiting = _made()
    assert shell("notices", "retry", sent, waiting, *LEDGER).out == "0 dead notices will be tried again.\n"
    assert shell("notices", "retry", dead, *LEDGER).out == "1 dead notice will be tried again.\n"
    assert shell("notices", "retry", "--all", *LEDGER).out == "0 dead notices will be tried again.\n"
    assert "dead" not in shell("notices", "list", *LEDGER).out


def test_which_notices_has_to_be_said(shell: Shell) -> None:
    """Ids or --all, one of the two; everything else is a mistake that changes nothing."""
    for words in ((), ("ntc_1", "--all")):
        assert shell("notices", "retry", *words, *LEDGER).code == 64
    assert not Path("usage.db").exists()


def test_a_ledger_without_notices_stays_as_it_is(shell: Shell) -> None:
    """Where no worker has run there are none, and looking for them makes no table."""
    with open_ledger(f"sqlite:///{Path('usage.db').absolute()}", "direct"):
        pass
    before = Path("usage.db").read_bytes()
    assert shell("notices", "list", *LEDGER).out == "No notices.\n"
    assert json.loads(shell("notices", "list", "--format", "json", *LEDGER).out) == []
    assert shell("notices", "retry", "--all", *LEDGER).out == "0 dead notices will be tried again.\n"
    assert Path("usage.db").read_bytes() == before
