"""Finding ``billing.d``, and what validate says about it."""

import json
from pathlib import Path

import pytest

from reconciler.cli.config import find_config
from reconciler.diagnostics import ConfigError

from .support import SIMPLE, Shell, write


def test_the_order_of_discovery(tmp_path: Path) -> None:
    """--config, then RECONCILER_CONFIG, then the nearest billing.d upwards."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "billing.d").mkdir()
    (tmp_path / "a" / "billing.d").mkdir()
    environ = {"RECONCILER_CONFIG": "elsewhere"}
    assert find_config(Path("chosen"), environ, deep) == Path("chosen")
    assert find_config(None, environ, deep) == Path("elsewhere")
    assert find_config(None, {"RECONCILER_CONFIG": ""}, deep) == tmp_path / "a" / "billing.d"
    assert find_config(None, {}, tmp_path) == tmp_path / "billing.d"


def test_discovery_stops_at_the_repository(tmp_path: Path) -> None:
    """A billing.d above the root of the repository is somebody else's."""
    (tmp_path / "billing.d").mkdir()
    inner = tmp_path / "repository" / "src"
    inner.mkdir(parents=True)
    assert find_config(None, {}, inner) == tmp_path / "billing.d"
    (tmp_path / "repository" / ".git").mkdir()
    with pytest.raises(ConfigError):
        find_config(None, {}, inner)


def test_a_file_called_like_the_directory_is_passed_over(tmp_path: Path) -> None:
    """Only a directory is a configuration."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "billing.d").write_text("")
    (tmp_path / "billing.d").mkdir()
    assert find_config(None, {}, inner) == tmp_path / "billing.d"


def test_a_named_directory_that_is_missing_exits_3(shell: Shell) -> None:
    """--config of a directory that is not there is an error of the configuration."""
    assert shell("validate", "--config", "nowhere").code == 3


def test_a_valid_catalogue_is_counted(shell: Shell) -> None:
    """Success says what was found, in words."""
    write(SIMPLE + "meters: {calls: {name: Calls}}\n")
    write(
        "credit_packs: {one: {name: One, credits: 1, price: 1}, two: {name: Two, credits: 2, price: 2}}\n", "packs.yaml"
    )
    assert shell("validate").out.splitlines()[-1] == "OK: 1 plan, 2 packs, 1 meter."


def test_text_shows_the_line_and_concise_does_not(shell: Shell) -> None:
    """The form text has the source line with a caret, concise one line and a remedy; both count at the end."""
    write(SIMPLE.replace("interval: month", "interval: moth"))
    full, concise = shell("validate"), shell("validate", "--format", "concise")
    assert (full.code, concise.code) == (3, 3)
    assert "^" in full.out
    assert "^" not in concise.out
    assert full.out.splitlines()[-1] == concise.out.splitlines()[-1] == "1 error"


def test_json_is_valid_json_in_both_cases(shell: Shell) -> None:
    """JSON says valid or not, and lists code, range and path of each problem."""
    write(SIMPLE)
    assert json.loads(shell("validate", "--format", "json").out)["valid"] is True
    write(SIMPLE.replace("interval: month", "interval: moth"))
    document = json.loads(shell("validate", "--format", "json").out)
    assert (document["valid"], document["error_count"]) == (False, 1)
    assert document["diagnostics"][0]["range"]["filename"] == "billing.d/all.yaml"


def test_github_gets_annotations(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """--format github writes workflow commands; in a GitHub job the text form adds them."""
    write(SIMPLE.replace("interval: month", "interval: moth"))
    alone = shell("validate", "--format", "github")
    assert alone.out.startswith("::error file=billing.d/all.yaml,line=7,col=")
    assert "::error" not in shell("validate").out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    both = shell("validate").out
    assert both.endswith(alone.out)
    assert "^" in both


def test_an_annotation_cannot_begin_another(shell: Shell) -> None:
    """Line breaks, per cents, colons and commas of a file reach GitHub escaped."""
    write(SIMPLE.replace("name: Pro", 'name: Pro\n    "x%\\n::add-mask::,y": 1'))
    done = shell("validate", "--format", "github")
    assert all(line.startswith(("::error file=", "::warning file=")) for line in done.out.splitlines())
    assert "\n::add-mask" not in done.out
    assert "%25" in done.out


def test_a_configuration_can_be_checked_without_a_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validating looks at no key, not even at a wrong one."""
    write(SIMPLE)
    monkeypatch.setenv("STRIPE_API_KEY", "nonsense")
    assert shell("validate").code == 0
