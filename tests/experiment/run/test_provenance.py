"""Where numbers come from."""

import hashlib
import re
import subprocess

from twodasl_jax.experiment.run.provenance import git_revision, sha256_of


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_checkouts_revision_and_its_changes(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    revision = git_revision(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", revision)
    (tmp_path / "file").write_text("b")
    assert git_revision(tmp_path) == f"{revision}-dirty"


def test_without_a_checkout_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) is None
    assert git_revision(tmp_path / "absent") is None


def test_a_package_installed_inside_a_repository_is_not_of_it(tmp_path):
    installed = tmp_path / ".venv" / "package"
    installed.mkdir(parents=True)
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "-m", "first")
    (installed / "module.py").write_text("")
    assert git_revision(tmp_path) is not None
    assert git_revision(installed) is None


def test_checksum(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
