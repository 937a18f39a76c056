"""Diagnostics as SARIF 2.1.0, which code scanning reads (https://docs.oasis-open.org/sarif/sarif/v2.1.0/)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.diagnostics.codes import EXPLANATIONS
from reconciler.diagnostics.model import Diagnostic, SourceRange, sort_diagnostics
from reconciler.diagnostics.visible import visible

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(diagnostics: Iterable[Diagnostic], files: Sequence[str] = ()) -> str:
    """Write one run: a rule per code that occurs, a result per diagnostic, the files that were read as artifacts."""
    ordered = sort_diagnostics(diagnostics)
    codes = sorted({each.code for each in ordered})
    driver = {
        "name": "reconciler",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": quote(file)}} for file in sorted(files)],
        "results": [_result(each, codes.index(each.code)) for each in ordered],
    }
    return json.dumps({"$schema": SCHEMA, "version": VERSION, "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str) -> dict[str, Any]:
    each = EXPLANATIONS[code]
    text = f"{each.cause}\n\nExample:\n{_block(each.example)}\n\nCorrected:\n{_block(each.fix)}"
    return {
        "id": code,
        "shortDescription": {"text": visible(each.title)},
        "fullDescription": {"text": visible(each.cause)},
        "help": {"text": text},
    }


def _block(text: str) -> str:
    return "\n".join(f"    {visible(line)}" for line in text.rstrip("\n").split("\n"))


def _result(each: Diagnostic, index: int) -> dict[str, Any]:
    text = f"{each.summary}. {each.help}" if each.help else each.summary
    result: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": index,
        "level": each.severity.value,
        "message": {"text": _inert(text)},
        "partialFingerprints": {"reconciler/v1": _fingerprint(each)},
    }
    if each.range:
        result["locations"] = [{"physicalLocation": _physical(each.range)}]
    if each.related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _physical(other.range), "message": {"text": _inert(other.note)}}
            for number, other in enumerate(each.related, 1)
        ]
    return result


def _inert(text: str) -> str:
    """Write untrusted text so that no part of it is a link, which SARIF allows in messages as ``[text](target)``."""
    return visible(text).replace("](", "] (")


def _physical(where: SourceRange) -> dict[str, Any]:
    """Return a place in a file; SARIF's lines and columns count from 1 and its ends are exclusive, as ours."""
    region = {"startLine": where.line, "startColumn": where.column}
    if (where.end_line, where.end_column) > (where.line, where.column):
        region |= {"endLine": where.end_line, "endColumn": where.end_column}
    return {"artifactLocation": {"uri": quote(where.file)}, "region": region}


def _fingerprint(each: Diagnostic) -> str:
    """Return 32 hexadecimal digits that stay the same when the problem moves to another line."""
    file = each.range.file if each.range else ""
    return hashlib.sha256(f"{each.code}\0{file}\0{each.path}\0{each.summary}".encode()).hexdigest()[:32]
