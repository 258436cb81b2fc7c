import csv
import os
import shutil

import numpy as np
import pytest

from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.face_crop import roi_box_from_detection
from twodasl_jax.data.original.umdfaces import find_umdfaces, read_umdfaces


def table(folder, batch="batch1"):
    return folder / f"umdfaces_{batch}" / f"umdfaces_{batch}_ultraface.csv"


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def write_rows(path, rows, *, encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(rows)


def test_batches_are_splits_in_the_order_of_their_rows(original):
    folder = original("umdfaces")
    rows = read_rows(table(folder))
    write_rows(table(folder), [rows[0], rows[2], rows[1]])
    splits = find_umdfaces(folder)
    assert list(splits) == ["batch1", "batch2", "batch3"]
    assert [face.file_name for face in splits["batch1"]] == [
        f"umdfaces_batch1/subject_batch1/subject_batch1_{n:04d}.jpg" for n in (1, 0)
    ]


def test_one_face(original):
    folder = original("umdfaces")
    row = dict(zip(*read_rows(table(folder))[:2], strict=True))
    sample = read_umdfaces(find_umdfaces(folder)["batch1"][0])
    points = np.array([[float(row[f"P{i}X"]), float(row[f"P{i}Y"])] for i in range(1, 22)])
    # The table has three decimals, stored as float32 of some hundred px.
    np.testing.assert_allclose(sample["landmarks21_px"], points, atol=1e-4)
    np.testing.assert_allclose(
        crop_to_image(sample["landmarks21"], sample["roi_box"]), points, atol=1e-3
    )
    np.testing.assert_array_equal(
        sample["visibility"], [float(row[f"VIS{i}"]) for i in range(1, 22)]
    )
    assert sample["yaw_degrees"] == np.float32(row["YAW"])
    assert sample["pitch_degrees"] == np.float32(row["PITCH"])
    assert sample["roll_degrees"] == np.float32(row["ROLL"])
    x, y, width, height = (float(row[f"FACE_{name}"]) for name in ("X", "Y", "WIDTH", "HEIGHT"))
    expected = roi_box_from_detection(np.array([x, y, x + width, y + height]))
    # Rounded to the whole pixels that are cut.
    np.testing.assert_allclose(sample["roi_box"], expected, atol=0.5)
    np.testing.assert_array_equal(sample["roi_box"], np.round(sample["roi_box"]))


def test_columns_are_found_by_name_whatever_their_order(original):
    folder = original("umdfaces")
    expected = read_umdfaces(find_umdfaces(folder)["batch1"][0])
    rows = read_rows(table(folder))
    order = np.random.default_rng(0).permutation(len(rows[0]))
    # With the byte order mark that the published files begin with.
    write_rows(table(folder), [[row[i] for i in order] for row in rows], encoding="utf-8-sig")
    np.testing.assert_equal(read_umdfaces(find_umdfaces(folder)["batch1"][0]), expected)


def test_the_table_may_lie_beside_the_batch(original):
    folder = original("umdfaces")
    table(folder).rename(folder / table(folder).name)
    assert len(find_umdfaces(folder)["batch1"]) == 2


def test_the_first_missing_thing_is_named(original):
    folder = original("umdfaces")
    rows = read_rows(table(folder, "batch2"))
    renamed = ["P9Z" if name == "P9Y" else name for name in rows[0]]
    write_rows(table(folder, "batch2"), [renamed, *rows[1:]])
    with pytest.raises(ValueError, match=r"umdfaces_batch2_ultraface\.csv lacks the column P9Y"):
        find_umdfaces(folder)
    write_rows(table(folder, "batch2"), [rows[0], rows[1][:-1]])
    with pytest.raises(ValueError, match=r"line 2, has \d+ columns"):
        find_umdfaces(folder)
    write_rows(table(folder, "batch2"), rows[:1])
    with pytest.raises(ValueError, match="has a header and no faces"):
        find_umdfaces(folder)
    table(folder, "batch2").unlink()
    with pytest.raises(FileNotFoundError, match=r"no umdfaces_batch2_ultraface\.csv in"):
        find_umdfaces(folder)
    shutil.rmtree(folder / "umdfaces_batch2")
    with pytest.raises(FileNotFoundError, match=r"no folder .*umdfaces_batch2"):
        find_umdfaces(folder)


def spoil(folder, **cells):
    rows = read_rows(table(folder))
    for column, value in cells.items():
        rows[1][rows[0].index(column)] = value
    write_rows(table(folder), rows)
    return find_umdfaces(folder)["batch1"][0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"FACE_WIDTH": ""}, "no number in the column FACE_WIDTH"),
        ({"FACE_X": "inf"}, "no number in the column FACE_X"),
        ({f"P{i}X": "" for i in range(1, 22)}, "no position of any of the 21 points"),
        ({"FACE_WIDTH": "-3"}, "expected .*x1 < x2"),
        ({"FILE": ""}, "umdfaces_batch1 is a folder"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_when_it_is_read(original, cells, message):
    face = spoil(original("umdfaces"), **cells)
    with pytest.raises((ValueError, OSError), match=message):
        read_umdfaces(face)


@pytest.mark.parametrize("column", ["YAW", "PITCH", "ROLL", "SUBJECT_ID"])
def test_a_number_that_no_face_needs_costs_itself(original, column):
    folder = original("umdfaces")
    whole = read_umdfaces(find_umdfaces(folder)["batch1"][0])
    sample = read_umdfaces(spoil(folder, **{column: "unknown"}))
    assert sample.pop("lacking") == {column: "is no number"}
    assert whole.pop("lacking") == {}
    lost = "subject_id" if column == "SUBJECT_ID" else f"{column.lower()}_degrees"
    assert sample[lost] == -1 if column == "SUBJECT_ID" else np.isnan(sample[lost])
    del sample[lost], whole[lost]
    np.testing.assert_equal(sample, whole)


@pytest.mark.parametrize("column", ["P3X", "P3Y", "VIS3"])
def test_a_point_without_its_numbers_is_not_visible(original, column):
    folder = original("umdfaces")
    whole = read_umdfaces(find_umdfaces(folder)["batch1"][0])
    assert whole["visibility"][2] == 1
    sample = read_umdfaces(spoil(folder, **{column: "nan"}))
    assert sample["lacking"] == {"point": "3 has not its three numbers"}
    assert sample["visibility"][2] == 0
    np.testing.assert_array_equal(
        np.delete(sample["landmarks21"], 2, 0), np.delete(whole["landmarks21"], 2, 0)
    )
    assert np.isnan(sample["landmarks21_px"][2]).all() == (column != "VIS3")


def test_upper_case_and_latin_1(original):
    folder = original("umdfaces")
    root = folder / "umdfaces_batch1"
    expected = read_umdfaces(find_umdfaces(folder)["batch1"][0])
    rows = read_rows(table(folder))
    first, second = (root / row[rows[0].index("FILE")] for row in rows[1:3])
    first.rename(first.with_suffix(".JPG"))
    second.rename(os.fsdecode(os.fsencode(second.parent) + b"/caf\xe9.jpg"))
    rows[2][rows[0].index("FILE")] = f"{second.parent.name}/café.jpg"
    write_rows(table(folder), rows, encoding="latin-1")
    faces = find_umdfaces(folder)["batch1"]
    np.testing.assert_equal(read_umdfaces(faces[0]), expected)
    sample = read_umdfaces(faces[1])
    assert sample["file_name"] == r"umdfaces_batch1/subject_batch1/caf\xe9.jpg"
    assert sample["image"].std() > 5
