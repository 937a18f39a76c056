"""Collects the problems of one file, bounded, so that a hostile file cannot make a million diagnostics."""

from reconciler.diagnostics import Diagnostic, Related, SourceRange
from reconciler.diagnostics.redact import find_secrets

#: Problems listed per file.
MAX_PROBLEMS = 100


class Report:
    """The problems of one file in the order they were found; at most ``MAX_PROBLEMS`` of them are kept."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._kept: list[Diagnostic] = []
        self._overflow = False
        self._hidden: list[SourceRange] = []

    def at(self, line: int, column: int, end_line: int | None = None, end_column: int | None = None) -> SourceRange:
        """Make a range in this file from 1-based positions; without an end it covers one character."""
        if end_line is None or end_column is None:
            return SourceRange(self.file, line, column, line, column + 1)
        return SourceRange(self.file, line, column, end_line, end_column)

    def add(self, code: str, where: SourceRange, summary: str, remedy: str, *related: Related) -> None:
        """Note one error."""
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.append(Diagnostic(code, summary, where, help=remedy, related=related))
        else:
            self._overflow = True

    @property
    def overflow(self) -> bool:
        """Tell whether a problem was left out, so that looking for more of its kind is of no use."""
        return self._overflow

    def secrets_in(self, text: str) -> None:
        """Note every Stripe secret that stands in the file as it is, comments included."""
        lines = text.split("\n") if any(find_secrets(text)) else ()
        for number, line in enumerate(lines, start=1):
            for start, end, prefix in find_secrets(line):
                self._secret(self.at(number, start + 1, number, end + 1), prefix)

    def assembled_secrets(self, value: str, source: str, where: SourceRange) -> None:
        """Note a value with a Stripe secret that its source spells with escapes or folds, and hide that source."""
        as_written = {source[start:end] for start, end, _ in find_secrets(source)}
        for start, end, prefix in find_secrets(value):
            if value[start:end] not in as_written:
                self._secret(where, prefix)
                self._hidden.append(where)
                return

    def hide(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Return the lines with ``*`` over every place whose source must not be shown."""
        shown: dict[int, list[str]] = {}
        for where in self._hidden:
            for number in range(where.line, where.end_line + 1):
                if number not in shown:
                    shown[number] = list(lines[number - 1])
                chars = shown[number]
                start = where.column - 1 if number == where.line else 0
                end = where.end_column - 1 if number == where.end_line else len(chars)
                chars[start:end] = "*" * (end - start)
        return tuple("".join(shown.get(number, line)) for number, line in enumerate(lines, start=1))

    def diagnostics(self) -> list[Diagnostic]:
        """Return the problems kept and, where some were left out, a last one that says so."""
        if not self._overflow:
            return list(self._kept)
        rest = Diagnostic(
            "E0109",
            f"more than {MAX_PROBLEMS} problems: the rest of this file's is not listed",
            self._kept[-1].range,
            help="correct the problems listed and run the command again",
        )
        return [*self._kept, rest]

    def _secret(self, where: SourceRange, prefix: str) -> None:
        """Name a secret by its harmless prefix: the text itself must never reach a diagnostic."""
        self.add(
            "E0150",
            where,
            f"a Stripe secret ({prefix}…) stands in the file",
            "remove it and roll the key in the Stripe dashboard; pass secrets in the environment, as STRIPE_API_KEY",
        )
