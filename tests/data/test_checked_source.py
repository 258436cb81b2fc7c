import logging

import cv2
import numpy as np
import pytest

from twodasl_jax.data.checked_source import CheckedSource, check_element


def face(number=0, **changes):
    return {
        "image": np.zeros((120, 120, 3), np.uint8),
        "coefficients": np.full(62, number, np.float32),
        "landmarks18": np.zeros((18, 2), np.float32),
        "landmark18_weights": np.ones(18, np.float32),
    } | changes


def broken(values, index):
    values = values.copy()
    values.flat[index] = np.nan
    return values


class Source:
    """Faces told apart by their coefficients; `bad` says what reading a face raises."""

    def __init__(self, count, bad):
        self.count, self.bad, self.visits = count, bad, 0

    def __len__(self):
        return self.count

    def record_name(self, index):
        return f"face {index}"

    def __getitem__(self, index):
        self.visits += 1
        if index in self.bad:
            raise self.bad[index]
        return face(index)


def unreadable(numbers):
    return {int(number): ValueError(f"picture {number} is unreadable") for number in numbers}


def numbers(source, indices):
    return [int(source[index]["coefficients"][0]) for index in indices]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((112, 112, 3), np.uint8)}, r"\(112, 112, 3\) uint8; expected \(120"),
        ({"image": np.zeros((120, 120, 3), np.float32)}, "float32; expected"),
        ({"coefficients": broken(np.zeros(62), 40)}, "coefficients holds NaN"),
        ({"landmarks18": broken(np.zeros((18, 2)), 3)}, "landmarks18 holds NaN"),
        ({"landmark18_weights": np.full(18, np.inf)}, "landmark18_weights holds NaN or infinity"),
    ],
)
def test_what_is_wrong_with_a_face_is_named(changes, message):
    check_element(face())
    with pytest.raises(ValueError, match=message):
        check_element(face(**changes))


@pytest.mark.parametrize(
    "error", [ValueError("size"), OSError("cut short"), RuntimeError("crc"), cv2.error("decode")]
)
def test_the_next_good_record_comes_in_a_bad_ones_place(error, caplog):
    source = CheckedSource(Source(50, {3: error, 4: error, 49: error}), name="crops")
    assert len(source) == 50
    assert numbers(source, [2, 3, 4, 5, 49, 3]) == [2, 5, 5, 5, 0, 5]
    assert numbers(source, np.arange(3, 5)) == [5, 5]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3, "each bad record is logged once"
    assert messages[0].startswith(
        f"crops: bad record face 3 (number 3): {error} (1 bad of 2 visited"
    )
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_what_tfds_raises_on_a_broken_picture_is_put_in_words(caplog):
    error = AttributeError("'NoneType' object has no attribute 'astype'")
    assert numbers(CheckedSource(Source(50, {3: error}), name="crops"), [3]) == [4]
    assert "number 3): it seems that its picture cannot be decoded ('NoneType'" in caplog.text


def test_a_bad_record_is_read_once():
    source = Source(50, unreadable([3]))
    checked = CheckedSource(source, name="crops")
    checked[3], checked[3]
    assert source.visits == 3


def test_faces_that_would_poison_a_batch_are_bad_records(caplog):
    class Poisoned(Source):
        def __getitem__(self, index):
            element = super().__getitem__(index)
            bad = {1: {"landmarks18": broken(element["landmarks18"], 0)},
                   5: {"image": element["image"][:100]}}  # fmt: skip
            return element | bad.get(index, {})

    assert numbers(CheckedSource(Poisoned(50, {}), name="crops"), range(7)) == [0, 2, 2, 3, 4, 6, 6]
    assert "number 1): landmarks18 holds NaN" in caplog.text
    assert "number 5): the image is (100, 120, 3) uint8" in caplog.text


def test_names_are_the_sources_own(caplog):
    class Named(Source):
        def record_name(self, index):
            return f"face{index}.png"

    CheckedSource(Named(50, unreadable([7])), name="crops")[7]
    assert "bad record face7.png (number 7): picture 7" in caplog.text


def test_more_than_a_hundredth_stop_the_run():
    """2,000 faces, the first thousand good: of them all 20 may be bad, the 21st may not."""
    bad = unreadable(range(1000, 2000, 20))
    source = CheckedSource(Source(2000, bad), name="crops")
    numbers(source, range(1000))
    # 10 are borne at any time; the eleventh is one of 1,201, which bear 12.
    with pytest.raises(ValueError, match=r"crops: bad record face (\d+) .*over 1%.*first ones"):
        numbers(source, range(1000, 2000))
    found = sum(source._visited[list(bad)])
    assert found == 13
    assert source._visited.sum() == 1241


def test_in_a_small_source_a_tenth_is_borne():
    source = CheckedSource(Source(40, unreadable([1, 2, 3, 4, 20])), name="crops")
    assert numbers(source, [1]) == [5]
    with pytest.raises(ValueError, match=r"bad record face 20 .*5 bad of 6 visited, 40 in all"):
        source[20]
    with pytest.raises(ValueError, match="1 bad of 1 visited, 5 in all"):
        CheckedSource(Source(5, unreadable([0])), name="crops")[0]


def test_a_mistake_in_the_code_is_no_bad_record():
    with pytest.raises(KeyError):
        CheckedSource(Source(50, {0: KeyError("image")}), name="crops")[0]


def test_kept_faces_are_read_once():
    faces = Source(50, unreadable([2]))
    kept = CheckedSource(faces, name="crops", keep=True)
    assert numbers(kept, [0, 1, 2, 3]) == [0, 1, 3, 3]
    visits = faces.visits
    assert numbers(kept, [0, 1, 2, 3]) == [0, 1, 3, 3]
    assert faces.visits == visits
    not_kept = CheckedSource(faces, name="crops")
    assert numbers(not_kept, [0, 0]) == [0, 0]
    assert faces.visits == visits + 2
