import csv
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


@pytest.mark.parametrize("column", ["P3X", "YAW", "FACE_WIDTH", "SUBJECT_ID"])
def test_a_row_without_a_number_is_refused_when_it_is_read(original, column):
    folder = original("umdfaces")
    rows = read_rows(table(folder))
    rows[1][rows[0].index(column)] = "nan" if column == "P3X" else ""
    write_rows(table(folder), rows)
    with pytest.raises(ValueError, match=f"no number in the column {column}"):
        read_umdfaces(find_umdfaces(folder)["batch1"][0])
