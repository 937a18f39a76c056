"""What a command tells the GitHub job it runs in: step summary, step outputs, annotations. Nothing elsewhere.

What cannot be told is an error of the command: whoever branches on an output must not read an old or empty one.
"""

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.cli.exits import Exit
from reconciler.cli.output import Output, in_github
from reconciler.cli.places import placed, prefix
from reconciler.diagnostics import Diagnostic, ReconcilerError
from reconciler.diagnostics.annotations import render_github
from reconciler.diagnostics.markdown import code, render_markdown
from reconciler.diagnostics.redact import redact

SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
Value = str | int | bool
_DETAILS = 100


def tell(out: Output, code_: int, summary: str, outputs: Mapping[str, Value]) -> int:
    """Append Markdown to the step summary and values to the step outputs, where there are such files.

    Returns the exit code of the command, or 1 in place of 0 and 2 where a file could not be written.
    """
    if not in_github(out.environ):
        return code_
    texts = {SUMMARY: f"{summary.rstrip()}\n\n", OUTPUT: "".join(map(_assignment, outputs, outputs.values()))}
    try:
        for name, text in texts.items():
            _append(out.environ.get(name), redact(text))
    except OSError as error:
        reason = error.strerror or str(error)
        out.error(ReconcilerError("E1036", f"cannot tell the GitHub job what was found: {reason}"))
        return Exit.ERROR if code_ in (Exit.OK, Exit.CHANGES) else code_
    return code_


def _append(path: str | None, text: str) -> None:
    if path and text:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


def _assignment(name: str, value: Value) -> str:
    """Write one output between delimiters that nobody can guess, so that no value can end itself and begin another."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    mark = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{mark}\n{text}\n{mark}\n"


def annotate(out: Output, diagnostics: Iterable[Diagnostic], directory: Path | None = None) -> None:
    """Annotate lines of the pull request, by way of stderr, so that data on stdout stays whole."""
    if in_github(out.environ):
        before = prefix(directory, out.environ, Path.cwd()) if directory is not None else ""
        text = render_github(placed(diagnostics, before))
        if text:
            out.problem(text, commands=True)


def stopped(out: Output, error: ReconcilerError) -> None:
    """Tell what ended a command: an annotation, and in the summary its message, details and remedy."""
    if not in_github(out.environ):
        return
    annotate(out, [Diagnostic(error.code, error.message, help=error.remedy)])
    shown, more = error.details[:_DETAILS], len(error.details) - _DETAILS
    lines = [f"### Stopped: {error.code}", "", code(error.message), *(f"- {code(each)}" for each in shown)]
    lines += [f"- and {more} more, which the log lists"] if more > 0 else []
    lines += ["", f"Help: {code(error.remedy)}"] if error.remedy else []
    tell(out, error.exit_code, "\n".join(lines), {})


def refused(out: Output, diagnostics: Iterable[Diagnostic], directory: Path) -> None:
    """Tell that files cannot be used: an annotation at each line, and the list in the summary."""
    found = list(diagnostics)
    annotate(out, found, directory)
    tell(out, Exit.CONFIG, render_markdown(found, "The files cannot be used"), {})
