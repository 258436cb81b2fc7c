"""The project's own files agree with each other."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import twodasl_jax


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def text_files(repository: Path) -> dict[str, str]:
    """Every text file that git tracks or would track, by name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("left out: needs a git checkout to know which files belong to the project")
    files = {}
    for name in listed.stdout.splitlines():
        try:
            files[name] = (repository / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return files


def constraint_lines(repository: Path) -> list[str]:
    lines = (repository / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_names_and_versions_only(repository):
    for line in constraint_lines(repository):
        assert re.fullmatch(r'[a-z0-9-]+==[0-9][0-9a-z.]*( ; python_version < "3\.12")?', line), (
            line
        )
    assert "://" not in (repository / "constraints.txt").read_text()


def test_every_dependency_is_pinned(repository, project):
    pinned = {Requirement(line).name for line in constraint_lines(repository)}
    extras = project["optional-dependencies"]
    tests = [Requirement(line) for line in extras["test"]]
    (own,) = (requirement for requirement in tests if requirement.name == project["name"])
    wanted = project["dependencies"] + [line for extra in own.extras for line in extras[extra]]
    names = {Requirement(line).name for line in wanted} | {
        requirement.name for requirement in tests if requirement is not own
    }
    assert {normalised(name) for name in names} <= pinned


def test_pins_satisfy_the_projects_own_bounds(repository, project):
    pins = {
        Requirement(line).name: next(iter(Requirement(line).specifier)).version
        for line in constraint_lines(repository)
    }
    for line in project["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[normalised(requirement.name)]), line


def test_the_extras_are_those_that_users_of_jax_expect(project):
    extras = project["optional-dependencies"]
    assert set(extras) >= {"cuda", "tpu", "test", "bench"}
    assert any(line.startswith("jax[cuda") for line in extras["cuda"])
    assert any(line.startswith("jax[tpu") for line in extras["tpu"])


def test_one_version_everywhere(repository, project):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    assert twodasl_jax.__version__ == project["version"] == str(citation["version"])
    assert f"## [{project['version']}]" in (repository / "CHANGELOG.md").read_text()


def test_the_citation_has_what_the_format_requires(repository):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    for entry in (citation, *citation["references"]):
        assert entry["title"]
        assert entry["authors"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == "Apache-2.0"
    assert "1903.09359" in str(citation["references"])


def test_the_licence_is_apache_2(repository, project):
    text = (repository / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert project["license"] == "Apache-2.0"


def test_no_file_knows_the_machine_it_was_written_on(text_files):
    # Spelt in two parts, or this file would find itself.
    patterns = ["/wo" + "rk/", "/ho" + r"me/\w", "/Us" + r"ers/\w", "/tm" + "p/"]
    found = [
        f"{name}: {pattern}"
        for name, text in text_files.items()
        for pattern in patterns
        if re.search(rf"(?<![\w.]){pattern}", text)
    ]
    assert not found


def test_links_between_the_documents_lead_somewhere(repository, text_files):
    broken = [
        f"{name}: {target}"
        for name, text in text_files.items()
        if name.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in target and not ((repository / name).parent / target).exists()
    ]
    assert not broken


def test_commands_in_the_documents_name_configs_that_exist(repository, text_files):
    missing = [
        f"{name}: {config}"
        for name, text in text_files.items()
        if name.endswith(".md") or name.startswith("configs/")
        for config in re.findall(r"run\.py --config=(configs/\w+\.py)", text)
        if not (repository / config).exists()
    ]
    assert not missing


def test_hooks_run_local_tools_only(repository):
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
    assert [entry["repo"] for entry in hooks["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}


def test_the_check_is_executable_and_well_formed(repository):
    script = repository / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    for step in ("ruff check", "ruff format --check", "pyright", "pytest", "constraints.txt"):
        assert step in text, step
    installed = repository / ".ci" / "installed"
    assert '\nPYTHON="$venv/bin/python" .ci/installed\n' in text
    assert os.access(installed, os.X_OK)
    subprocess.run(["bash", "-n", installed], check=True)


def test_the_wheel_has_every_file_of_the_package(repository):
    """What is no module goes along only where pyproject.toml names it."""
    settings = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["twodasl_jax"]
    package = repository / "twodasl_jax"
    left_out = [
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
        if not any(path.relative_to(package).match(pattern) for pattern in patterns)
    ]
    assert not left_out
    assert "pretrained/*.npz" in patterns
