"""Positions, diagnostics and the exception tree every floor shares.

Problems found in files are values (:class:`Diagnostic`), collected and shown together; an exception from
:mod:`reconciler.diagnostics.errors` means the command cannot go on.
"""

from reconciler.diagnostics.errors import (
    ConfigError,
    GuardRefusedError,
    LockedError,
    PartlyAppliedError,
    PlanRefusedError,
    ProviderError,
    ReconcilerError,
    UsageError,
)
from reconciler.diagnostics.model import Diagnostic, Related, Severity, SourceRange, has_errors, sort_diagnostics

__all__ = [
    "ConfigError",
    "Diagnostic",
    "GuardRefusedError",
    "LockedError",
    "PartlyAppliedError",
    "PlanRefusedError",
    "ProviderError",
    "ReconcilerError",
    "Related",
    "Severity",
    "SourceRange",
    "UsageError",
    "has_errors",
    "sort_diagnostics",
]
