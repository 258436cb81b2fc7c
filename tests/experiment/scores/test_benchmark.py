"""`--mode=evaluate` on benchmarks: the published numbers, what is written, what is refused."""

import csv
import importlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from PIL import Image
from rich.console import Console

from tests.pretrained.untrained import untrained_network
from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.scores import benchmark
from twodasl_jax.experiment.scores.benchmark import score_benchmark
from twodasl_jax.experiment.scores.benchmark_checks import RESULT_FILES, read_landmark_vertices
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE, load_face_model
from twodasl_jax.jobs.modes import MODES, run_mode
from twodasl_jax.methods.method import Faces
from twodasl_jax.methods.twodasl_setup import TwoDASLFamily
from twodasl_jax.predict.faces.landmark_detectors import LANDMARK_DETECTORS
from twodasl_jax.pretrained.network_file import write_network_file
from twodasl_jax.training.state import Networks

NAMES = [f"image0000{number}.jpg" for number in (2, 3, 4, 5)]
BOXES = np.array([[2.0, 1, 180, 180], [10, 3, 180, 173], [13, 12, 176, 175], [1, 1, 172, 173]])


def config(folder, **settings):
    chosen = importlib.import_module("configs.evaluation").get_config()
    chosen.update({"data_dir": str(folder), "annotated_vertices": 0, "batch_size": 3} | settings)
    return chosen


def score(chosen, workdir, **flags):
    given = {"checkpoint": None, "predictions": None, "face_model": None} | flags
    given = {name: None if value is None else str(value) for name, value in given.items()}
    score_benchmark(chosen, workdir=str(workdir), **given)
    return json.loads((workdir / "results.json").read_text())


@pytest.fixture
def original(repository, tmp_path):
    folder = tmp_path / "aflw2000_3d"
    shutil.copytree(repository / "tfds_builders" / "aflw2000_3d" / "dummy_data", folder)
    return folder


@pytest.fixture
def perfect(original, tmp_path, quiet):
    """The annotated coefficients as a predictions file."""
    opened = open_aflw2000_3d(original, quiet)
    path = tmp_path / "perfect.npz"
    np.savez(
        path,
        file_name=NAMES,
        coefficients=opened.truth["coefficients"],
        roi_box=opened.roi_box,
    )
    return path


@pytest.fixture
def quiet():
    return Console(quiet=True)


@pytest.fixture(scope="module")
def run():
    """An untrained network of the real kind, whose whitening makes every output a face."""
    settings = importlib.import_module("configs.quickstart").get_config()
    stage = settings.stages[0]
    stage.loss_weights = {"coefficient": 1.0}
    family, (face_model, arrays) = TwoDASLFamily(), face_model_and_arrays()
    method = family.make(models=settings.models, losses=settings.losses, stage=stage)
    networks = method.init(jax.random.key(0))
    return TrainedRun(plain(settings), stage.name, 7, face_model, family, method, networks, arrays)


def face_model_and_arrays():
    face_model = load_face_model()
    faces = sample_model_faces(face_model, np.random.default_rng(0), 50)
    return face_model, TwoDASLFamily().fit_arrays(face_model, faces.coefficients)


@pytest.fixture
def untrained(run, monkeypatch):
    """``--checkpoint=untrained`` is that network."""
    monkeypatch.setattr(benchmark, "open_trained", lambda name, **_: run)
    return "untrained"


class AllThatItIsShown:
    """A method whose predictions hang on all that it is shown, without a network to compile."""

    crop_size = 120
    code_layout = CODE_LAYOUT

    def predict(self, networks, constants, image, landmarks):
        shown = image.reshape(len(image), -1).mean(axis=1) / 255
        shown = shown + jnp.nan_to_num(landmarks).mean(axis=(1, 2)) / 120
        mean, std = (jnp.asarray(part)[None] for part in constants.whitening)
        coefficients = mean + shown[:, None] * std
        camera = coefficients[:, :12].reshape(-1, 3, 4)
        return self.decode(networks, constants, camera, coefficients[:, 12:])

    def decode(self, networks, constants, camera, code):
        del networks
        points = vertices_from_coefficients(constants.points, code[:, :40], code[:, 40:])
        return Faces(camera, points, code)


@pytest.fixture
def stand_in(monkeypatch):
    """``--checkpoint=stand_in`` is a run of that method."""
    face_model, arrays = face_model_and_arrays()
    made = (TwoDASLFamily(), AllThatItIsShown(), Networks({}, {}), arrays)
    run = TrainedRun({}, "stage1", 7, face_model, *made)
    monkeypatch.setattr(benchmark, "open_trained", lambda name, **_: run)
    return "stand_in"


