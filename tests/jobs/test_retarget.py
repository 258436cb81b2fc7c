"""`--mode=retarget`: a folder of fits becomes a source for the other face model."""

import json
import shutil

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE, FittedSource
from twodasl_jax.experiment.annotation import retargeting
from twodasl_jax.experiment.annotation.files import described_model
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.correspondence import Correspondence
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.face_model.model import (
    OPEN_FACE_FILE,
    PHOTO_FACE_FILE,
    face_model_crc,
    load_face_model,
    read_model_file,
    save_face_model,
)
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.jobs.retarget import retarget

COUNT, FAR = 4, 3


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def other_file(tmp_path_factory):
    """The open face model in micrometres, its shape directions in another order."""
    path = tmp_path_factory.mktemp("model") / "other.npz"
    arrays = read_model_file(OPEN_FACE_FILE)
    arrays["mean"] = arrays["mean"].astype(np.float32) * 1000
    arrays["shape_basis"] = arrays["shape_basis"][::-1].astype(np.float32) * 1000
    arrays["expression_basis"] = arrays["expression_basis"].astype(np.float32) * 1000
    save_face_model(path, {**arrays, "units_per_millimetre": np.array(1000.0)})
    return str(path)


@pytest.fixture(autouse=True)
def same_mesh(monkeypatch):
    """Stands for the stored correspondence, which is of BFM's mesh."""

    def everything(model):
        rows = np.concatenate([np.arange(0, 2300, 7), np.asarray(model.landmark_vertices)])
        return LinearModel(
            *(array[..., rows] / model.units_per_millimetre for array in model.linear)
        )

    monkeypatch.setattr(
        retargeting,
        "correspondence",
        lambda open_face, bfm, *, given: Correspondence(everything(open_face), everything(bfm)),
    )


def points_of(model, coefficients):
    found = landmarks_from_coefficients(landmark_model(model), jnp.asarray(coefficients))
    return np.asarray(found)[..., :2]


@pytest.fixture
def fits(tmp_path, open_face):
    """Fits of the open face model; one has labels that are far from it."""
    folder = tmp_path / "fits"
    (folder / "crops").mkdir(parents=True)
    generator = np.random.default_rng(0)
    coefficients = np.float32(sample_model_faces(open_face, generator, COUNT).coefficients)
    points = points_of(open_face, coefficients)
    labels = points.copy()
    labels[FAR] = 60 + 0.7 * (labels[FAR] - 60)
    names = np.array([f"{index}.png" for index in range(COUNT)])
    for name in names:
        picture = generator.integers(0, 256, (120, 120, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "crops" / name), picture)
    np.savez(
        folder / "annotations.npz",
        file_name=names,
        coefficients=coefficients,
        yaw_degrees=np.zeros(COUNT, np.float32),
        **{FITTED_LANDMARKS: points},
        landmarks21_crop_px=np.full((COUNT, 21, 2), np.nan, np.float32),
        landmarks68_visibility=np.full((COUNT, 68), 2, np.int8),
        landmarks68_crop_px=labels,
    )
    settings = {**described_model(open_face), "contour": "fixed", "options": {"prior_weight": 1.0}}
    settings |= {"prior": {"network": "mine"}, "landmarks": "68 labelled"}
    (folder / SETTINGS_FILE).write_text(json.dumps(settings))
    return folder


def run(images, other_file, output, **changes):
    chosen = {"face_model": other_file, "open_face": None, "max_residual": 8.0} | changes
    retarget(images=str(images), output=str(output), **chosen)


def test_fits_go_there_and_back(fits, other_file, open_face, tmp_path, capsys):
    there, back = tmp_path / "there", tmp_path / "back"
    run(fits, other_file, there)
    said = capsys.readouterr().out
    assert "68 points" in said
    assert "surface mm" in said
    other = load_face_model(other_file)
    source = FittedSource(there, face_model_crc=face_model_crc(other))
    assert len(source) == COUNT - 1  # the labels of one are too far
    assert "residual" in (there / "rejected.csv").read_text()
    with np.load(there / "annotations.npz") as file, np.load(fits / "annotations.npz") as before:
        found, wanted = file["coefficients"], before[FITTED_LANDMARKS][:FAR]
        np.testing.assert_allclose(file[FITTED_LANDMARKS], points_of(other, found), atol=1e-2)
        # What the prior costs: half a pixel of some 85.
        assert np.linalg.norm(file[FITTED_LANDMARKS] - wanted, axis=-1).mean() < 0.5
        np.testing.assert_array_equal(
            file["landmarks68_crop_px"], before["landmarks68_crop_px"][:FAR]
        )
    picture = cv2.imread(str(fits / "crops" / "1.png"))[..., ::-1]
    np.testing.assert_array_equal(source[1]["image"], picture)
    run(there, other_file, back)
    assert len(FittedSource(back, face_model_crc=face_model_crc(open_face))) == COUNT - 1


def test_settings_say_what_they_were_made_of(fits, other_file, tmp_path):
    run(fits, other_file, tmp_path / "there")
    settings = json.loads((tmp_path / "there" / SETTINGS_FILE).read_text())
    assert settings["face_model"] == "other"
    made_of = settings["retargeted_from"]
    assert made_of["face_model"] == "open_face"
    assert made_of["prior"] == {"network": "mine"}
    assert 0 < settings["landmarks68_percent"] < 1
    assert 0 < settings["surface_mm"] < 2


def test_fits_become_those_of_the_open_face_that_is_named(fits, other_file, tmp_path):
    """Both open faces have one basis: they are told apart by their means."""
    run(fits, other_file, tmp_path / "there")
    run(tmp_path / "there", other_file, tmp_path / "photo", open_face="photo_face")
    settings = json.loads((tmp_path / "photo" / SETTINGS_FILE).read_text())
    assert settings["face_model"] == "photo_face"
    assert settings["face_model_identity"] == face_model_identity(load_face_model(PHOTO_FACE_FILE))
    with pytest.raises(ValueError, match="fits of the face model 'photo_face', which is neither"):
        run(tmp_path / "photo", other_file, tmp_path / "o")
    run(tmp_path / "photo", other_file, tmp_path / "back", open_face="photo_face")
    assert json.loads((tmp_path / "back" / SETTINGS_FILE).read_text())["face_model"] == "other"


def test_what_cannot_be_retargeted_is_refused(fits, other_file, tmp_path):
    with pytest.raises(ValueError, match="choose another --output"):
        run(fits, other_file, fits)
    with pytest.raises(ValueError, match="expected a positive percentage"):
        run(fits, other_file, tmp_path / "o", max_residual=0.0)
    with pytest.raises(FileNotFoundError, match="holds no fitted faces"):
        run(fits / "crops", other_file, tmp_path / "o")
    with pytest.raises(FileNotFoundError, match="absent"):
        run(fits, str(tmp_path / "absent.npz"), tmp_path / "o")
    with pytest.raises(ValueError, match="none of 4 faces fits within 1e-06 %"):
        run(fits, other_file, tmp_path / "o", max_residual=1e-6)
    foreign = tmp_path / "foreign"
    shutil.copytree(fits, foreign)
    settings = json.loads((fits / SETTINGS_FILE).read_text())
    settings |= {"face_model": "third", "face_model_crc": 1}
    del settings["face_model_identity"]
    (foreign / SETTINGS_FILE).write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="fits of the face model 'third', which is neither"):
        run(foreign, other_file, tmp_path / "o")
    assert not (tmp_path / "o").exists()
