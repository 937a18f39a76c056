"""Diagnostics as GitHub workflow commands, which become annotations on the lines of a pull request."""

from collections.abc import Iterable

from reconciler.diagnostics.model import Diagnostic, sort_diagnostics
from reconciler.diagnostics.visible import visible

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Write one ``::error`` or ``::warning`` line per diagnostic; nothing in it can begin another command."""
    return "".join(_annotation(each) + "\n" for each in sort_diagnostics(diagnostics))


def _annotation(each: Diagnostic) -> str:
    properties = {"title": each.code}
    if each.range:
        where = each.range
        place = {"file": where.file, "line": str(where.line), "col": str(where.column), "endLine": str(where.end_line)}
        if where.end_line == where.line:  # GitHub refuses columns of a range that goes over several lines
            place["endColumn"] = str(max(where.column, where.end_column - 1))
        properties = place | properties
    listed = ",".join(f"{name}={_escape(value, _IN_PROPERTY)}" for name, value in properties.items())
    text = f"{each.summary}. {each.help}" if each.help else each.summary
    return f"::{each.severity} {listed}::{_escape(visible(text), _IN_MESSAGE)}"


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)
