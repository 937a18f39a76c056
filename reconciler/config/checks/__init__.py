"""Rules across the language: one pure function per rule, from a view to the problems it finds."""

from collections.abc import Callable, Iterator

from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic

Check = Callable[[View], Iterator[Diagnostic]]

CHECKS: tuple[Check, ...] = ()


def run_checks(view: View) -> list[Diagnostic]:
    """Run every rule and return all they find."""
    return [problem for check in CHECKS for problem in check(view)]
