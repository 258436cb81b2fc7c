"""Held-out faces: a fixed rule, and no face on both sides."""

import numpy as np
import pytest

from twodasl_jax.data.held_out import SubsetSource, hold_out, rows_of_part, without_faces


class Faces:
    """Faces that are their own numbers."""

    def __init__(self, numbers):
        self._numbers = list(numbers)
        self.coefficients = np.repeat(np.array(self._numbers, np.float32)[:, None], 62, axis=1)

    def __len__(self):
        return len(self._numbers)

    def __getitem__(self, index):
        return {"number": np.array(self._numbers[int(index)])}

    def record_name(self, index):
        return f"number {self._numbers[index]}"

    def identities(self):
        return [f"face {number}" for number in self._numbers]


def numbers(source):
    return [int(source[index]["number"]) for index in range(len(source))]


def test_every_third_face_is_held_out_the_same_ones_each_time():
    held = hold_out(Faces(range(10)), every=3)
    assert numbers(held) == [2, 5, 8]
    assert numbers(hold_out(Faces(range(10)), every=3)) == numbers(held)
    assert held.identities() == ["face 2", "face 5", "face 8"]
    np.testing.assert_array_equal(held.coefficients[:, 0], [2, 5, 8])


def test_no_held_out_face_is_left_in_any_source():
    source, other, apart = Faces(range(10)), Faces([8, 20, 2, 21]), Faces([30, 31])
    held = hold_out(source, every=3)
    left = without_faces([source, other, apart], set(held.identities()))
    assert [numbers(one) for one in left] == [[0, 1, 3, 4, 6, 7, 9], [20, 21], [30, 31]]
    assert left[2] is apart
    np.testing.assert_array_equal(left[0].coefficients[:, 5], [0, 1, 3, 4, 6, 7, 9])


@pytest.mark.parametrize("every", [0, 1, 11])
def test_a_rule_that_leaves_one_side_empty_is_refused(every):
    with pytest.raises(ValueError, match=f"every {every}th of 10 faces cannot be held out"):
        hold_out(Faces(range(10)), every=every)


def test_a_subset_names_its_faces_as_the_source_does():
    assert SubsetSource(Faces([5, 6, 7]), np.array([2, 0])).record_name(0) == "number 7"


def test_parts_are_disjoint_nested_and_of_about_their_size():
    names = [f"image{number:05d}.jpg" for number in range(2000)]
    fifth, rest = rows_of_part(names, (0.0, 0.2)), rows_of_part(names, (0.2, 1.0))
    assert not set(fifth) & set(rest)
    assert len(fifth) + len(rest) == 2000
    assert abs(len(fifth) - 400) < 60  # three standard deviations of a binomial are 54
    assert set(rows_of_part(names, (0.2, 0.6))) < set(rest)
    # Of the same names in another folder, in another order.
    back = rows_of_part(names[::-1], (0.0, 0.2))
    assert {names[::-1][row] for row in back} == {names[row] for row in fifth}


@pytest.mark.parametrize("part", [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match=r"expected two shares, 0 <= from < to <= 1"):
        rows_of_part(["a", "b"], part)


def test_a_part_without_faces_is_refused():
    with pytest.raises(ValueError, match="holds none of 1 faces"):
        rows_of_part(["a"], (0.0, 1e-9))
