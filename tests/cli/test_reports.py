"""What programs of a pipeline read of ``validate``: SARIF, JUnit, GitLab Code Quality, GitHub annotations."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diagnostics import Diagnostic, Related, Severity, SourceRange
from reconciler.diagnostics.annotations import render_github
from reconciler.diagnostics.codequality import render_gitlab
from reconciler.diagnostics.codes import EXPLANATIONS
from reconciler.diagnostics.junit import render_junit
from reconciler.diagnostics.sarif import render_sarif

from .support import SIMPLE, Shell, write

HOSTILE = "x](https://evil.example) <script>`a` ]]> & \x1b[2J\n::add-mask::secret\r@team \u202e%"
PLACES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["artifactLocation", "region"],
    "properties": {
        "artifactLocation": {
            "type": "object",
            "additionalProperties": False,
            "required": ["uri"],
            "properties": {"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~%/-]+$"}},
        },
        "region": {
            "type": "object",
            "additionalProperties": False,
            "required": ["startLine", "startColumn"],
            "properties": {
                name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endLine", "endColumn")
            },
        },
    },
}
TEXT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
}
#: What SARIF 2.1.0 says about the parts that are written, closed: anything else would be unknown to it.
SARIF: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs", "$schema"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "artifacts": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"location": PLACES["properties"]["artifactLocation"]},
                        },
                    },
                    "tool": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "semanticVersion": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                                "help": TEXT,
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["message"],
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": TEXT,
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {"physicalLocation": PLACES},
                                    },
                                },
                                "relatedLocations": {
                                    "type": "array",
                                    "uniqueItems": True,
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {
                                            "id": {"type": "integer", "minimum": 0},
                                            "physicalLocation": PLACES,
                                            "message": TEXT,
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}

JUDGE = jsonschema.Draft202012Validator(SARIF)

texts = st.text(min_size=1, max_size=30) | st.just(HOSTILE)
places = st.builds(
    lambda file, line, column, more, wide: SourceRange(file, line, column, line + more, column + wide),
    st.sampled_from(["billing.d/a.yaml", "billing.d/b c#%.yaml", "billing.d/é.yaml"]),
    *(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2), st.integers(0, 9)),
)
problems = st.lists(
    st.builds(
        Diagnostic,
        code=st.sampled_from(sorted(EXPLANATIONS)),
        summary=texts,
        range=st.none() | places,
        severity=st.sampled_from(Severity),
        path=st.sampled_from(["", "/plans/pro"]),
        help=st.none() | texts,
        related=st.lists(st.builds(Related, places, texts), max_size=2).map(tuple),
    ),
    max_size=5,
)


def sarif(found: list[Diagnostic], files: list[str]) -> dict[str, Any]:
    """Write SARIF, check its form, and return its run."""
    document = json.loads(render_sarif(found, files))
    JUDGE.validate(document)
    run: dict[str, Any] = document["runs"][0]
    return run


@given(problems)
def test_sarif_is_sarif_whatever_is_found(found: list[Diagnostic]) -> None:
    """The document has the form of SARIF, and each result its rule, place and words, none of which is a link."""
    run = sarif(found, ["billing.d/z.yaml"])
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({each.code for each in found})
    assert len(run["results"]) == len(set(found))
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert not re.search(r"\]\(", result["message"]["text"])
        for location in result.get("locations", []):
            region = location["physicalLocation"]["region"]
            ends = (region.get("endLine", region["startLine"]), region.get("endColumn", region["startColumn"]))
            assert ends >= (region["startLine"], region["startColumn"])
    for rule in rules:
        assert EXPLANATIONS[rule["id"]].title == rule["shortDescription"]["text"]


@given(problems)
def test_junit_is_xml_whatever_is_found(found: list[Diagnostic]) -> None:
    """The document parses, has a case per file, and a failure per error with its code."""
    text = render_junit(found, ["billing.d/a.yaml", "billing.d/good.yaml"])
    assert text.isascii()
    suite = ET.fromstring(text)[0]
    cases = {case.get("name"): case for case in suite}
    assert len(cases) == len(suite) == int(suite.get("tests", ""))
    assert list(cases["billing.d/good.yaml"]) == []
    errors = [each for each in set(found) if each.severity is Severity.ERROR]
    failures = [failure for case in suite for failure in case.iter("failure")]
    assert sorted(each.code for each in errors) == sorted(str(failure.get("type")) for failure in failures)
    assert sum(any(True for _ in case.iter("failure")) for case in suite) == int(suite.get("failures", ""))


@given(problems)
def test_gitlab_gets_a_fingerprint_for_each(found: list[Diagnostic]) -> None:
    """Every entry has the keys GitLab reads, a path, and a fingerprint of its own that no line counts in."""
    entries = json.loads(render_gitlab(found))
    assert len(entries) == len(set(found))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"]
        assert 1 <= entry["location"]["lines"]["begin"] <= entry["location"]["lines"]["end"]


def test_a_fingerprint_stays_when_the_line_moves() -> None:
    """A problem that moves down keeps its fingerprint in both forms; another problem has another."""
    one = Diagnostic("E0201", "unknown key 'x'", SourceRange("billing.d/a.yaml", 3, 1, 3, 2))
    moved = Diagnostic("E0201", "unknown key 'x'", SourceRange("billing.d/a.yaml", 9, 1, 9, 2))
    other = Diagnostic("E0201", "unknown key 'y'", SourceRange("billing.d/a.yaml", 3, 1, 3, 2))
    prints = [
        (
            json.loads(render_gitlab([each]))[0]["fingerprint"],
            sarif([each], [])["results"][0]["partialFingerprints"]["reconciler/v1"],
        )
        for each in (one, moved, other)
    ]
    assert prints[0] == prints[1]
    assert not set(prints[0]) & set(prints[2])


@given(problems)
def test_annotations_are_one_line_each(found: list[Diagnostic]) -> None:
    """Whatever is found, each line is one command, and its properties hold what they must and nothing more."""
    for line in render_github(found).splitlines():
        properties = re.fullmatch(r"::(?:error|warning) ((?:[a-zA-Z]+=[^,:]*,?)+)::[^\x00-\x1f]*", line)
        assert properties, line
        names = [part.partition("=")[0] for part in properties[1].split(",")]
        assert names[-1] == "title"
        assert set(names) <= {"file", "line", "col", "endLine", "endColumn", "title"}


def test_an_annotation_marks_the_range() -> None:
    """End line and end column are those of the range; over several lines there is no column at the end."""
    one = Diagnostic("E0201", "x", SourceRange("billing.d/a.yaml", 3, 5, 3, 9))
    assert render_github([one]) == "::error file=billing.d/a.yaml,line=3,col=5,endLine=3,endColumn=8,title=E0201::x\n"
    two = Diagnostic("E0201", "x", SourceRange("billing.d/a.yaml", 3, 5, 4, 1))
    assert render_github([two]) == "::error file=billing.d/a.yaml,line=3,col=5,endLine=4,title=E0201::x\n"


@pytest.mark.parametrize("form", ["github", "sarif", "junit", "gitlab"])
@pytest.mark.parametrize("variable", ["", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_files_are_named_from_the_top_of_the_repository(
    shell: Shell, form: str, variable: str, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    """A directory further down is named with the way to it, wherever the command runs; text names it as before."""
    write(SIMPLE.replace("name:", "nmae:"))
    (here / "shop").mkdir()
    (here / "billing.d").rename(here / "shop" / "billing.d")
    if variable:
        (here / ".git").rmdir()
        monkeypatch.setenv(variable, str(here))
    monkeypatch.chdir(here / "shop")
    done = shell("validate", "--format", form)
    assert (done.code, "shop/billing.d/all.yaml" in unquote(done.out)) == (3, True)
    assert shell("validate").out.startswith("billing.d/all.yaml:")


@pytest.mark.parametrize("form", ["sarif", "junit", "gitlab"])
def test_valid_files_give_a_whole_report(shell: Shell, form: str) -> None:
    """Where nothing is wrong the report is there, whole, with nothing in it that fails."""
    write(SIMPLE)
    done = shell("validate", "--format", form)
    assert (done.code, done.err) == (0, "")
    if form == "junit":
        suite = ET.fromstring(done.out)[0]
        assert [(case.get("name"), len(case)) for case in suite] == [("billing.d/all.yaml", 0)]
    elif form == "sarif":
        run = json.loads(done.out)["runs"][0]
        assert (run["results"], run["artifacts"]) == ([], [{"location": {"uri": "billing.d/all.yaml"}}])
    else:
        assert json.loads(done.out) == []


@pytest.mark.parametrize("form", ["sarif", "junit", "gitlab"])
def test_no_files_give_a_report_that_says_so(shell: Shell, form: str) -> None:
    """Without any configuration the report is no empty file but holds that problem."""
    done = shell("validate", "--format", form)
    assert (done.code, "E0168" in done.out) == (3, True)
