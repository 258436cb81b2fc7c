import contextlib
import io
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from twodasl_jax.user_files import arrays as module
from twodasl_jax.user_files.arrays import names_of, numbers_of, read_npy, read_npz

EXPECTED = "expected file_name"


def npy_bytes(array, *, allow_pickle=False):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=allow_pickle)
    return file.getvalue()


def head(shape, descr="<f8", *, version=1):
    """The head of a .npy that says so, and no data."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 3e6
    finally:
        tracemalloc.stop()


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_arrays_come_back_as_they_were_written(tmp_path):
    given = {
        "float": np.random.default_rng(0).normal(size=(3, 4)),
        "big_endian": np.arange(6, dtype=">i4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "text": np.array(["ä", "bc"]),
        "zero_d": np.array("words"),
        "none": np.zeros((0, 5), np.float16),
        "truth": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **given)
        read = read_npz(tmp_path / "x.npz", expected=EXPECTED)
        assert list(read) == list(given)
        for name, array in given.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype.newbyteorder("=")
            assert read[name].flags.writeable
    for array in given.values():
        np.save(tmp_path / "x.npy", array)
        np.testing.assert_array_equal(read_npy(tmp_path / "x.npy", expected=EXPECTED), array)


def test_what_a_file_is_is_told_by_its_bytes(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    os.rename(tmp_path / "x.npy", tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"x\.npz .*one array, a \.npy.*; expected file_name"):
        read_npz(tmp_path / "x.npz", expected=EXPECTED)
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"x\.npz .*\(it is a zip archive\)"):
        read_npy(tmp_path / "x.npz", expected=EXPECTED)


class Dangerous:
    def __reduce__(self):
        return os.mkdir, ("must-not-be-made",)


def test_objects_are_refused_and_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Dangerous()], object)
    np.savez("x.npz", allow_pickle=True, good=np.zeros(3), bad=objects)
    with pytest.raises(ValueError, match=r"x\.npz .*bad\.npy: it holds Python objects"):
        read_npz("x.npz", expected=EXPECTED)
    (tmp_path / "x.npy").write_bytes(npy_bytes(objects, allow_pickle=True))
    with pytest.raises(ValueError, match="it holds Python objects"):
        read_npy("x.npy", expected=EXPECTED)
    (tmp_path / "x.npy").write_bytes(pickle.dumps(Dangerous()))
    with pytest.raises(ValueError, match="it is a pickle"):
        read_npy("x.npy", expected=EXPECTED)
    assert not (tmp_path / "must-not-be-made").exists()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3, complex),
        np.zeros(3, [("x", "f4"), ("y", "f4")]),
        np.zeros(3, "M8[s]"),
        np.zeros(3, "V8"),
    ],
    ids=["complex", "records", "times", "raw"],
)
def test_other_kinds_of_elements_are_refused(tmp_path, array):
    np.savez(tmp_path / "x.npz", a=array)
    with pytest.raises(ValueError, match=r"a\.npy: its elements are .*only numbers and texts"):
        read_npz(tmp_path / "x.npz", expected=EXPECTED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (head((10**12, 10**12)), "GB are read"),
        (head((2**40,)), "GB are read"),
        (head((0, 10**30)), "cannot be read"),
        (head((-5,)), r"its shape is \(-5,\)"),
        (head((3,)), "cut short: 24 of the 24 bytes"),
        (head((1,) * 70), "cut short"),
        (head("(3,"), "its head is damaged"),
        (head((3,), "<q9"), "its head is damaged"),
        (head((3,), version=9), "its head is damaged"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(50), "its head is damaged"),
        (head("(" * 300 + ")" * 300), "its head is damaged"),
    ],
)
def test_heads_that_lie_are_refused_before_anything_is_read(tmp_path, content, message):
    (tmp_path / "x.npy").write_bytes(content)
    with little_memory(), pytest.raises(ValueError, match=message):
        read_npy(tmp_path / "x.npy", expected=EXPECTED)
    write_zip(tmp_path / "x.npz", [("a.npy", content)])
    with pytest.raises(ValueError, match=r"x\.npz cannot be read"):
        read_npz(tmp_path / "x.npz", expected=EXPECTED)


def test_a_bomb_is_refused_by_its_heads(tmp_path, monkeypatch):
    zeros = b"\0" * 2**20
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.npy", "w", force_zip64=True) as member:
            member.write(head((64, 2**20), "|u1"))
            for _ in range(64):
                member.write(zeros)
        compressed = archive.infolist()[0]
    whole = (tmp_path / "x.npz").read_bytes()
    assert len(whole) < 100_000
    assert compressed.file_size > 2**26
    monkeypatch.setattr(module, "LARGEST_ARRAYS_BYTES", 2**25)
    refused = pytest.raises(ValueError, match=r"x\.npz .*declares arrays of 0\.1 GB; at most")
    with little_memory(), refused:
        read_npz(tmp_path / "x.npz", expected=EXPECTED)


def test_the_bound_counts_all_arrays_together(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_ARRAYS_BYTES", 1000)
    np.savez(tmp_path / "x.npz", a=np.zeros(62), b=np.zeros(62))
    assert len(read_npz(tmp_path / "x.npz", expected=EXPECTED)) == 2
    np.savez(tmp_path / "x.npz", a=np.zeros(62), b=np.zeros(64))
    with pytest.raises(ValueError, match="declares arrays"):
        read_npz(tmp_path / "x.npz", expected=EXPECTED)


def test_archives_that_numpy_never_writes_are_refused(tmp_path):
    array, path = npy_bytes(np.zeros(30)), tmp_path / "x.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(path, [("a.npy", array), ("a.npy", array)])
    with pytest.raises(ValueError, match=r"a\.npy more than once"):
        read_npz(path, expected=EXPECTED)
    write_zip(path, [("word/document.xml", b"<xml/>")])
    with pytest.raises(ValueError, match=r"holds 'word/document\.xml', no array"):
        read_npz(path, expected=EXPECTED)
    write_zip(path, [("a.npy", array)], compression=zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="packed as numpy never does"):
        read_npz(path, expected=EXPECTED)
    write_zip(path, [("a.npy", array + b"more")])
    with pytest.raises(ValueError, match=r"a\.npy says that it takes"):
        read_npz(path, expected=EXPECTED)


def test_a_wrong_checksum_is_refused(tmp_path):
    write_zip(tmp_path / "x.npz", [("a.npy", npy_bytes(np.arange(30.0)))])
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[content.index(b"\xf0\x3f")] ^= 1  # of the number 1.0
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz .*CRC"):
        read_npz(tmp_path / "x.npz", expected=EXPECTED)


def test_arrays_of_another_shape_or_kind_are_told(tmp_path):
    arrays = {"a": np.zeros((2, 3)), "t": np.array(["x", "y"]), "b": np.array([b"x"])}
    assert numbers_of("x.npz", arrays, "a", (2, 4), (None, 3)) is arrays["a"]
    with pytest.raises(ValueError, match=r"x\.npz: a is \(2, 3\) float64; expected \(2, 4\) or"):
        numbers_of("x.npz", arrays, "a", (2, 4), (None,))
    with pytest.raises(ValueError, match=r"t is \(2,\) <U1; expected \(2,\) numbers"):
        numbers_of("x.npz", arrays, "t", (2,))
    with pytest.raises(ValueError, match="lacks c; it has a, t, b"):
        numbers_of("x.npz", arrays, "c", (2,))
    assert names_of("x.npz", arrays, "t") == ["x", "y"]
    for name in ("a", "b"):
        with pytest.raises(ValueError, match=r"expected \(n,\) texts"):
            names_of("x.npz", arrays, name)
    with pytest.raises(ValueError, match=r"names x 2 times; expected each"):
        names_of("x.npz", {"t": np.array(["x", "y", "x"])}, "t")
    with pytest.raises(ValueError, match="names no face"):
        names_of("x.npz", {"t": np.zeros(0, "U1")}, "t")
