"""What a report says of its making."""

import subprocess
from datetime import date

import pytest

from dreamcart.core import provenance
from dreamcart.core.provenance import NO_GIT, code_version, stamp


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """git(words) in a checkout with one file of code."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "dreamcart").mkdir()
    (tmp_path / "dreamcart" / "a.py").write_text("1\n")

    def git(*words: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    git.root = tmp_path
    return git


def test_the_commit_is_told_and_whether_the_code_was_changed_since(checkout):
    commit = checkout("rev-parse", "HEAD").strip()
    assert code_version() == commit[:12]
    (checkout.root / "metrics.json").write_text("{}")  # what a run writes is no change of the code
    assert code_version() == commit[:12]
    (checkout.root / "dreamcart" / "a.py").write_text("2\n")
    assert code_version() == commit[:12] + "+"


def test_without_git_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert code_version() == NO_GIT


def test_a_stamp_names_the_model_where_there_is_one(checkout):
    assert stamp("abc") == {
        "model": "abc",
        "code": code_version(),
        "date": date.today().isoformat(),
    }
    assert "model" not in stamp()
