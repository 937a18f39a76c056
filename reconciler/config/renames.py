"""Following ``moved`` entries from the address a thing had to the one it has."""

from collections.abc import Mapping


def new_address(address: str, moved: Mapping[str, str]) -> str:
    """Translate an address: the longest renamed prefix counts, again and again until nothing of it is renamed.

    A plan and something below it may be renamed at the same time, in either order. Following entries that lead in a
    circle ends at an address it has passed, which the checks refuse.
    """
    passed: set[str] = set()
    while address not in passed:
        passed.add(address)
        address = _step(address, moved)
    return address


def _step(address: str, moved: Mapping[str, str]) -> str:
    parts = address.split(".")
    for length in range(len(parts), 0, -1):
        target = moved.get(".".join(parts[:length]))
        if target is not None:
            return ".".join([target, *parts[length:]])
    return address
