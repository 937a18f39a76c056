"""A writer thread that cannot be started."""

import threading

import pytest

from reconciler.ledger.ledger import Ledger

from .deeds import grant, spend


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
@pytest.mark.parametrize("mode", ["group"], indirect=True)
def test_a_job_whose_writer_did_not_start_is_not_done_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was told that no thread could be started is not charged by the next caller, whose thread starts."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    group = ledger.group
    assert group is not None
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            group.put(grant("acme", "g", 1), object())
    ledger.submit(grant("acme", "h", 10))
    assert ledger.submit(spend("acme", 1)).value == 9
