"""A process that spends and tells what was answered: ``python -m tests.ledger.worker URL MODE NAME TENANT THREADS``."""

import itertools
import os
import sys
import threading
import time

from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.ledger import Ledger, open_ledger

from .deeds import spend


def charge(ledger: Ledger, tenant: str, key: str) -> bool:
    """Spend one under a key, asking again with it as long as nobody knows whether it was done; false when broke."""
    while True:
        try:
            ledger.submit(spend(tenant, 1, key))
        except StoreUnavailableError:
            time.sleep(0.02)
        except ValueError:
            return False
        else:
            return True


def main(url: str, mode: str, name: str, tenant: str, threads: str, first: str = "0") -> None:
    """Spend until nothing is left, under keys from a number on."""
    ledger = open_ledger(url, mode)

    def work(thread: int) -> None:
        for number in itertools.count(int(first)):
            key = f"{name}/{thread}/{number}"
            if not charge(ledger, tenant, key):
                return
            os.write(1, f"{key}\n".encode())

    working = [threading.Thread(target=work, args=(thread,)) for thread in range(int(threads))]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
