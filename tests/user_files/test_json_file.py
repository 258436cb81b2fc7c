import json

import pytest

from twodasl_jax.user_files.json_file import read_json, require_entries

EXPECTED = "expected a run's settings"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_an_object_is_read(tmp_path, encoding):
    value = {"a": [1, 2.5, None, True], "ä": {"b": "c"}}
    (tmp_path / "x.json").write_text(json.dumps(value, ensure_ascii=False), encoding=encoding)
    assert read_json(tmp_path / "x.json", expected=EXPECTED) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1, 2]", "holds a list instead of an object .*; expected"),
        (b"3", "holds a whole number"),
        (b"null", "holds null"),
        (b'"text"', "holds a text"),
        (b'{"a": NaN}', "holds NaN, which is no JSON number"),
        (b'{"a": [-Infinity]}', "holds -Infinity"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' comes more than once"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "expected a run's settings"),
        (b'{"a": 1', r"line 1: it is cut short, or no JSON"),
        (b'{"a": 1}}', "it is no JSON|cut short"),
        (b"<html>404</html>", "a web page"),
        (b'{"a": "\xe9"}', "no text in UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is UTF-16; .*saved as UTF-8"),
        (b"   \n", "it is cut short, or no JSON"),
    ],
)
def test_what_is_no_strict_object_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        read_json(tmp_path / "x.json", expected=EXPECTED)
    assert "x.json" in str(refused.value)
    assert EXPECTED in str(refused.value)


def test_entries_of_other_types_are_refused():
    value = {"a": 1, "b": "text", "c": True}
    require_entries("x.json", value, {"a": (int, float), "b": str, "c": bool}, advice="restore it")
    with pytest.raises(ValueError, match=r"x\.json lacks d, e; restore it"):
        require_entries("x.json", value, {"d": int, "a": int, "e": str}, advice="restore it")
    with pytest.raises(ValueError, match=r"x\.json: b is a text; expected a number: restore it"):
        require_entries("x.json", value, {"b": (int, float)}, advice="restore it")
    with pytest.raises(ValueError, match="c is a truth value; expected a whole number"):
        require_entries("x.json", value, {"c": int}, advice="restore it")
