"""The walks of docs/architecture.md lead through functions that exist and that are used."""

import ast
import re

import pytest

HEADINGS = (
    "A photograph, from run.py to the printed number",
    "A loss, from its name in a config to its gradient",
)


def steps_of(repository, heading):
    text = (repository / "docs" / "architecture.md").read_text()
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w/.]+):(\w+)`$", section, flags=re.M)


def definitions(path):
    """Names of the functions and classes of a module."""
    kinds = ast.FunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_walk_goes_through_what_there_is(repository, heading):
    steps = steps_of(repository, heading)
    assert len(steps) > 10
    missing = [
        f"{file}:{name}" for file, name in steps if name not in definitions(repository / file)
    ]
    assert not missing


def references(path):
    """Names that a module's code uses: not those that it defines, not words of comments."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


BY_A_TABLE = {"main", "evaluate", "train", "landmarks68_2d", "TwoDASLMethod", "TwoDASLFamily"}
"""Reached from the command line, or by a name in MODES, BENCHMARKS or METHODS."""


@pytest.mark.parametrize("heading", HEADINGS)
def test_every_step_is_taken_by_the_code_of_those_before_it(repository, heading):
    steps = steps_of(repository, heading)
    unused = [
        f"{file}:{name}"
        for number, (file, name) in enumerate(steps[1:], 1)
        if name not in BY_A_TABLE
        and not any(name in references(repository / other) for other, _ in steps[: number + 1])
    ]
    assert not unused
