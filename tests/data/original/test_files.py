import cv2
import numpy as np
import pytest
import scipy.io

from twodasl_jax.data.original.files import (
    encode_crop,
    in_either_case,
    list_stems,
    read_mat,
    read_photo,
    require_finite,
)


def photo(height=40, width=60):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_photo_is_read_as_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), photo()[..., ::-1])
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), photo())


def test_a_photo_keeps_its_stored_pixels_whatever_its_orientation_tag(tmp_path):
    encoded = cv2.imencode(".jpg", photo())[1].tobytes()
    # An EXIF block of one entry: orientation 6, a quarter turn.
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    block = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    head = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    (tmp_path / "turned.jpg").write_bytes(encoded[:2] + head + encoded[2:])
    (tmp_path / "plain.jpg").write_bytes(encoded)
    assert cv2.imread(str(tmp_path / "turned.jpg")).shape == (60, 40, 3)
    np.testing.assert_array_equal(
        read_photo(tmp_path / "turned.jpg"), read_photo(tmp_path / "plain.jpg")
    )


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
def test_a_cut_off_photo_is_refused(tmp_path, kept):
    encoded = cv2.imencode(".jpg", photo())[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(encoded[: int(kept * len(encoded))])
    with pytest.raises(ValueError, match=r"a\.jpg is no complete image"):
        read_photo(tmp_path / "a.jpg")


def test_an_absent_photo_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        read_photo(tmp_path / "b.jpg")


@pytest.mark.parametrize(("encoding", "largest"), [("png", 0), ("jpeg", 24)])
def test_an_encoded_crop_comes_back(encoding, largest):
    y, x = np.mgrid[:120, :120]
    crop = np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)
    crop[:, 60:] = (255, 0, 0)  # a hard colour edge: chroma subsampling would smear it
    encoded = np.frombuffer(encode_crop(crop, encoding).read(), np.uint8)
    back = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    # Lossless, or JPEG at quality 95 with full chroma; subsampled it would be 100 and more here.
    assert np.abs(back.astype(int) - crop).max() <= largest


def test_variables_come_in_their_shapes(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"row": np.ones((1, 7), np.float32), "table": np.ones((3, 2), np.int16)})
    found = read_mat(path, {"row": (7,), "table": (-1, 2)})
    assert found["row"].shape == (7,)
    assert found["table"].shape == (3, 2)
    assert {array.dtype.name for array in found.values()} == {"float64"}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"absent": (7,)}, "lacks absent; expected absent"),
        ({"row": (8,)}, r"row is \(1, 7\) float64; expected \(8,\)"),
        ({"row": (7, 1)}, r"expected \(7, 1\)"),
        ({"text": (1,)}, "expected"),
    ],
)
def test_wrong_variables_are_refused(tmp_path, shapes, message):
    scipy.io.savemat(tmp_path / "a.mat", {"row": np.ones((1, 7)), "text": "words"})
    with pytest.raises(ValueError, match=message):
        read_mat(tmp_path / "a.mat", shapes)


@pytest.mark.parametrize("content", [b"no such file", bytes(200), b"MATLAB 5.0" + bytes(300)])
def test_a_broken_mat_file_is_named(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mat (is no readable|lacks)"):
        read_mat(tmp_path / "a.mat", {"row": (7,)})


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.98])
def test_a_cut_off_mat_file_is_named(tmp_path, kept):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"row": np.random.default_rng(0).normal(size=(1, 199))})
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"a\.mat (is no readable|lacks)"):
        read_mat(path, {"row": (199,)})


def test_nan_is_named():
    with pytest.raises(ValueError, match="second holds NaN"):
        require_finite({"first": np.zeros(3), "second": np.array([1, np.nan])})


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".Jpg"])
def test_files_are_found_whatever_the_case_of_their_ending(tmp_path, ending):
    (tmp_path / f"a{ending}").touch()
    assert in_either_case(tmp_path / "a.jpg") == tmp_path / f"a{ending}"
    assert in_either_case(tmp_path / "b.jpg") == tmp_path / "b.jpg"
    assert in_either_case(tmp_path / "a") == tmp_path / "a"


def test_stems_of_either_file_are_listed_in_order(tmp_path):
    for name in ("b.jpg", "b.mat", "a.mat", "c.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert list_stems(tmp_path, holds="images") == ["a", "b", "c"]
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent; expected it to hold images"):
        list_stems(tmp_path / "absent", holds="images")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no \.jpg in .*empty"):
        list_stems(tmp_path / "empty", holds="images")
