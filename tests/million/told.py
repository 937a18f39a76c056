"""What the processes of a run were told, added up: what has to be in the ledger, and what may be there as well."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from .world import Line, lines

Sent = tuple[str, int, int]


class Tenant:
    """What was told about one tenant.

    ``calls`` are the keys of calls and whether they have to be there: what a killed process decided by itself after it
    had last noted what it used may be missing. ``plain`` calls without a key have to be there, ``loose`` ones may be.
    """

    def __init__(self) -> None:
        self.calls: dict[str, bool] = {}
        self.first: Counter[str] = Counter()
        self.plain = self.loose = 0
        self.reserved: dict[str, int] = {}
        self.committed: dict[str, int] = {}
        self.granted: dict[str, int] = {}
        self.refunded: dict[str, str] = {}
        self.voided: set[str] = set()
        self.sent: dict[Sent, int] = {}


class Told:
    """What all processes of a run were told. ``lost`` counts calls that may be missing."""

    def __init__(self) -> None:
        self.tenants: defaultdict[str, Tenant] = defaultdict(Tenant)
        self.last: dict[str, int] = {}
        self.operations = self.killed = self.lost = 0

    def process(self, name: str, told: Iterable[Line], *, ended: bool, lease: bool) -> None:
        """Add one process; ``ended`` in order, so that nothing of it is in doubt."""
        known = list(told)
        certain = len(known) if ended or not lease else _noted(known)
        threads: set[int] = set()
        for place, line in enumerate(known):
            if line.thread >= 0:
                threads.add(line.thread)
                self.last[f"{name}.{line.thread}"] = line.number
                self.operations += line.what != "x"
                self._line(line, certain=place < certain)
        if not ended:
            self.killed += 1
            # Each thread may have been about to call, for any tenant.
            for tenant in self.tenants.values():
                tenant.loose += len(threads) + 1

    def _line(self, line: Line, *, certain: bool) -> None:
        tenant, key = self.tenants[line.tenant], line.key
        self.lost += line.what in {"c", "u"} and not certain
        match line.what:
            case "c":
                tenant.calls[key] = tenant.calls.get(key, False) or certain
                tenant.first[key] += line.more == "new"
            case "u":
                tenant.plain += certain
                tenant.loose += not certain
            case "d":
                tenant.loose += 1
            case "h":
                tenant.reserved[key] = int(line.more)
            case "m":
                tenant.committed[key] = int(line.more)
            case "g":
                tenant.granted[key] = int(line.more)
            case "f":
                tenant.refunded[key] = line.more
            case "v":
                tenant.voided.add(key)
            case "x":
                meter, *numbers = line.more.split(" ")
                window, seq, units = map(int, numbers)
                tenant.sent[meter, window, seq] = units

    def asked(self, key: str) -> bool:
        """Tell whether somebody may have used a key: it is shared, or of a thread that had come so far."""
        if key.startswith("shared."):
            return True
        thread, _, number = key.rpartition(".")
        return int(number) <= self.last.get(thread, 0) + 1


def _noted(known: list[Line]) -> int:
    """Return how many lines of a killed process were told before its last complete noting began."""
    done = max((line.number for line in known if line.what == "e"), default=-1)
    return next((place for place, line in enumerate(known) if line.what == "b" and line.number == done), 0)


def told(home: Path, *, lease: bool) -> Told:
    """Read what all processes of a run were told."""
    found = Told()
    for path in sorted(home.glob("*.told")):
        found.process(path.stem, lines(path), ended=path.with_suffix(".ended").exists(), lease=lease)
    return found
