"""The table as it is found: saved again by a spreadsheet, joined, cut, mistyped."""

import csv
import io

import numpy as np
import pytest

from twodasl_jax.data.original.umdfaces_table import NUMBER_COLUMNS, read_table

HEADER = ["SUBJECT_ID", "FILE", "FRAME", *NUMBER_COLUMNS, "PR_MALE", "PR_FEMALE"]


def cells(number):
    numbers = [f"{number + index / 8:.3f}" for index in range(len(NUMBER_COLUMNS))]
    return [str(number), f"subject/{number}.jpg", "0", *numbers, "0.5", "0.5"]


ROWS = [HEADER, cells(1), cells(2), cells(3)]


def text_of(rows, **options):
    text = io.StringIO()
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


@pytest.fixture
def table(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "umdfaces_batch1_ultraface.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def assert_three(rows):
    assert [row.path for row in rows] == [f"subject/{n}.jpg" for n in (1, 2, 3)]
    assert [row.subject_id for row in rows] == [1, 2, 3]
    for number, row in zip((1, 2, 3), rows, strict=True):
        # Eighths below 16: exact in three decimals and in float32.
        np.testing.assert_array_equal(row.numbers, number + np.arange(70, dtype=np.float32) / 8)


PLAIN = text_of(ROWS)
SPELLINGS = {
    "as published": (PLAIN, "utf-8-sig"),
    "without a mark": (PLAIN, "utf-8"),
    "UTF-16": (PLAIN, "utf-16"),
    "UTF-16, big end first": ("\ufeff" + PLAIN, "utf-16-be"),
    "one line end": (text_of(ROWS, lineterminator="\n"), "utf-8"),
    "an old Mac's line end": (text_of(ROWS, lineterminator="\r"), "utf-8"),
    "no line end at last": (PLAIN.rstrip(), "utf-8"),
    "blank last lines": (PLAIN + "\r\n\n  \n\t\n", "utf-8"),
    "empty cells at last": (PLAIN + "," * (len(HEADER) - 1) + "\n,,\n", "utf-8"),
    "blank lines between": (PLAIN.replace("\r\n", "\n\n"), "utf-8"),
    "blank first line": ("\n\n" + PLAIN, "utf-8"),
    "semicolons": (text_of(ROWS, delimiter=";"), "utf-8"),
    "tabs": (text_of(ROWS, delimiter="\t"), "utf-8"),
    "tabs in UTF-16": (text_of(ROWS, delimiter="\t"), "utf-16"),
    "semicolons and blank lines": (text_of(ROWS, delimiter=";") + ";;;\n\n", "utf-8-sig"),
    "quoted": (text_of(ROWS, quoting=csv.QUOTE_ALL), "utf-8-sig"),
    "quoted, semicolons": (text_of(ROWS, quoting=csv.QUOTE_ALL, delimiter=";"), "utf-16"),
    "spaces": (PLAIN.replace(",", " , "), "utf-8"),
    "lower case": (PLAIN.lower(), "utf-8"),
    "a mark at every line's end": (PLAIN.replace("\r\n", ",\r\n"), "utf-8"),
    "a mark at the rows' ends": (PLAIN.replace("0.5\r\n", "0.5,\r\n"), "utf-8"),
    "two tables": (PLAIN + PLAIN, "utf-8"),
    "two tables, a mark at every end": (2 * PLAIN.replace("\r\n", ",\r\n"), "utf-8"),
    "two tables, each with its mark": ("\ufeff" + PLAIN + "\ufeff" + PLAIN, "utf-8"),
    "two marks": ("\ufeff\ufeff" + PLAIN, "utf-8"),
    "DOS's end of a file": (PLAIN + "\x1a", "utf-8"),
    "rows twice": (text_of([*ROWS, ROWS[1], ROWS[2]]), "utf-8"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_faces(table, spelling):
    assert_three(read_table(table(*SPELLINGS[spelling])))


def test_rows_that_are_there_twice_are_told_once(table, caplog):
    read_table(table(PLAIN))
    assert not caplog.records
    read_table(table(text_of([*ROWS, ROWS[1], ROWS[1], ROWS[3]])))
    assert [record.getMessage() for record in caplog.records] == [
        "umdfaces_batch1_ultraface.csv: 3 times a row is there once more, first in line 5; each "
        "counts once"
    ]


def test_two_faces_of_one_photograph_stay_two(table):
    second = cells(1)
    second[HEADER.index("FACE_X")] = "99"
    rows = read_table(table(text_of([*ROWS, second])))
    assert [row.path for row in rows].count("subject/1.jpg") == 2


@pytest.mark.parametrize("column", ["SUBJECT_ID", "FRAME", "YAW", "PITCH", "ROLL", "PR_FEMALE"])
def test_columns_that_no_face_needs_may_be_absent(table, column):
    gone = HEADER.index(column)
    rows = read_table(table(text_of([[*row[:gone], *row[gone + 1 :]] for row in ROWS])))
    assert [row.path for row in rows] == [f"subject/{n}.jpg" for n in (1, 2, 3)]
    lacking = np.isnan(rows[0].numbers)
    expected = [column] if column in NUMBER_COLUMNS else []
    assert [name for name, nan in zip(NUMBER_COLUMNS, lacking, strict=True) if nan] == expected
    assert rows[2].subject_id == (-1 if column == "SUBJECT_ID" else 3)


@pytest.mark.parametrize("value", ["", "x", "inf", "nan", "-7", "1e12"])
def test_a_subject_that_is_no_number_is_unknown(table, value):
    row = [value, *cells(1)[1:]]
    assert read_table(table(text_of([HEADER, row])))[0].subject_id == -1


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "1e300", "(12)"])
def test_a_cell_without_a_number_is_left_to_its_face(table, value):
    row = cells(1)
    row[HEADER.index("P3X")] = value
    rows = read_table(table(text_of([HEADER, row, cells(2)])))
    assert len(rows) == 2
    np.testing.assert_array_equal(
        np.flatnonzero(~np.isfinite(rows[0].numbers)), [NUMBER_COLUMNS.index("P3X")]
    )


def test_names_in_latin_1_keep_their_bytes(table):
    row = [cells(1)[0], "café/1.jpg", *cells(1)[2:]]
    path = table(text_of([HEADER, row]), "latin-1")
    assert read_table(path)[0].path == "caf\udce9/1.jpg"
    assert read_table(table(text_of([HEADER, row])))[0].path == "café/1.jpg"


CUT = PLAIN[: PLAIN.rindex(",") - 30]
WITHOUT_P9Y = PLAIN.replace("P9Y", "P9Z")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n\n", r"lacks the column FILE \(and 67 others\) in its first line"),
        (PLAIN.split("\r\n")[0], "has a header and no faces"),
        (PLAIN.split("\r\n")[0] + "\n\n,,,\n", "has a header and no faces"),
        (CUT, r"line 4, has \d+ columns; expected 75"),
        (PLAIN.replace("subject/2.jpg", "subject,2.jpg"), "line 3, has 76 columns; expected 75"),
        (PLAIN.replace("subject/2.jpg", '"subject/2.jpg'), r"line \d, has \d+ columns"),
        (WITHOUT_P9Y, r"lacks the column P9Y \(and 0 others\)"),
        (PLAIN.replace("P9Y", "P8Y"), "lacks the column P9Y"),
        (PLAIN.replace("FRAME", "P9Y"), "has the column P9Y twice"),
        (PLAIN.replace(",", "|"), "between commas, semicolons or tabs"),
        ("sep=;\n" + text_of(ROWS, delimiter=";"), "lacks the column FILE"),
        (PLAIN.encode("utf-16-le"), "line 1, holds zero bytes"),
        (PLAIN.encode("utf-16")[:-1], "is no UTF-8 and no UTF-16 text"),
        (PLAIN.encode("utf-32"), "is no UTF-8 and no UTF-16|lacks the column|zero bytes"),
        (bytes(range(1, 256)) * 30, "lacks the column FILE"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "holds zero bytes"),
        (
            text_of(ROWS, delimiter=";").replace("1.000", "1,000"),
            r"line 2, holds 1,000: .*decimal comma",
        ),
        (PLAIN + '"' + "x" * 200_000, "line 5.*field larger than field limit"),
    ],
)
def test_the_rest_is_refused_with_its_line(table, content, message):
    with pytest.raises(ValueError, match=rf"umdfaces_batch1_ultraface\.csv.*({message})"):
        read_table(table(content))
