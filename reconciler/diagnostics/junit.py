"""Diagnostics as JUnit XML, which every continuous integration shows as tests."""

import html
from collections.abc import Iterable, Iterator, Sequence

from reconciler.diagnostics.model import Diagnostic, Severity, sort_diagnostics
from reconciler.diagnostics.visible import visible

_NO_FILE = "billing.d"


def render_junit(diagnostics: Iterable[Diagnostic], files: Sequence[str] = ()) -> str:
    """Write one test case per file, one failure in it per error; warnings stand in the output of the case."""
    found: dict[str, list[Diagnostic]] = {file: [] for file in sorted(files)}
    for each in sort_diagnostics(diagnostics):
        found.setdefault(each.range.file if each.range else _NO_FILE, []).append(each)
    failed = sum(any(each.severity is Severity.ERROR for each in problems) for problems in found.values())
    counts = f'tests="{len(found)}" failures="{failed}" errors="0"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>"]
    lines.append(f'  <testsuite name="reconciler validate" {counts} skipped="0">')
    lines += [line for file, problems in found.items() for line in _case(file, problems)]
    text = "\n".join([*lines, "  </testsuite>", "</testsuites>"]) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode()  # right whatever the encoding of stdout


def _case(file: str, problems: Sequence[Diagnostic]) -> Iterator[str]:
    head = f'    <testcase classname="reconciler.validate" name={_attribute(file)} file={_attribute(file)} time="0"'
    if not problems:
        yield f"{head}/>"
        return
    yield f"{head}>"
    for each in problems:
        if each.severity is Severity.ERROR:
            yield f'      <failure type="{each.code}" message={_attribute(each.summary)}>{_text(each)}</failure>'
    warnings = [_text(each) for each in problems if each.severity is Severity.WARNING]
    if warnings:
        yield f"      <system-out>{chr(10).join(warnings)}</system-out>"
    yield "    </testcase>"


def _text(each: Diagnostic) -> str:
    place = f"{each.range}: " if each.range else ""
    lines = [f"{place}{each.severity}[{each.code}] {each.summary}"]
    lines += [f"{other.range}: {other.note}" for other in each.related]
    lines += [f"help: {each.help}"] if each.help else []
    return html.escape("\n".join(map(visible, lines)), quote=False)


def _attribute(text: str) -> str:
    """Quote a value; what XML cannot hold is made visible first."""
    return f'"{html.escape(visible(text))}"'
