"""A process that works an inbox off until it is killed: ``python -m tests.service.hooks_worker LEDGER API``."""

import sys
import time

from reconciler.entitlements import Entitlements
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.service.hooks import inbox, patrons
from reconciler.service.hooks.processor import Processor
from tests.loop.world import KEY

from .hooks_world import rules

#: Claims of the dead are to be taken over soon, in microseconds; in real life after minutes.
HOLD, TERM = 600_000, 500_000


def main() -> None:
    """Work until the end."""
    ledger, api = sys.argv[1:]
    inbox.HOLD, patrons.TERM = HOLD, TERM
    with Entitlements.open(rules(), ledger, mode="direct") as runtime:
        source = Source(Gateway(Connection(KEY, base=api, rates=UNLIMITED)), Owner("acme", {}))
        processor = Processor(runtime, source, inbox.Inbox(runtime.ledger.store))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            processor.round()
            time.sleep(0.01)


if __name__ == "__main__":
    main()
