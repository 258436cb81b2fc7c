"""`--mode=annotate` from pictures and labels to a source that the pipeline reads."""

import csv
import json
import shutil
import zlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.crop_files import CHECKSUMS, read_encoded
from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE, FittedSource
from twodasl_jax.data.labelled_faces import read_labelled_faces
from twodasl_jax.data.pipeline import make_pipeline
from twodasl_jax.data.sources import CropSource
from twodasl_jax.experiment.annotation.folder import ANNOTATION_FILES
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import face_model_crc, load_face_model
from twodasl_jax.jobs.annotate import annotate
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, MIRROR_68
from twodasl_jax.replaced_files import READY

COUNT = 7
BROKEN, WRONG = 3, 5


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def faces(open_face):
    return sample_model_faces(open_face, np.random.default_rng(0), COUNT)


def settings(**changes):
    chosen = {"landmarks": None, "detector": None, "face_model": None}
    chosen |= {"prior": None, "prior_weight": None}
    return chosen | {"contour": "fixed", "max_residual": 4.0} | changes


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, faces):
    """Photographs with 68 labels: one picture is broken, one face's labels are nonsense."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "sub").mkdir()
    generator = np.random.default_rng(1)
    names, points = [], []
    for index in range(COUNT):
        name = f"sub/face {index}.png"
        photo = generator.integers(0, 256, (300, 400, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / name), photo)
        box = np.array([60.0, 20.0, 300.0, 260.0])
        points.append(crop_to_image(faces.landmarks[index], box))
        names.append(name)
    (folder / names[BROKEN]).write_bytes(b"no picture")
    points[WRONG] = generator.uniform(0, 250, (68, 2))
    points[0][:5] = np.nan
    np.savez(folder / "labels.npz", file_name=np.array(names), landmarks68_px=np.stack(points))
    return folder


@pytest.fixture(scope="module")
def annotated(photographs, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "fits"
    landmarks = str(photographs / "labels.npz")
    annotate(images=str(photographs), output=str(output), **settings(landmarks=landmarks))
    return output


def test_writes_a_source_that_trains(annotated, open_face):
    source = FittedSource(annotated, face_model_crc=face_model_crc(open_face))
    assert len(source) == COUNT - 2
    wild = FittedSource(annotated, face_model_crc=face_model_crc(open_face), role="in_the_wild")
    batch = next(
        make_pipeline(
            [(source, 1.0)],
            [(wild, 1.0)],
            annotated_batch_size=4,
            in_the_wild_batch_size=4,
            augment_options=AugmentOptions(),
            seed=0,
        )
    )
    assert batch["annotated"]["coefficients"].shape == (4, 62)
    assert np.isfinite(batch["annotated"]["coefficients"]).all()


def test_a_crop_carries_the_checksum_of_its_file(annotated):
    with np.load(annotated / "annotations.npz") as file:
        names, checksums = file["file_name"], file[CHECKSUMS]
    encoded = read_encoded(annotated, {str(name) for name in names})
    assert [zlib.crc32(encoded[str(name)]) for name in names] == checksums.tolist()


def test_coefficients_reproduce_the_labels_in_the_final_crop(annotated, open_face):
    with np.load(annotated / "annotations.npz") as file:
        arrays = {key: file[key] for key in file.files}
    coefficients = jnp.asarray(arrays["coefficients"])
    found = landmarks_from_coefficients(landmark_model(open_face), coefficients)[..., :2]
    # Float32 pixels, fitted in one program and decoded in another.
    np.testing.assert_allclose(arrays[FITTED_LANDMARKS], found, atol=1e-2)
    distance = np.linalg.norm(found - arrays["landmarks68_crop_px"], axis=-1)
    # The labels are the model's own points: only the prior's pull is left, a px of 85 at most.
    assert np.nanmean(distance) < 1.0
    assert np.isnan(distance[0, :5]).all()
    assert (arrays["landmarks68_visibility"][0, :5] == 0).all()
    centre = (found.min(axis=1) + found.max(axis=1)) / 2
    # The crop is the training crop: its middle is that of the landmarks, to the box's rounding.
    np.testing.assert_allclose(centre, 60, atol=1.0)


def test_leaves_out_bad_fits_and_pictures_and_says_why(annotated):
    lines = (annotated / "rejected.csv").read_text().splitlines()
    rows = {row["file_name"]: row["reason"] for row in csv.DictReader(lines)}
    assert rows.keys() == {f"sub/face {BROKEN}.png", f"sub/face {WRONG}.png"}
    assert rows[f"sub/face {WRONG}.png"] == "residual"
    assert "is no complete image" in rows[f"sub/face {BROKEN}.png"]
    for picture in ("faces.png", "residuals.png"):
        assert cv2.imread(str(annotated / picture)) is not None
    assert json.loads((annotated / SETTINGS_FILE).read_text())["contour"] == "fixed"


def test_a_crops_folder_keeps_its_pictures(annotated, tmp_path):
    output = tmp_path / "again"
    annotate(images=str(annotated), output=str(output), **settings())
    first, second = CropSource(annotated), CropSource(output)
    np.testing.assert_array_equal(first[1]["image"], second[1]["image"])
    names = [source.record_name(1) for source in (first, second)]
    assert names[0] == names[1]
    with pytest.raises(ValueError, match="nothing remains"):
        CropSource(annotated, without={first.record_name(i) for i in range(len(first))})


def test_faces_of_one_photograph_get_names_of_their_own(photographs, tmp_path, capsys):
    with np.load(photographs / "labels.npz") as file:
        names, labels = file["file_name"], file["landmarks68_px"]
    few = np.full((1, 68, 2), np.nan)
    np.savez(
        tmp_path / "twice.npz",
        file_name=names[[1, 1, 2]],
        landmarks68_px=np.concatenate([labels[[1, 1]], few]),
    )
    output, twice = tmp_path / "fits", str(tmp_path / "twice.npz")
    annotate(images=str(photographs), output=str(output), **settings(landmarks=twice))
    source = CropSource(output)
    assert [source.record_name(i) for i in range(2)] == ["sub_face 1.jpg", "sub_face 1_2.jpg"]
    assert "1 faces are left out" in capsys.readouterr().out


def test_labels_in_aflw_order(faces, photographs, tmp_path):
    points = np.full((COUNT, 21, 2), np.nan)
    with np.load(photographs / "labels.npz") as file:
        names, labels = file["file_name"], file["landmarks68_px"]
    points[:, LANDMARKS_18_FROM_21[0]] = labels[:, 17]
    path = tmp_path / "few.npz"
    np.savez(path, file_name=names, landmarks21_px=points)
    with pytest.raises(ValueError, match=r"none of the 7 faces .* 8 labelled points"):
        read_labelled_faces(photographs, path)


def labels_of(photographs):
    with np.load(photographs / "labels.npz") as file:
        return file["file_name"], file["landmarks68_px"]


WIDTH, HEIGHT = 400, 300


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda p: np.stack([p[..., 0], HEIGHT - p[..., 1]], -1), "y points up"),
        (lambda p: p[..., ::-1], "x and y are exchanged"),
        (lambda p: np.stack([WIDTH - p[..., 0], p[..., 1]], -1), "x counts from the right edge"),
        (lambda p: p[:, MIRROR_68], "the points of left and right are exchanged"),
        (lambda p: p / [WIDTH, HEIGHT], "shares of the picture's size"),
        (lambda p: p * [1, -1], "y is negative"),
        (lambda p: p + 5000, "outside their pictures"),
        (lambda p: p * 2.5, "larger copies"),
    ],
)
@pytest.mark.parametrize("contour", ["fixed", "marching"])
def test_labels_of_another_convention_are_refused(photographs, tmp_path, change, cause, contour):
    names, labels = labels_of(photographs)
    good = np.delete(np.arange(COUNT), [BROKEN, WRONG])
    path = tmp_path / "other.npz"
    np.savez(path, file_name=names[good], landmarks68_px=change(labels[good]))
    chosen = settings(landmarks=str(path), contour=contour, max_residual=8.0)
    with pytest.raises(ValueError, match=cause):
        annotate(images=str(photographs), output=str(tmp_path / "fits"), **chosen)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.npz"]


def test_photographs_may_be_turned_each_by_its_own_angle(photographs, tmp_path, faces):
    names, labels = labels_of(photographs)
    good = np.delete(np.arange(COUNT), [0, BROKEN, WRONG])
    middle, turned = np.array([180.0, 140.0]), []
    for face, angle in zip(labels[good], (-120, 60, 90, 180), strict=True):
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        turned.append((face - middle) @ np.array([[cos, sin], [-sin, cos]]) * 0.9 + middle)
    path, output = tmp_path / "turned.npz", tmp_path / "fits"
    np.savez(path, file_name=names[good], landmarks68_px=np.stack(turned))
    annotate(images=str(photographs), output=str(output), **settings(landmarks=str(path)))
    assert len(CropSource(output)) == len(good)


def test_single_wrong_faces_are_rejected_by_name(photographs, tmp_path, capsys):
    names, labels = labels_of(photographs)
    good = np.delete(np.arange(COUNT), [BROKEN, WRONG])
    names, labels = names[good], labels[good].copy()
    more = np.concatenate([labels, labels[1:4]])
    more[-3, 7] = 1e30
    more[-2, :, 1] = HEIGHT - more[-2, :, 1]
    more[-1] += 5000
    images = tmp_path / "photos"
    images.mkdir()
    for index in range(len(more)):
        level = 0 if index == 1 else 60  # one is black; one colour is no fault
        cv2.imwrite(str(images / f"p{index}.png"), np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    path, output = tmp_path / "labels.npz", tmp_path / "fits"
    files = np.array([f"p{index}.png" for index in range(len(more))])
    np.savez(path, file_name=files, landmarks68_px=more)
    annotate(images=str(images), output=str(output), **settings(landmarks=str(path)))
    assert len(CropSource(output)) == len(good) - 1
    lines = (output / "rejected.csv").read_text().splitlines()
    rows = {row["file_name"]: row["reason"] for row in csv.DictReader(lines)}
    assert rows.keys() == {"p1.png", "p5.png", "p6.png", "p7.png"}
    assert "black" in rows["p1.png"]
    assert "landmark 7 is at" in rows["p5.png"]
    assert "seen from behind" in rows["p6.png"]
    assert "0 % of the labels" in rows["p7.png"]
    said = " ".join(capsys.readouterr().out.split())
    assert "2 faces are left out (rejected.csv), first p5.png: landmark 7" in said
    assert "2 faces that fit are rejected (rejected.csv), first p1.png" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_where_no_face_has_numbers_one_sentence_names_the_first(photographs, tmp_path, value):
    names, labels = labels_of(photographs)
    path = tmp_path / "labels.npz"
    np.savez(path, file_name=names, landmarks68_px=np.full_like(labels, value))
    with pytest.raises(ValueError, match=r"none of the 7 faces .* sub/face 0\.png: "):
        annotate(
            images=str(photographs),
            output=str(tmp_path / "fits"),
            **settings(landmarks=str(path)),
        )


def test_only_the_earlier_annotation_is_replaced(annotated, photographs, tmp_path):
    output = tmp_path / "fits"
    shutil.copytree(annotated, output)
    (output / "run").mkdir()
    (output / "notes.txt").write_text("a day's work")
    landmarks = str(photographs / "labels.npz")
    again = settings(landmarks=landmarks, max_residual=3.0)
    annotate(images=str(photographs), output=str(output), **again)
    assert (output / "notes.txt").read_text() == "a day's work"
    assert (output / "run").is_dir()
    written = json.loads((output / SETTINGS_FILE).read_text())
    assert written["max_residual_percent"] == 3.0
    assert {path.name for path in output.iterdir()} == {*written["files"], "run", "notes.txt"}


@pytest.mark.parametrize("moved", [0, 2, 5])
def test_readers_finish_what_a_killed_writer_left(annotated, open_face, tmp_path, moved):
    """The files of a complete annotation lie in a hidden folder; some are moved up already."""
    folder = tmp_path / "fits"
    shutil.copytree(annotated, folder / READY)
    for name in ANNOTATION_FILES[:moved]:
        (folder / READY / name).rename(folder / name)
    for name in ANNOTATION_FILES[moved:-1]:
        (folder / name).write_bytes(b"of an earlier annotation")
    source = CropSource(folder) if moved == 2 else None
    source = source or FittedSource(folder, face_model_crc=face_model_crc(open_face))
    assert len(source) == COUNT - 2
    assert {path.name for path in folder.iterdir()} == set(ANNOTATION_FILES)


def test_fits_of_earlier_versions_draw_visible_labels_and_say_so(
    annotated, open_face, tmp_path, caplog
):
    folder = tmp_path / "fits"
    shutil.copytree(annotated, folder)
    whole = FittedSource(folder, face_model_crc=face_model_crc(open_face))[0]
    with np.load(folder / "annotations.npz") as arrays:
        kept = {name: arrays[name] for name in arrays if name != FITTED_LANDMARKS}
    np.savez(folder / "annotations.npz", **kept)
    assert not caplog.records
    earlier = FittedSource(folder, face_model_crc=face_model_crc(open_face))[0]
    assert "drawn from the visible labels alone; fit again" in caplog.text
    known = earlier["landmark18_weights"] > 0
    assert (whole["landmark18_weights"] == 1).all()
    assert np.abs(whole["landmarks18"] - earlier["landmarks18"])[known].max() < 6


def test_output_equal_to_input_is_refused_and_nothing_lost(annotated, tmp_path):
    folder = tmp_path / "fits"
    shutil.copytree(annotated, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for output in (folder, folder / "again", tmp_path):
        with pytest.raises(ValueError, match="choose another --output"):
            annotate(images=str(folder), output=str(output), **settings())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_refuses_what_it_cannot_use(annotated, photographs, tmp_path, open_face):
    landmarks = str(photographs / "labels.npz")
    with pytest.raises(FileNotFoundError, match="no folder"):
        annotate(images=str(tmp_path / "x"), output=str(tmp_path / "o"), **settings())
    with pytest.raises(FileNotFoundError, match="give --landmarks"):
        annotate(images=str(photographs), output=str(tmp_path / "o"), **settings())
    both = settings(landmarks=landmarks, detector="dlib")
    with pytest.raises(ValueError, match="choose one"):
        annotate(images=str(photographs), output=str(tmp_path / "o"), **both)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("a day's work")
    with pytest.raises(ValueError, match="holds other files"):
        annotate(images=str(annotated), output=str(tmp_path / "mine"), **settings())
    shutil.rmtree(tmp_path / "mine")
    strict = settings(landmarks=landmarks, max_residual=1e-6)
    with pytest.raises(ValueError, match="none of 7 faces fits"):
        annotate(images=str(photographs), output=str(tmp_path / "o"), **strict)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="which is not the one"):
        FittedSource(annotated, face_model_crc=face_model_crc(open_face) + 1)
    with pytest.raises(FileNotFoundError, match="--mode=annotate"):
        FittedSource(photographs, face_model_crc=0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"landmarks68_px": np.zeros((1, 68, 2))}, "expected file_name"),
        (
            {"file_name": np.array(["a"]), "landmarks68_px": np.zeros((2, 68, 2))},
            "expected .1, 68, 2. n",
        ),
        ({"file_name": np.array(["a"]), "landmarks68_px": np.ones((1, 68, 2))}, "are not in"),
    ],
)
def test_landmark_files_are_checked(photographs, tmp_path, arrays, message):
    np.savez(tmp_path / "labels.npz", **arrays)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_labelled_faces(photographs, tmp_path / "labels.npz")


def test_progress_goes_to_the_console(photographs, open_face):
    from twodasl_jax.jobs.annotate import fit_faces

    console = Console(width=100, record=True)
    faces = read_labelled_faces(photographs, photographs / "labels.npz")
    fit_faces(open_face, faces, marching=True, console=console)
    assert f"fitting {COUNT} faces" in console.export_text()
