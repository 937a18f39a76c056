"""Stores and process copies: no connection to a database may be used on both sides of a fork.

SQLite's own advice is to carry no open database across one (sqlite.org/howtocorrupt.html, 2.6): the child would believe
in locks that only the parent holds, and its commits are lost when the parent closes the file.
"""

import os
import weakref
from typing import Protocol


class Forking(Protocol):
    """What has to know of a fork of its process."""

    def before_fork(self) -> None:
        """Come to rest, and hold it: nothing may be under way in any thread."""

    def after_fork(self, *, child: bool) -> None:
        """Go on, in the parent or as its copy, which has none of its threads."""


_ALL: "weakref.WeakSet[Forking]" = weakref.WeakSet()


def watch(one: Forking) -> None:
    """Tell something, as long as it lives, of every fork of the process."""
    _ALL.add(one)


def _before() -> None:
    for one in list(_ALL):
        one.before_fork()


def _after_in_parent() -> None:
    for one in list(_ALL):
        one.after_fork(child=False)


def _after_in_child() -> None:
    for one in list(_ALL):
        one.after_fork(child=True)


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
