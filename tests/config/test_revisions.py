"""The files as they stood at a git revision."""

import subprocess
from pathlib import Path

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.config.revisions import check_out
from reconciler.diagnostics import ReconcilerError

FILES = "settings: {namespace: acme, currency: usd}\nplans: {pro: {name: %s}}\n"


def git(root: Path, *words: str) -> None:
    """Run git in a repository, as nobody in particular."""
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository whose catalogue was changed since tag v1, with attributes that archives would obey."""
    root = tmp_path / "work"
    billing = root / "services" / "billing.d"
    (billing / "plans").mkdir(parents=True)
    git(root.parent, "init", "-q", "-b", "main", str(root))
    (root / ".gitattributes").write_text("*.yaml export-ignore\n")
    (billing / "plans" / "pro.yaml").write_text(FILES % "Old")
    (billing / "out.yaml").symlink_to("/etc/passwd")
    (root / "services" / "billing.d-other").mkdir()
    (root / "services" / "billing.d-other" / "decoy.yaml").write_text("decoy")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    git(root, "tag", "v1")
    (billing / "plans" / "pro.yaml").write_text(FILES % "New")
    git(root, "commit", "-qam", "two")
    return root


def test_files_are_those_of_the_revision(repository: Path, tmp_path: Path) -> None:
    """A tag gives the files of its commit under the directory's name, whatever the work tree or attributes say."""
    directory = check_out("v1", repository / "services" / "billing.d", tmp_path / "there")
    assert directory.name == "billing.d"
    assert [path.name for path in directory.rglob("*.yaml")] == ["pro.yaml"]
    assert load_catalog(directory).file.plans["pro"].name == "Old"


def test_nothing_of_the_work_tree_is_touched(repository: Path, tmp_path: Path) -> None:
    """Uncommitted edits stay, and HEAD is the last commit."""
    edited = repository / "services" / "billing.d" / "plans" / "pro.yaml"
    edited.write_text(FILES % "Edited")
    directory = check_out("HEAD", repository / "services" / "billing.d", tmp_path / "there")
    assert load_catalog(directory).file.plans["pro"].name == "New"
    assert "Edited" in edited.read_text()


@pytest.mark.parametrize("revision", ["nowhere", "--help", "-x", "v1:services", "", "v1\nHEAD"])
def test_what_is_no_revision_is_refused(repository: Path, tmp_path: Path, revision: str) -> None:
    """An unknown revision, an option in its place and a tree are refused by name."""
    with pytest.raises(ReconcilerError) as refused:
        check_out(revision, repository / "services" / "billing.d", tmp_path / "there")
    assert refused.value.code == "E1050"
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("revision", ["origin/main", "origin/main~0", "origin"])
def test_a_tag_cannot_take_the_name_of_a_branch(repository: Path, tmp_path: Path, revision: str) -> None:
    """Where a pushed tag has the name of the server's branch git would take the tag: refused, unless named in full."""
    git(repository, "update-ref", "refs/remotes/origin/main", "v1")
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    billing = repository / "services" / "billing.d"
    assert load_catalog(check_out(revision, billing, tmp_path / "alone")).file.plans["pro"].name == "Old"
    git(repository, "tag", revision.removesuffix("~0"), "HEAD")
    with pytest.raises(ReconcilerError) as refused:
        check_out(revision, billing, tmp_path / "there")
    assert (refused.value.code, "refs/tags/origin" in refused.value.message) == ("E1052", True)
    meant = check_out("refs/remotes/origin/main", billing, tmp_path / "there")
    assert load_catalog(meant).file.plans["pro"].name == "Old"


def test_a_revision_without_the_directory_is_refused(repository: Path, tmp_path: Path) -> None:
    """A directory that the revision does not have is named; one whose name only begins alike is another."""
    (repository / "services" / "billing").mkdir()
    with pytest.raises(ReconcilerError) as refused:
        check_out("v1", repository / "services" / "billing", tmp_path / "there")
    assert refused.value.code == "E1051"


def test_outside_a_repository_there_are_no_revisions(tmp_path: Path) -> None:
    """Without a repository the refusal is git's own, in one line."""
    with pytest.raises(ReconcilerError) as refused:
        check_out("HEAD", tmp_path / "billing.d", tmp_path / "there")
    assert refused.value.code == "E1050"
    assert "\n" not in refused.value.message
