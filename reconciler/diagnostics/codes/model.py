"""What ``reconciler explain CODE`` says about one code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code explained: what it is called, why it exists, a file that produces it, and the same file corrected.

    ``loadable=False`` marks causes that no snippet can show, such as a missing directory: there ``example`` and
    ``fix`` are prose.
    """

    title: str
    cause: str
    example: str
    fix: str
    loadable: bool = True


def prose(title: str, cause: str, example: str, fix: str) -> Explanation:
    """Explain a cause that no snippet can show: ``example`` and ``fix`` are sentences."""
    return Explanation(title, cause, example, fix, loadable=False)
