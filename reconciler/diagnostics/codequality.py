"""Diagnostics as a GitLab Code Quality report (https://docs.gitlab.com/ci/testing/code_quality/)."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.diagnostics.model import Diagnostic, Severity, sort_diagnostics
from reconciler.diagnostics.visible import visible

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def render_gitlab(diagnostics: Iterable[Diagnostic], files: Sequence[str] = ()) -> str:
    """Write one entry per diagnostic, each with a fingerprint that no other has and that does not count lines.

    GitLab wants a path: what concerns no file stands at the first of ``files``, or at ``billing.d``.
    """
    seen: Counter[str] = Counter()
    nowhere = min(files, default="billing.d")
    entries = []
    for each in sort_diagnostics(diagnostics):
        file, line, end = (each.range.file, each.range.line, each.range.end_line) if each.range else (nowhere, 1, 1)
        content = f"{each.code}\0{file}\0{each.path}\0{each.summary}"
        seen[content] += 1
        text = f"{each.summary}. {each.help}" if each.help else each.summary
        entries.append(
            {
                "description": visible(f"{each.code}: {text}"),
                "check_name": each.code,
                "fingerprint": hashlib.sha256(f"{content}\0{seen[content]}".encode()).hexdigest(),
                "severity": _SEVERITIES[each.severity],
                "location": {"path": file, "lines": {"begin": line, "end": max(line, end)}},
            }
        )
    return json.dumps(entries, indent=2, ensure_ascii=True) + "\n"
