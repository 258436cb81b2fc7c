"""Comma-separated tables."""

import pytest

from twodasl_jax.user_files import table_file
from twodasl_jax.user_files.table_file import read_rows

EXPECTED = "expected a table of mine"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_rows_come_as_texts_without_the_empty_ones(tmp_path, start, end):
    lines = [b"name,note", b"", b'a.jpg,"one, two"', b'b.jpg,"says ""no"""']
    (tmp_path / "t.csv").write_bytes(start + end.join(lines))
    assert read_rows(tmp_path / "t.csv", expected=EXPECTED) == [
        ["name", "note"],
        ["a.jpg", "one, two"],
        ["b.jpg", 'says "no"'],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n\0,1\n", "no readable table (it holds zero bytes)"),
        (b'a,"never closed\n1,2', "no readable table (unexpected end of data)"),
        ("Müller,1\n".encode("latin-1"), "or a text in another encoding than UTF-8"),
        (b"PK\x03\x04\xff\xff", "is a zip archive, or a text in another encoding"),
    ],
)
def test_what_is_no_table_is_told_with_what_was_expected(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.csv") as refused:
        read_rows(tmp_path / "t.csv", expected=EXPECTED)
    assert message in str(refused.value)
    assert str(refused.value).endswith(EXPECTED)


def test_a_table_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "LARGEST_TABLE_BYTES", 10)
    (tmp_path / "t.csv").write_text("12345678901")
    with pytest.raises(ValueError, match="has 11 bytes, more than 10; expected a table"):
        read_rows(tmp_path / "t.csv", expected=EXPECTED)
