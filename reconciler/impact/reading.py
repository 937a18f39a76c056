"""Reading a usage file: CSV, JSON or JSON Lines, somebody's own or what ``usage export`` and ``usage report`` write.

Every problem is told with its line, all at once.
"""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from reconciler.config.words import choice, count, did_you_mean
from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.diagnostics.visible import quoted
from reconciler.entitlements.measure import MOST
from reconciler.entitlements.periods import micros
from reconciler.impact.rows import Row

#: What a row may say, in the words for people; ``units`` and ``at`` are those of ``usage export``.
OWN = ("tenant", "tool", "meter", "quantity", "calls", "time")
_EXPORTED = frozenset(("seq", "at", "kind", "key", "paid_by", "cost", "unit", "credits", "short", "units", "window"))
_KNOWN = frozenset((*OWN, *_EXPORTED))
#: Problems that are told one by one.
MOST_TOLD = 50
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_DAY = 10


class UsageFile(NamedTuple):
    """The rows that could be read, and what is wrong with the others."""

    rows: tuple[Row, ...]
    problems: tuple[Diagnostic, ...]


def read_usage(text: str, file: str, meters: Collection[str], zone: tzinfo) -> UsageFile:
    """Read a usage file; ``meters`` are those of both files, ``zone`` that of instants that name none."""
    reader = _Reader(file, meters, zone)
    start = text.lstrip()[:1]
    rows = tuple(reader.json(text) if start in {"[", "{"} else reader.csv(text))
    told = reader.problems[:MOST_TOLD]
    if more := len(reader.problems) - len(told):
        told.append(Diagnostic("E1301", f"and {count(more, 'problem')} more", SourceRange(file, told[-1].range.line)))  # type: ignore[union-attr]
    return UsageFile(rows, tuple(told))


