"""Streams, colours, widths and symbols."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.output import Output, wants_color, wants_unicode
from reconciler.diagnostics import ReconcilerError

from .support import SIMPLE, STATE, Shell, environment, process, write

COLOR_RULES = [
    ("auto", {}, True, True),
    ("auto", {}, False, False),
    ("auto", {"TERM": "dumb"}, True, False),
    ("auto", {"FORCE_COLOR": "1"}, False, True),
    ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
    ("auto", {"FORCE_COLOR": "0"}, False, False),
    ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
    ("auto", {"NO_COLOR": "1"}, True, False),
    ("auto", {"NO_COLOR": ""}, True, True),
    ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ("always", {"NO_COLOR": "1"}, False, True),
    ("never", {"FORCE_COLOR": "1"}, True, False),
]


@pytest.mark.parametrize(("choice", "environ", "terminal", "expected"), COLOR_RULES)
def test_colour_is_decided_in_one_order(choice: str, environ: dict[str, str], terminal: bool, expected: bool) -> None:
    """--color, NO_COLOR, FORCE_COLOR or CLICOLOR_FORCE, TERM=dumb, the terminal: the first that speaks decides."""
    assert wants_color(choice, environ, terminal=terminal) is expected


@pytest.mark.parametrize(
    ("encoding", "environ", "expected"),
    [
        ("utf-8", {}, True),
        ("UTF-8", {"LANG": "nl_NL.UTF-8"}, True),
        ("utf-8", {"LC_ALL": "C"}, False),
        ("utf-8", {"LC_ALL": "C", "LANG": "en_US.UTF-8"}, False),
        ("utf-8", {"LC_ALL": "en_US.UTF-8", "LANG": "C"}, True),
        ("utf-8", {"LANG": "POSIX"}, False),
        ("ascii", {"LANG": "en_US.UTF-8"}, False),
        (None, {}, False),
    ],
)
def test_symbols_follow_stream_and_locale(encoding: str | None, environ: dict[str, str], expected: bool) -> None:
    """Symbols beyond ASCII need a UTF-8 stream and a locale that is not C."""
    assert wants_unicode(encoding, environ) is expected


def test_data_and_remarks_do_not_mix() -> None:
    """The JSON of a plan is alone on stdout, whatever is said on stderr."""
    write(SIMPLE)
    done = process("plan", "--sandbox", "--format", "json")
    assert done.out.startswith("{")
    assert done.out.endswith("}\n")
    assert "Read acct_" in done.err


def test_quiet_leaves_data_and_errors(shell: Shell) -> None:
    """--quiet drops remarks and keeps data and errors."""
    write(SIMPLE)
    assert shell("plan", "--sandbox", "-q").err == ""
    assert shell("plan", "--sandbox").err
    assert "E1021" in shell("plan", "-q").err


def test_colours_reach_the_data_only_when_wanted(shell: Shell) -> None:
    """A pipe gets no escape sequence unless it is asked for, before or after the command's name."""
    write(SIMPLE)
    assert "\x1b" not in shell("plan", "--sandbox").out
    assert "\x1b[32m+ plans.pro" in shell("plan", "--sandbox", "--color", "always").out
    assert "\x1b[32m+ plans.pro" in shell("--color", "always", "plan", "--sandbox").out
    assert "\x1b" not in shell("plan", "--sandbox", "--color", "always", "--format", "json").out


def test_a_secret_is_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Data, remarks and errors lose every secret on their way out; other text stays."""
    secret = "rk_" + "live_" + "abcdefgh12345678"
    out = Output()
    out.data(f"data {secret}\n")
    out.note(f"note {secret}")
    out.error(ReconcilerError("E1", f"message {secret}", remedy=f"remedy {secret}", details=[f"detail {secret}"]))
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    assert [
        word for word in ("data", "note", "message", "remedy", "detail") if word in captured.out + captured.err
    ] == [
        "data",
        "note",
        "message",
        "remedy",
        "detail",
    ]


def test_an_error_cannot_forge_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """What an error quotes stays on its line and moves no cursor."""
    Output().error(ReconcilerError("E1", "one\n::error::two\x1b[2J", details=["three\n::four"]))
    err = capsys.readouterr().err
    assert err.count("\n") == 2
    assert "\x1b" not in err


@pytest.mark.parametrize("arguments", [("explain",), ("schema",), ("validate",), ("plan", f"--sandbox={STATE}")])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    """With ``| head`` in effect the command ends quietly with its own exit code."""
    write(SIMPLE)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "-q", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("without", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_no_error(without: str) -> None:
    """A closed stdout or stderr is written to by nobody, and the command still does its work."""
    write(SIMPLE)
    done = process("apply", "--auto-approve", f"--sandbox={STATE}", without=without)
    assert done.code == 0
    assert process("plan", "--detailed-exitcode", f"--sandbox={STATE}").code == 0


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_narrow_locale_is_no_error(environ: dict[str, str]) -> None:
    """Where the terminal knows ASCII only, signs are ASCII and names beyond it are escaped."""
    write(SIMPLE.replace("name: Pro", "name: Prö ☃"))
    done = process("plan", "--sandbox", environ=environment(**environ))
    assert done.code == 0
    assert "-/+ replace" in done.out
    assert "±" not in done.out
    assert "→" not in done.out


def test_a_wide_locale_shows_symbols() -> None:
    """The control of the narrow locales: UTF-8 shows signs and names as they are."""
    write(SIMPLE.replace("name: Pro", "name: Prö ☃"))
    done = process("plan", "--sandbox")
    assert "± replace" in done.out
    assert '"Prö ☃"' in done.out


@pytest.mark.parametrize("columns", ["1", "40", "0", "many"])
def test_any_width_is_no_error(columns: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 40 columns, or one that lies about its width, gets the same facts."""
    write(SIMPLE)
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (("plan", "--sandbox"), ("validate",), ("explain", "E0121"), ("doctor", "--sandbox"), ("--help",)):
        done = shell(*arguments)
        assert done.code == 0, done.err
        assert done.out


def test_a_full_disk_is_an_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that cannot take the data ends the command with 1 and the system's own words."""

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    done = shell("explain")
    assert done.code == 1
    assert "No space left on device" in done.err


def test_version_is_fast_because_nothing_is_loaded() -> None:
    """--version and the overview load neither a command nor any of the heavy packages."""
    heavy = ("stripe", "pydantic", "jsonschema", "deepdiff", "yaml", "rich")
    program = (
        "import sys; from reconciler.cli.main import main; code = main(sys.argv[1:]);"
        f"print(code, [name for name in {heavy!r} if name in sys.modules],"
        "[name for name in sys.modules if 'cli.commands.' in name])"
    )
    for argument in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-c", program, argument], capture_output=True, env=environment(), check=True
        )
        assert done.stdout.decode().splitlines()[-1] == "0 [] []"


def test_validate_loads_neither_stripe_nor_deepdiff() -> None:
    """Validating needs the files only, and loads nothing that talks to Stripe or renders plans."""
    write(SIMPLE)
    program = (
        "import sys; from reconciler.cli.main import main; code = main(['validate']);"
        "print(code, [name for name in ('stripe', 'deepdiff', 'rich', 'sqlite3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment(), check=True)
    assert done.stdout.decode().splitlines()[-1] == "0 []"


def test_the_package_runs_as_a_module() -> None:
    """``python -m reconciler`` is the console script."""
    done = process("--version")
    assert (done.code, done.out.split()[0]) == (0, "reconciler")
    assert Path("billing.d").exists() is False