def test_a_network_file_is_scored_by_its_name(original, tmp_path, capsys):
    write_network_file(tmp_path / "net.npz", untrained_network(load_face_model(), step=70))
    name = str(tmp_path / "net.npz")
    results = score(config(original, metrics=("landmarks68_2d",)), tmp_path / "o", checkpoint=name)
    system = results["system"]
    assert (system["checkpoint"], system["stage"], system["step"]) == (name, "only", 70)
    assert system["config"]["models"]["backbone"] == "resnet_tiny"
    assert "licence: none: it is not trained" in capsys.readouterr().out


def test_perfect_predictions_and_everything_that_is_written(original, perfect, tmp_path, capsys):
    out = tmp_path / "out"
    results = score(config(original), out, predictions=perfect, face_model=OPEN_FACE_FILE)
    assert results["benchmark"] == "aflw2000_3d"
    assert results["num_images"] == 4
    assert results["left_out"] == []
    assert results["not_computed"] == {}
    expected = {
        "landmarks68_2d": {"original"},
        "landmarks68_3d": {"z_minimum", "z_mean"},
        "dense_2d": {"annotated"},
        "dense_3d": {"z_minimum", "z_mean"},
        "reconstruction_icp": {"same_vertex", "nearest_point"},
        "head_pose": {"all_images", "within_99_degrees"},
    }
    assert {name: set(variants) for name, variants in results["metrics"].items()} == expected
    names = (
        *("bin_0_30", "bin_30_60", "bin_60_90", "mean_of_bins", "std_of_bins", "mean_of_images"),
        *("mean_without_worst_20", "failure_rate_10", "auc_10"),
    )
    for metric in set(expected) - {"head_pose"}:
        for numbers in results["metrics"][metric].values():
            assert set(names) <= set(numbers)
            # %: float32, and labels written in pixels by another program.
            assert numbers["mean_of_images"] < 0.02
    # Degrees; float32 Euler angles.
    assert results["metrics"]["head_pose"]["all_images"]["mean"] < 0.01
    for name in ("crop_source", "landmark_map_source", "yaw_source", "normaliser", "coordinates"):
        assert results["conventions"][name]
    assert results["config"]["benchmark"] == "aflw2000_3d"
    assert len(results["system"]["sha256"]) == 64
    assert results["seconds"]["all"] > 0
    assert {path.name for path in out.iterdir()} == set(RESULT_FILES)
    for picture in ("error_curve.png", "faces.png"):
        with Image.open(out / picture) as image:
            assert np.asarray(image).std() > 5  # not an empty sheet
    with (out / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == NAMES
    assert float(rows[0]["landmarks68_2d_original_percent"]) < 0.02
    told = capsys.readouterr().out
    for part in ("reconstruction_icp nearest_point", "AUC", "head_pose", "faces per bin"):
        assert part in told


def test_what_it_wrote_can_be_scored_again(original, tmp_path, untrained, capsys):
    first = score(config(original), tmp_path / "first", checkpoint=untrained)
    assert first["system"]["step"] == 7
    assert first["prediction"]["images_per_second"] > 0
    assert first["prediction"]["empty_landmark_maps"] == 4
    assert "leak" in first["conventions"]["crop_source"]
    assert "images/s" in capsys.readouterr().out
    again = score(
        config(original),
        tmp_path / "again",
        predictions=tmp_path / "first" / "predictions.npz",
        face_model=OPEN_FACE_FILE,
    )
    assert again["metrics"] == first["metrics"]
    assert again["conventions"] == first["conventions"]
    with np.load(OPEN_FACE_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    other = tmp_path / "other.npz"
    np.savez(other, **arrays | {"expression_basis": -arrays["expression_basis"]})
    with pytest.raises(ValueError, match=r"predictions\.npz were predicted .* in expression_basis"):
        score(
            config(original),
            tmp_path / "third",
            predictions=tmp_path / "first" / "predictions.npz",
            face_model=other,
        )


def spoil_labels(folder):
    """Every label of every face becomes another; photographs and boxes stay."""
    random = np.random.default_rng(5)
    for path in (folder / "AFLW2000").glob("*.mat"):
        fields = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
        for key in ("pt3d_68", "pt2d", "Shape_Para", "Exp_Para"):
            fields[key] = fields[key] + random.normal(size=fields[key].shape) * 9
        fields["Pose_Para"] = fields["Pose_Para"] * 0.7
        scipy.io.savemat(path, fields)


def detections(photo):
    """A made-up detector: what it finds depends on the photograph alone."""
    random = np.random.default_rng(int(photo.sum()) % 2**32)
    return random.uniform(40, 140, (1, 68, 2))


@pytest.mark.parametrize("crop_source", ["landmarks", "detector"])
@pytest.mark.parametrize("landmark_map_source", ["none", "detector", "file"])
def test_labels_cannot_reach_the_network(
    original, tmp_path, stand_in, monkeypatch, crop_source, landmark_map_source
):
    monkeypatch.setitem(LANDMARK_DETECTORS, "made_up", lambda: detections)
    detected = np.random.default_rng(6).uniform(20, 100, (4, 68, 2))
    annotations = {"roi_box": BOXES, "detected_landmarks_crop_px": detected}
    np.savez(original / "annotations.npz", file_name=NAMES, **annotations)
    spoilt = tmp_path / "spoilt"
    shutil.copytree(original, spoilt)
    spoil_labels(spoilt)
    predicted, metrics = [], []
    for number, folder in enumerate((original, spoilt)):
        chosen = config(
            folder,
            crop_source=crop_source,
            landmark_map_source=landmark_map_source,
            detector="made_up",
            metrics=("landmarks68_2d",),
        )
        results = score(chosen, tmp_path / str(number), checkpoint=stand_in)
        metrics.append(results["metrics"])
        with np.load(tmp_path / str(number) / "predictions.npz") as file:
            predicted.append(dict(file))
    for key, array in predicted[0].items():
        np.testing.assert_array_equal(predicted[1][key], array)
    assert metrics[0] != metrics[1]
    assert predicted[0]["crop_source"] == results["conventions"]["crop_source"]
    assert str(predicted[0]["landmark_map_source"]).startswith(landmark_map_source)


def test_the_sources_change_what_the_network_sees(original, tmp_path, stand_in, monkeypatch):
    monkeypatch.setitem(LANDMARK_DETECTORS, "made_up", lambda: detections)
    seen = {}
    for source in ("none", "detector"):
        chosen = config(
            original,
            landmark_map_source=source,
            detector="made_up",
            metrics=("landmarks68_2d",),
            num_passes=1,
        )
        results = score(chosen, tmp_path / source, checkpoint=stand_in)
        assert results["prediction"]["empty_landmark_maps"] == (4 if source == "none" else 0)
        with np.load(tmp_path / source / "predictions.npz") as file:
            seen[source] = file["coefficients"]
    assert np.abs(seen["none"] - seen["detector"]).max() > 1e-3


@pytest.mark.parametrize("key", ["detected_landmarks_px", "detected_landmarks_crop_px"])
def test_labels_that_come_as_detections_are_refused(original, tmp_path, stand_in, quiet, key):
    opened = open_aflw2000_3d(original, quiet)
    points = opened.truth["original"][..., :2]
    if key == "detected_landmarks_crop_px":
        start, end = np.split(opened.roi_box[:, None], 2, axis=-1)
        points = (points - start) * 120 / (end - start)
    np.savez(tmp_path / "given.npz", file_name=NAMES, **{key: points + 0.01})
    chosen = config(
        original, landmark_map_source="file", landmarks_file=str(tmp_path / "given.npz")
    )
    with pytest.raises(ValueError, match="from the original labels: they are the ground truth"):
        score(chosen, tmp_path / "out", checkpoint=stand_in)
    assert not (tmp_path / "out").exists()


def test_undetected_faces_are_listed_and_counted(original, tmp_path, stand_in, monkeypatch, capsys):
    found = iter([True, False, True, False])
    monkeypatch.setitem(
        LANDMARK_DETECTORS,
        "made_up",
        lambda: lambda photo: detections(photo)[: int(next(found))],
    )
    chosen = config(original, crop_source="detector", detector="made_up")
    results = score(chosen, tmp_path / "out", checkpoint=stand_in)
    reason = "the detector found no face (made_up)"
    assert results["left_out"] == [
        {"file_name": NAMES[1], "reason": reason},
        {"file_name": NAMES[3], "reason": reason},
    ]
    assert results["num_images"] == 2
    assert results["metrics"]["landmarks68_2d"]["original"]["count"] == 2
    assert "2 faces were left out" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setitem(LANDMARK_DETECTORS, "made_up", lambda: lambda photo: np.zeros((0, 68, 2)))
    with pytest.raises(ValueError, match="all 4 faces of aflw2000_3d are left out"):
        score(chosen, tmp_path / "none", checkpoint=stand_in)
    # For the map alone nothing is left out: those faces have an empty one.
    chosen.crop_source, chosen.landmark_map_source = "landmarks", "detector"
    results = score(chosen, tmp_path / "map", checkpoint=stand_in)
    assert (results["num_images"], results["prediction"]["empty_landmark_maps"]) == (4, 4)


def test_landmarks_alone_need_no_face_model(original, tmp_path, quiet):
    points = open_aflw2000_3d(original, quiet).truth["original"][..., :2] + 1.0
    np.savez(tmp_path / "flat.npz", file_name=NAMES, landmarks=points)
    results = score(config(original), tmp_path / "out", predictions=tmp_path / "flat.npz")
    assert set(results["metrics"]) == {"landmarks68_2d"}
    assert "no depth" in results["not_computed"]["landmarks68_3d"]
    assert "landmarks only" in results["not_computed"]["dense_3d"]
    with pytest.raises(ValueError, match="dense_2d cannot be computed: the predictions hold"):
        score(
            config(original, metrics=("dense_2d",)),
            tmp_path / "dense",
            predictions=tmp_path / "flat.npz",
        )


def test_the_wrong_face_model_is_refused_and_nothing_is_written(
    original, perfect, tmp_path, stand_in
):
    chosen = config(original, annotated_vertices=53_215)
    with pytest.raises(ValueError, match="vertices; expected the 53,215"):
        score(chosen, tmp_path / "out", predictions=perfect, face_model=OPEN_FACE_FILE)
    spoil_labels(original)
    with pytest.raises(ValueError, match=r"% from the labels; .*is it another one"):
        score(config(original), tmp_path / "out", predictions=perfect, face_model=OPEN_FACE_FILE)
    assert not (tmp_path / "out").exists()
    # A run with another face model is scored as far as landmarks and pose go.
    results = score(chosen, tmp_path / "run", checkpoint=stand_in)
    assert set(results["not_computed"]) == {"dense_2d", "dense_3d", "reconstruction_icp"}
    assert set(results["metrics"]) == {"landmarks68_2d", "landmarks68_3d", "head_pose"}


@pytest.mark.parametrize(
    ("settings", "flags", "message"),
    [
        ({"benchmark": "aflw3000"}, {}, "benchmark is 'aflw3000'; choose one of aflw2000_3d, aflw"),
        ({"crop_source": "truth"}, {}, "crop_source is 'truth'; choose one of landmarks, detector"),
        ({"landmark_map_source": "truth"}, {}, "choose one of none, detector, file"),
        ({"metrics": ("nme",)}, {}, "a metric of aflw2000_3d is 'nme'; choose one of landmarks68"),
        ({"landmarks_file": "a.npz"}, {}, "read only with landmark_map_source=file"),
        ({"data_dir": ""}, {}, r"no --config\.data_dir was given"),
        ({"fits": "fits"}, {}, "fits are of a crops folder .*, not of aflw2000_3d; leave"),
        ({"error_curve_without_worst": 4}, {}, "without_worst is 4; expected 0 to 3, of 4 faces"),
        ({"error_curve_without_worst": -1}, {}, "without_worst is -1; expected 0 to 3"),
        ({"stage": "stage1"}, {"checkpoint": None, "predictions": "a.npz"}, "leave it out"),
        ({"detector": "eyes", "crop_source": "detector"}, {}, "no landmark detector is called"),
        ({"landmark_map_source": "file"}, {}, "has no detected landmarks of its own"),
        ({}, {"checkpoint": None}, "give either --checkpoint=RUN or --predictions=FILE"),
        ({}, {"predictions": "a.npz"}, "give either --checkpoint=RUN or --predictions=FILE"),
        (
            {},
            {"checkpoint": None, "predictions": "a.npz"},
            r"no file a\.npz; --predictions",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(original, tmp_path, stand_in, settings, flags, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        score(config(original, **settings), tmp_path / "out", **({"checkpoint": stand_in} | flags))
    assert not (tmp_path / "out").exists()


def test_a_curve_without_the_worst_is_a_named_picture_and_no_other_number(
    original, perfect, tmp_path
):
    flags = {"predictions": perfect, "face_model": OPEN_FACE_FILE}
    whole = score(config(original), tmp_path / "whole", **flags)
    best = score(config(original, error_curve_without_worst=2), tmp_path / "best", **flags)
    assert best["conventions"].pop("error_curve") == "without the 2 largest errors"
    for key in ("conventions", "metrics", "num_images", "left_out"):
        assert best[key] == whole[key]
    curves = [(tmp_path / name / "error_curve.png").read_bytes() for name in ("whole", "best")]
    assert curves[0] != curves[1]


def test_a_trained_runs_own_results_are_not_overwritten(original, perfect, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a trained run; give another --workdir"):
        score(config(original), tmp_path / "run", predictions=perfect, face_model=OPEN_FACE_FILE)


def test_a_stopped_writer_leaves_the_earlier_result(original, perfect, tmp_path, monkeypatch):
    flags = {"predictions": perfect, "face_model": OPEN_FACE_FILE}
    score(config(original), tmp_path / "out", **flags)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def stop(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(benchmark, "write_pictures", stop)
    with pytest.raises(OSError, match="no space left"):
        score(config(original), tmp_path / "out", **flags)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_predictions_are_not_overwritten_by_their_own_score(original, perfect, tmp_path):
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "predictions.npz"
    shutil.copy(perfect, mine)
    with pytest.raises(ValueError, match="is an input, and writing into"):
        score(config(original), tmp_path / "out", predictions=mine, face_model=OPEN_FACE_FILE)
    assert [path.name for path in mine.parent.iterdir()] == ["predictions.npz"]


def test_lfpa_needs_its_table(repository, tmp_path, stand_in):
    folder = repository / "tfds_builders" / "aflw_lfpa" / "dummy_data"
    chosen = config(folder, benchmark="aflw_lfpa")
    with pytest.raises(ValueError, match="no public table"):
        score(chosen, tmp_path / "out", checkpoint=stand_in)
    np.save(tmp_path / "table.npy", np.arange(34))
    chosen.landmark_vertices = str(tmp_path / "table.npy")
    results = score(chosen, tmp_path / "out", checkpoint=stand_in)
    numbers = results["metrics"]["landmarks34_2d"]["visible"]
    assert numbers["mean_of_images"] > 0
    assert numbers["mean_of_bins"] is None  # the benchmark has no yaw
    for wrong in (np.arange(33), np.arange(34) - 1, np.zeros(34)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(ValueError, match=r"expected a \.npy of \(34,\) vertex indices"):
            read_landmark_vertices(tmp_path / "wrong.npy")


def test_the_mode_tells_a_benchmark_from_a_run(original, perfect, tmp_path):
    options = dict.fromkeys(MODES["evaluate"].optional) | {"workdir": str(tmp_path / "out")}
    given = {"predictions": str(perfect), "face_model": str(OPEN_FACE_FILE)}
    run_mode("evaluate", config(original, metrics=("landmarks68_2d",)), options | given)
    assert (tmp_path / "out" / "results.json").exists()
    with pytest.raises(ValueError, match=r"--predictions is for a benchmark: --config=configs/ev"):
        run_mode("evaluate", None, options | {"predictions": str(perfect)})
    with pytest.raises(FileNotFoundError, match="holds no run"):
        run_mode("evaluate", None, options | {"workdir": str(tmp_path / "none")})


@pytest.mark.shared_data
def test_the_published_coefficients_score_as_published(shared_data, tmp_path):
    sample, model = shared_data / "aflw2000_3d_sample", shared_data / "bfm" / "bfm2009_53215.npz"
    with np.load(sample / "annotations.npz") as file, np.load(model) as bfm:
        whitened = file["released_2dasl_whitened_coefficients"]
        np.savez(
            tmp_path / "released.npz",
            file_name=file["file_name"],
            coefficients=whitened * bfm["coefficient_std"] + bfm["coefficient_mean"],
            roi_box=file["roi_box"],
        )
    results = score(
        config(sample, annotated_vertices=53_215),
        tmp_path / "out",
        predictions=tmp_path / "released.npz",
        face_model=model,
    )
    assert results["num_images"] == 40
    assert not results["not_computed"]
    expected = json.loads((sample / "expected_nme.json").read_text())
    with (tmp_path / "out" / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for labels, numbers in expected.items():
        scored = results["metrics"]["landmarks68_2d"][labels]
        for name in ("bin_0_30", "bin_30_60", "bin_60_90", "mean_of_bins", "mean_of_images"):
            # Required by the evaluation protocol: 1e-4 percentage points.
            assert scored[name] == pytest.approx(numbers[name], abs=1e-4), name
        column = [float(row[f"landmarks68_2d_{labels}_percent"]) for row in rows]
        # %, five decimals.
        np.testing.assert_allclose(column, 100 * np.array(numbers["per_image"]), atol=2e-5)
