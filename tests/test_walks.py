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


@pytest.mark.parametrize("heading", HEADINGS)
def test_every_step_is_taken_by_code_of_another_step_or_by_a_table(repository, heading):
    """Its name stands in a file of the walk before it, but where a name in a config leads there."""
    steps = steps_of(repository, heading)
    by_name = {"evaluate", "crop_image", "TwoDASLMethod", "TwoDASLFamily", "train", "stage"}
    by_name |= {"experiment_settings", "train_step", "landmarks68_2d"}
    unused = []
    for number, (file, name) in enumerate(steps[1:], 1):
        earlier = {repository / other for other, _ in steps[: number + 1]}
        uses = sum(len(re.findall(rf"\b{name}\b", path.read_text())) for path in earlier)
        if name not in by_name and uses < 2:  # once where it is defined
            unused.append(f"{file}:{name}")
    assert not unused
