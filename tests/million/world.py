"""What the processes of a run share: terms, a clock that can be moved, a flag to stop, and how they tell what they do.

A process tells every answer by one line in a file of its own, written before it asks anything else. What it was about
to ask when it was killed follows from that: one thread asks for one thing at a time, and numbers what it asks for.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

MICRO = 1_000_000
HOUR = 3_600 * MICRO
#: The instant a run begins at, in microseconds: some days before the end of a month.
START = 1_800_000_000_000_000
#: Calls of a day that the tenant with a quota may make.
QUOTA = 4_000
TERMS = f"""
plans:
  pack: {{name: Pack, credits: {{default: 1}}}}
  month: {{name: Month, credits: {{default: 1, included: 2000}}}}
  quota: {{name: Quota, usage: {{calls: {{included: {QUOTA}, per: day, overage: deny}}}}}}
  metered: {{name: Metered, usage: {{calls: {{included: 10, overage: {{unit_amount: "0.01"}}}}}}}}
tenants:
  rich: {{name: Rich, plan: pack}}
  poor: {{name: Poor, plan: pack}}
  monthly: {{name: Monthly, plan: month}}
  limited: {{name: Limited, plan: quota}}
  metered: {{name: Metered, plan: metered}}
"""
#: Those whose calls cost one credit each.
PAYING = ("rich", "poor", "monthly")
TENANTS = (*PAYING, "limited", "metered")


class Shared:
    """A clock all processes of a run judge by, and whether they are to end; in a file, so that it outlives them."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("=qq", START - time.time_ns() // 1000, 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 16)

    def clock(self) -> int:
        """Return the instant, in microseconds: that of the machine, moved."""
        (moved,) = struct.unpack_from("=q", self._memory, 0)
        return int(moved) + time.time_ns() // 1000

    def move(self, by: int) -> None:
        """Set the clock forward, or back."""
        (moved,) = struct.unpack_from("=q", self._memory, 0)
        struct.pack_into("=q", self._memory, 0, moved + by)

    @property
    def ending(self) -> bool:
        """Whether the processes are to end."""
        return self._memory[8] != 0

    def end(self) -> None:
        """Ask the processes to end."""
        self._memory[8] = 1


class Line(NamedTuple):
    """One answer: of which thread's how manieth question, what was done, for whom, under which key, with what result.

    ===== ==================================================================================
    what  meaning, and what ``more`` says
    ===== ==================================================================================
    c     a call under a key is allowed; ``new``, or ``again`` where it was answered before
    u     a call without a key is allowed
    d     nobody knows whether a call without a key was booked
    h     a reservation is made; how many calls
    m     it is committed; how many calls
    l     it is released, or was gone
    g     credits are granted; how many millionths
    f     a call is refunded; its key
    v     what is left of a lot is voided
    x     an export is about to be sent; meter, window, number and units
    n     something is refused
    k     something is looked at, swept or loaded anew
    b, e  the noting of what was used of leases begins, is done; the question's number is the noting's
    ===== ==================================================================================
    """

    thread: int
    number: int
    what: str
    tenant: str = ""
    key: str = ""
    more: str = ""


class Log:
    """The file of one process; a line that is cut off was not told."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, thread: int, number: int, what: str, tenant: str = "", key: str = "", more: object = "") -> None:
        """Write one answer: it stays, whatever becomes of the process."""
        os.write(self._file, f"{thread}\t{number}\t{what}\t{tenant}\t{key}\t{more}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lines(path: Path) -> Iterator[Line]:
    """Yield what a process has told, in order."""
    *whole, _torn = path.read_text().split("\n")
    for text in whole:
        thread, number, what, tenant, key, more = text.split("\t")
        yield Line(int(thread), int(number), what, tenant, key, more)