class _Reader:
    def __init__(self, file: str, meters: Collection[str], zone: tzinfo) -> None:
        self._file = file
        self._meters = meters
        self._zone = zone
        self.problems: list[Diagnostic] = []

    def csv(self, text: str) -> Iterator[Row]:
        """Yield the rows of CSV, header first; semicolons and tabs separate too where the header has no comma."""
        lines = text.removeprefix("\ufeff").splitlines(keepends=True)
        head = next((line for line in lines if line.strip()), "")
        mark = next((each for each in (",", ";", "\t") if each in head), ",")
        reader = csv.reader(lines, delimiter=mark, strict=True)
        names: list[str] | None = None
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if names is None:
                    names = [cell.strip().lower() for cell in cells]
                    if not self._named(names, reader.line_num):
                        return
                elif len(cells) != len(names):
                    remedy = "quote cells that hold the separator"
                    self._wrong(
                        "E1301", f"{count(len(cells), 'cell')} below {len(names)} names", reader.line_num, remedy
                    )
                else:
                    values = {
                        name: _plain(cell) if cell[:1] == "'" else cell for name, cell in zip(names, cells, strict=True)
                    }
                    yield from self._row(values, reader.line_num)
        except csv.Error as error:
            self._wrong("E1301", f"this is not CSV: {error}", reader.line_num, "write it as CSV, or as JSON")
        if names is None:
            self._wrong("E1301", "the file is empty", 1, f"begin with a line of names: {','.join(OWN)}")

    def json(self, text: str) -> Iterator[Row]:
        """Yield the rows of a JSON list, of JSON Lines, or of the reports of ``usage report --format json``."""
        for value, line in self._values(text):
            if not isinstance(value, dict):
                self._wrong("E1301", "a row is a JSON object", line, 'write {"tenant": …, "meter": …, "quantity": …}')
            elif isinstance(value.get("rows"), list) and "tenant" in value:
                yield from self._report(value, line)
            elif self._named([str(name) for name in value], line):
                yield from self._row({name: "" if item is None else item for name, item in value.items()}, line)

    def _values(self, text: str) -> Iterator[tuple[Any, int]]:
        """Yield the objects of a list, or one after the other, each with the line it begins on."""
        decoder = json.JSONDecoder(parse_float=str)
        place = _skipped(text, 0)
        listed = text.startswith("[", place)
        place = _skipped(text, place + listed)
        line, counted = 1, 0
        while place < len(text) and not (listed and text[place] == "]"):
            line, counted = line + text.count("\n", counted, place), place
            try:
                value, place = decoder.raw_decode(text, place)
            except (ValueError, RecursionError) as error:
                self._no_json(getattr(error, "lineno", line))
                return
            yield value, line
            place = _skipped(text, place)
            if listed and text.startswith(",", place):
                place = _skipped(text, place + 1)
            elif listed and not text.startswith("]", place):
                break
        if listed and _skipped(text, place + 1) != len(text):
            self._no_json(1 + text.count("\n", 0, place))

    def _no_json(self, line: int) -> None:
        self._wrong("E1301", "this is not JSON", line, "write a list of objects, or one object a line")

    def _report(self, report: Mapping[str, Any], line: int) -> Iterator[Row]:
        """Yield the sums of one tenant's report, a call's units beside its calls."""
        tenant, at, by_tool = str(report["tenant"]), report.get("start"), dict[str, dict[str, int]]()
        try:
            for row in report["rows"]:
                of = by_tool.setdefault(row["tool"], {})
                of[row["meter"]] = of.get(row["meter"], 0) + (row["units"] if row["meter"] else row["calls"])
            start = int(at) if at is not None else None
        except (TypeError, KeyError, ValueError):
            self._wrong(
                "E1301", "this is no report of a tenant's usage", line, "take what usage report --format json writes"
            )
            return
        for number, (tool, counted) in enumerate(by_tool.items()):
            calls = counted.pop("", 0)
            if tool:
                entry = f"report/{line}/{number}"
                rows = [
                    Row(line, tenant, tool, meter, units, 0, start, entry=entry) for meter, units in counted.items()
                ]
                yield Row(line, tenant, tool, "", None, calls, start, entry=entry)
                yield from rows
            else:
                yield from (Row(line, tenant, "", meter, units, None, start) for meter, units in counted.items())

    def _named(self, names: list[str], line: int) -> bool:
        """Tell whether a header can be understood; a name nobody knows would be a column nobody reads."""
        fine = True
        for name in names:
            if name not in _KNOWN:
                summary = f"unknown column {quoted(name)}{did_you_mean(name, OWN)}"
                self._wrong("E1302", summary, line, f"columns are {', '.join(OWN)}, and those of usage export")
                fine = False
        if "tenant" not in names or not {"tool", "meter"} & set(names):
            self._wrong("E1302", "a row needs a tenant, and a tool or a meter", line, f"columns are {', '.join(OWN)}")
            fine = False
        return fine

    def _row(self, values: Mapping[str, Any], line: int) -> Iterator[Row]:
        before = len(self.problems)
        tenant, tool, meter = (self._text(values, name, line) for name in ("tenant", "tool", "meter"))
        entry = self._text(values, "seq", line)
        kind = self._text(values, "kind", line) if entry else ""
        name = "units" if "units" in values else "quantity"
        refunds = kind == "refund"
        quantity = self._number(values, name, line, least=-MOST if refunds else 0)
        calls = self._number(values, "calls", line)
        at, single = self._instant(values, line)
        if not tenant:
            self._wrong("E1303", "the row names no tenant", line, "write the tenant's id, as in the files")
        if not tool and not meter:
            self._wrong("E1303", "the row names neither tool nor meter", line, "write one of the two, or both")
        if meter and meter not in self._meters:
            remedy = f"meters are {', '.join(sorted(self._meters)[:12])}"
            self._wrong("E1303", f"there is no meter {quoted(meter)}{did_you_mean(meter, self._meters)}", line, remedy)
        if meter and values.get(name, "") == "":
            self._wrong("E1304", f"the row has no {name}", line, "write how many units were used")
        if len(self.problems) == before:
            taken = self._text(values, "credits", line) if entry else ""
            entry = f"{tenant}/{entry}" if entry else ""
            yield Row(line, tenant, tool, meter, quantity, calls, at, single, entry, kind, taken)

    def _text(self, values: Mapping[str, Any], name: str, line: int) -> str:
        value = values.get(name, "")
        if value.__class__ is str:
            found: str = value.strip()
            return found
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong("E1303", f"{name} is no text", line, "write it in quotes")
            return ""
        return str(value)

    def _number(self, values: Mapping[str, Any], name: str, line: int, least: int = 0) -> int | None:
        value = values.get(name, "")
        if value == "":
            return None
        text = value.strip() if isinstance(value, str) else value
        if text == "":
            return None
        if isinstance(text, str) and text.isascii() and text.removeprefix("-").isdigit():
            text = int(text[:20])
        if isinstance(text, bool) or not isinstance(text, int) or not least <= text <= MOST:
            remedy = f"write a whole number from {least} to {MOST}, without separators"
            self._wrong("E1304", f"{name} {quoted(str(value))} is no whole number", line, remedy)
            return None
        return text

    def _instant(self, values: Mapping[str, Any], line: int) -> tuple[int | None, bool]:
        name = "time" if "time" in values else "at"
        value = values.get(name, "")
        if value == "":
            return None, False
        try:
            text = value.strip()
            found = datetime.fromisoformat(text)
            return micros(found if found.tzinfo else found.replace(tzinfo=self._zone)), len(text) > _DAY
        except (ValueError, AttributeError, OverflowError):
            forms = choice(("2027-01-31", "2027-01-31T23:59:59Z"))
            self._wrong("E1305", f"{name} {quoted(str(value))} is no instant", line, f"write it as {forms}")
            return None, False

    def _wrong(self, code: str, summary: str, line: int, remedy: str) -> None:
        self.problems.append(Diagnostic(code, summary, SourceRange(self._file, line, 1, line, 1), help=remedy))


def _skipped(text: str, place: int) -> int:
    """Return the place of the next character that is not white space."""
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _plain(cell: str) -> str:
    """Return a cell without the apostrophe that keeps spreadsheets from taking it for a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
