"""`--mode=profile` from fits to a source of turned faces."""

import csv
import json
import shutil
import tarfile
import zlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.crop_files import CHECKSUMS, read_encoded
from twodasl_jax.data.fitted_source import (
    FITTED_LANDMARKS,
    SETTINGS_FILE,
    TURNED_FROM,
    FittedSource,
    read_fitted_landmarks,
)
from twodasl_jax.data.held_out import without_faces
from twodasl_jax.experiment.annotation.turned_files import TURNED_FILES
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import face_model_crc, load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.jobs.profile import profile

COUNT = 12
BAD = 2


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def fits(tmp_path_factory, open_face):
    """As `--mode=annotate` leaves them: crops of noise, one of them fitted badly."""
    folder = tmp_path_factory.mktemp("fits")
    faces = sample_model_faces(open_face, np.random.default_rng(0), COUNT)
    generator = np.random.default_rng(1)
    names, checksums = [], []
    with tarfile.open(folder / "crops.tar", "w") as archive:
        for index in range(COUNT):
            path = folder / f"face{index}.png"
            cv2.imwrite(str(path), generator.integers(0, 256, (120, 120, 3)).astype(np.uint8))
            archive.add(path, path.name)
            names.append(path.name)
            checksums.append(zlib.crc32(path.read_bytes()))
            path.unlink()
    residual = np.full(COUNT, 2.0, np.float32)
    residual[BAD] = 9.0
    np.savez(
        folder / "annotations.npz",
        file_name=np.array(names),
        crop_crc32=np.array(checksums, np.uint32),
        coefficients=faces.coefficients,
        fitted_landmarks68_crop_px=faces.landmarks,
        residual_percent=residual,
        yaw_degrees=faces.angles[:, 1],
        landmarks68_crop_px=faces.landmarks,
        landmarks68_visibility=np.full((COUNT, 68), 2, np.int8),
    )
    settings = {
        "face_model": open_face.name,
        "face_model_crc": face_model_crc(open_face),
        "face_model_identity": face_model_identity(open_face),
        "contour": "fixed",
    }
    (folder / SETTINGS_FILE).write_text(json.dumps(settings))
    return folder


def run(fits, output, **changes):
    chosen = {"face_model": None, "max_residual": 4.0, "num_faces": None} | changes
    profile(fits=str(fits), output=str(output), **chosen)


@pytest.fixture(scope="module")
def turned(fits, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "turned"
    run(fits, output, num_faces=14)  # more than there are: some of them twice
    return output


def arrays_of(folder):
    with np.load(folder / "annotations.npz") as file:
        return {key: file[key] for key in file.files}


def test_writes_a_source_that_trains_on_exact_points(turned, open_face):
    source = FittedSource(turned, face_model_crc=face_model_crc(open_face))
    assert len(source) == 14
    points = landmarks_from_coefficients(
        landmark_model(open_face), jnp.asarray(source.coefficients)
    )
    stored = read_fitted_landmarks(turned)[1]
    # The same program in batches of another size.
    np.testing.assert_allclose(points[..., :2], stored, atol=1e-3)
    element = source[0]
    assert element["image"].shape == (120, 120, 3)
    assert element["image"].std() > 10
    assert (element["landmark18_weights"] == 1).all()
    assert not element["landmark_weights"].any()  # no annotator saw this picture
    assert np.abs(arrays_of(turned)["yaw_degrees"]).min() >= 30
    assert sorted(path.name for path in turned.iterdir()) == sorted(TURNED_FILES)


def test_a_turned_face_is_held_out_with_its_photograph(turned, fits, open_face):
    source = FittedSource(turned, face_model_crc=face_model_crc(open_face))
    photographs = FittedSource(fits, face_model_crc=face_model_crc(open_face)).identities()
    assert set(source.identities()) < set(photographs)
    first = source.identities()[0]
    left = without_faces([source], {first})[0]
    assert 0 < len(left) < len(source)
    assert first not in left.identities()


def test_bad_fits_and_profiles_are_left_out(turned, fits):
    arrays, before = arrays_of(turned), arrays_of(fits)
    assert f"face{BAD}.png" not in arrays[TURNED_FROM]
    rows = [before["file_name"].tolist().index(name) for name in arrays[TURNED_FROM]]
    assert np.abs(before["yaw_degrees"][rows]).max() < 65  # the head's own, not the camera's
    np.testing.assert_array_equal(arrays["coefficients"][:, 12:], before["coefficients"][rows, 12:])


def test_crops_carry_checksums_and_names_of_their_own(turned):
    arrays = arrays_of(turned)
    names = [str(name) for name in arrays["file_name"]]
    assert len(set(names)) == len(names)
    encoded = read_encoded(turned, set(names))
    assert [zlib.crc32(encoded[name]) for name in names] == arrays[CHECKSUMS].tolist()
    assert arrays[FITTED_LANDMARKS].shape == (14, 68, 2)


def test_an_earlier_set_is_replaced_and_nothing_else(turned, fits, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(turned, folder)
    (folder / "notes.txt").write_text("mine")
    run(fits, folder, num_faces=3)
    assert len(arrays_of(folder)["file_name"]) == 3
    assert (folder / "notes.txt").read_text() == "mine"


def test_refuses_what_it_cannot_use(turned, fits, tmp_path):
    with pytest.raises(ValueError, match="turned already"):
        run(turned, tmp_path / "twice")
    with pytest.raises(FileNotFoundError, match="holds no fitted faces"):
        run(turned.parent, tmp_path / "none")
    foreign = turned.parent / "foreign"
    shutil.copytree(fits, foreign)
    settings = json.loads((foreign / SETTINGS_FILE).read_text())
    settings["face_model_identity"]["arrays"]["shape_basis"] = "0" * 16
    (foreign / SETTINGS_FILE).write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"they differ in shape_basis.*give --face_model=FILE"):
        run(foreign, tmp_path / "foreign")
    other = turned.parent / "other"
    shutil.copytree(fits, other)
    with pytest.raises(ValueError, match="holds fits of photographs"):
        run(fits, other)
    with pytest.raises(ValueError, match="lies in --fits"):
        run(fits, fits / "inside")
    with pytest.raises(ValueError, match="expected a positive percentage"):
        run(fits, tmp_path / "negative", max_residual=-1.0)
    with pytest.raises(ValueError, match="none of 12 faces can be turned: 0 fit well enough"):
        run(fits, tmp_path / "strict", max_residual=0.1)
    assert not list(tmp_path.iterdir())


def test_damaged_crops_cost_only_their_face(fits, tmp_path, capsys):
    broken, output = tmp_path / "fits", tmp_path / "out"
    shutil.copytree(fits, broken)
    arrays = arrays_of(broken)
    arrays["crop_crc32"][::2] += 1
    np.savez(broken / "annotations.npz", **arrays)
    run(broken, output)
    with (output / "rejected.csv").open() as file:
        lost = list(csv.DictReader(file))
    assert lost
    assert all("is damaged" in row["reason"] for row in lost)
    assert f"{len(lost)} faces are left out" in capsys.readouterr().out
    names = [int(str(name)[4:-4]) for name in arrays_of(output)[TURNED_FROM]]
    assert all(name % 2 for name in names)


def test_where_no_turned_face_is_good_enough_nothing_is_written(fits, tmp_path, monkeypatch):
    monkeypatch.setattr("twodasl_jax.jobs.profile.MOST_UNSEEN", -1.0)
    with pytest.raises(ValueError, match="none of 9 turned faces can be used; the first, face"):
        run(fits, tmp_path / "out")
    assert not list(tmp_path.iterdir())
