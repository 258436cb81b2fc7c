"""Overwritten pixels of rendered faces, crops and prepared records are told, never trained on."""

import io
import tarfile
import zlib

import cv2
import numpy as np
import pytest

from twodasl_jax.data.checked_source import CheckedSource
from twodasl_jax.data.crop_files import CHECKSUMS
from twodasl_jax.data.sources import CropSource, RenderedSource, write_rendered

COUNT = 40


@pytest.fixture
def rendered(tmp_path):
    generator = np.random.default_rng(0)
    write_rendered(
        tmp_path / "set",
        images=generator.integers(0, 256, (COUNT, 120, 120, 3)).astype(np.uint8),
        coefficients=generator.normal(size=(COUNT, 62)).astype(np.float32),
        landmarks=generator.uniform(20, 100, (COUNT, 68, 2)).astype(np.float32),
        yaw_degrees=generator.uniform(-90, 90, COUNT).astype(np.float32),
        settings={"seed": 1},
    )
    return tmp_path / "set"


def overwrite(path, start, data):
    with path.open("r+b") as file:
        file.seek(start if start >= 0 else path.stat().st_size + start)
        file.write(data)


def test_an_overwritten_picture_is_replaced_by_the_next_and_named(rendered, caplog):
    whole = RenderedSource(rendered)[COUNT - 1]["image"]
    overwrite(rendered / "image.npy", -2 * 43_200 + 20_000, b"\0")  # in the last but one
    source = CheckedSource(RenderedSource(rendered), name="data.annotated[0]")
    np.testing.assert_array_equal(source[COUNT - 2]["image"], whole)
    (said,) = [record.message for record in caplog.records]
    assert f"picture {COUNT - 2} in {rendered / 'image.npy'}" in said
    assert "is not the one that was written" in said
    with pytest.raises(ValueError, match=f"picture {COUNT - 2} .*delete its folder"):
        RenderedSource(rendered).read_pictures()


def test_many_overwritten_pictures_stop_the_run(rendered):
    overwrite(rendered / "image.npy", -20 * 43_200, bytes(20 * 43_200))
    source = CheckedSource(RenderedSource(rendered), name="data.annotated[0]")
    with pytest.raises(ValueError, match=r"picture .* over 1%: prepare these data again"):
        [source[index] for index in range(COUNT)]


@pytest.mark.parametrize("name", ["image.npy", "labels.npz"])
def test_no_flipped_bit_gives_other_numbers(rendered, name):
    source = RenderedSource(rendered)
    wanted = [source[index] for index in range(COUNT)]
    whole = (rendered / name).read_bytes()
    generator = np.random.default_rng(0)
    places = {*range(0, 128, 8), *generator.integers(0, len(whole), 40).tolist()}
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(8))
        (rendered / name).write_bytes(damaged)
        try:
            source = RenderedSource(rendered)
        except Exception:  # in one sentence or not: what reads users' files has tests of its own
            continue
        for index in range(COUNT):
            try:
                element = source[index]
            except ValueError:
                continue
            for key, values in wanted[index].items():
                np.testing.assert_array_equal(element[key], values, f"{name}, byte {place}")


def test_a_set_of_before_has_no_checksums_and_is_read(rendered):
    with np.load(rendered / "labels.npz") as file:
        labels = {key: file[key] for key in file.files if key != CHECKSUMS}
    np.savez(rendered / "labels.npz", **labels)
    assert len(RenderedSource(rendered).read_pictures()) == COUNT


def crops_folder(folder, *, with_checksums):
    """Three noisy JPEGs; returns where the second one's bytes begin in the archive."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    annotations = {"file_name": np.array(["a.jpg", "b.jpg", "c.jpg"])}
    annotations["landmarks21_crop_px"] = generator.uniform(10, 110, (3, 21, 2)).astype(np.float32)
    checksums = []
    with tarfile.open(folder / "crops.tar", "w") as archive:
        for name in annotations["file_name"]:
            picture = generator.integers(0, 256, (120, 120, 3)).astype(np.uint8)
            encoded = cv2.imencode(".jpg", picture)[1].tobytes()
            checksums.append(zlib.crc32(encoded))
            member = tarfile.TarInfo(str(name))
            member.size = len(encoded)
            archive.addfile(member, io.BytesIO(encoded))
    if with_checksums:
        annotations[CHECKSUMS] = np.array(checksums, np.uint32)
    np.savez(folder / "annotations.npz", **annotations)
    with tarfile.open(folder / "crops.tar") as archive:
        return archive.getmember("b.jpg").offset_data


def test_a_crop_that_still_decodes_but_is_another_is_refused(tmp_path):
    begin = crops_folder(tmp_path / "crops", with_checksums=True)
    whole = CropSource(tmp_path / "crops")[1]["image"]
    overwrite(tmp_path / "crops" / "crops.tar", begin + 5_000, b"\x5a\x5a")
    source = CropSource(tmp_path / "crops")
    with pytest.raises(ValueError, match=r"the crop b\.jpg is damaged: it is not the one"):
        source[1]
    assert source[2]["image"].shape == whole.shape
    # Without checksums nobody can tell: this is what they are for.
    begin = crops_folder(tmp_path / "others", with_checksums=False)
    overwrite(tmp_path / "others" / "crops.tar", begin + 5_000, b"\x5a\x5a")
    assert (CropSource(tmp_path / "others")[1]["image"] != whole).any()


def test_checksums_are_one_per_crop(tmp_path):
    crops_folder(tmp_path / "crops", with_checksums=True)
    path = tmp_path / "crops" / "annotations.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {CHECKSUMS: arrays[CHECKSUMS][:2]})
    with pytest.raises(ValueError, match=r"crop_crc32 is \(2,\) uint32; expected \(3,\)"):
        CropSource(tmp_path / "crops")
