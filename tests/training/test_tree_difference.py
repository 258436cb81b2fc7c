"""Differences of trees, in words."""

import numpy as np

from twodasl_jax.training.tree_difference import (
    differences,
    first_lines,
    shapes_by_name,
    values_by_name,
)


def test_arrays_are_named_by_their_path():
    tree = {"head": {"bias": np.zeros(62, np.float32)}, "list": [np.int32(1)]}
    assert shapes_by_name(tree) == {"head/bias": "float32(62,)", "list/0": "int32()"}


def test_values_are_named_as_a_config_s_flags_are():
    config = {"data": {"batch_size": 32, "limit": None}, "stages": [{"name": "a"}, {"name": "b"}]}
    assert values_by_name(config) == {
        "data.batch_size": "32",
        "data.limit": "None",
        "stages[0].name": "'a'",
        "stages[1].name": "'b'",
    }


def test_only_what_differs_is_told_sorted_and_with_what_is_absent():
    saved, wanted = {"a": "1", "same": "0", "z": "2"}, {"b": "3", "same": "0", "z": "4"}
    assert differences(saved, wanted) == ["a: 1 | absent", "b: absent | 3", "z: 2 | 4"]


def test_of_many_lines_the_first_eight_are_shown_and_the_others_counted():
    lines = [f"line {number}" for number in range(10)]
    assert first_lines(lines[:8]).split("\n  ") == lines[:8]
    assert first_lines(lines).split("\n  ") == [*lines[:8], "... and 2 more"]
