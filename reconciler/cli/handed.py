"""The file that signing secrets are handed over to: a JSON object from address to secret, for its owner alone."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path

from reconciler.cli.files import read_bounded, write_private
from reconciler.diagnostics import ReconcilerError

MAX_BYTES = 1024 * 1024
#: Behind an address: the secret of the endpoint before, until the new one has its own.
_BEFORE = ".replaced"


class SecretFile:
    """Secrets by address, merged into what the file holds; each write is whole or not at all. Safe for many threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Write the file as it is, or an empty one, so that a secret is not lost to a place that takes none.

        Raises ReconcilerError where it cannot be written, or holds something else.
        """
        with self._lock:
            self._write(self._read())

    def expect(self, address: str) -> None:
        """Put the secret that is held for an address aside: the endpoint to be made will have another."""
        with self._lock:
            held = self._read()
            if address in held:
                held[address + _BEFORE] = held.pop(address)
                self._write(held)

    def keep(self, address: str, secret: str) -> None:
        """Hold the secret of an address."""
        with self._lock:
            held = self._read()
            held.pop(address + _BEFORE, None)
            self._write({**held, address: secret})

    def lacking(self, addresses: Iterable[str]) -> list[str]:
        """Return which of these addresses have no secret in the file, in order."""
        with self._lock:
            return sorted(set(addresses) - self._read().keys())

    def _read(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        try:
            held = json.loads(read_bounded(self.path, MAX_BYTES)[:MAX_BYTES])
        except (ValueError, RecursionError):
            held = None
        if not isinstance(held, dict) or not all(isinstance(each, str) for each in held.values()):
            raise ReconcilerError(
                "E1049",
                f"{self.path} is no file of signing secrets",
                remedy="Name another file, or one that holds a JSON object from address to secret.",
            ) from None
        return held

    def _write(self, held: dict[str, str]) -> None:
        write_private(self.path, json.dumps(held, indent=2, sort_keys=True) + "\n")
