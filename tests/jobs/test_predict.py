"""The predict mode: one or many photographs, bad ones among them, and what is said of each."""

import json
import os

import numpy as np
import pytest
from absl.flags import FLAGS
from PIL import Image

from tests.predict.linear_faces import decode_crops, reconstruct_detected
from twodasl_jax.jobs import predict as job
from twodasl_jax.jobs.modes import MODES, job_of
from twodasl_jax.jobs.options import OPTIONS
from twodasl_jax.jobs.predict import DEFAULT_OUTPUTS, check_photo, parse_box
from twodasl_jax.predict.faces import face_detectors
from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.fit_confidence import UNSURE
from twodasl_jax.predict.files.outputs import OUTPUTS


class MadeUpReconstructor:
    """Finds a face in every photograph that is not all black; the network always sees the same."""

    def __init__(self, face_model, network):
        self.face_model, self.network = face_model, network
        self.code_statistics, self.about = None, ""
        self.boxes = []

    def prepare_detector(self):
        pass

    def __call__(self, image, *, boxes=None):
        self.boxes.append(boxes)
        if not image.any():
            return []
        height, width = image.shape[:2]
        box = np.array([0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height])
        found = [FaceBox(box, 0.9)] if boxes is None else [FaceBox(box) for box in boxes]
        return reconstruct_detected(image, found, self.network, self.face_model, num_refinements=0)


@pytest.fixture
def reconstructor(small_face_model, small_frontal_coefficients, monkeypatch):
    def network(crops, landmarks):
        repeated = np.broadcast_to(small_frontal_coefficients, (len(crops), 62))
        return decode_crops(small_face_model, repeated)

    network.crop_size = 120
    made = MadeUpReconstructor(small_face_model, network)
    monkeypatch.setattr(job.FaceReconstructor, "from_checkpoint", lambda *args, **kwargs: made)
    monkeypatch.setattr(job, "enable_compilation_cache", lambda: None)
    return made


def run(tmp_path, **options):
    """The job with run.py's defaults."""
    defaults = dict.fromkeys((*MODES["predict"].required, *MODES["predict"].optional))
    defaults |= {"workdir": str(tmp_path / "run"), "num_passes": 2}
    job_of("predict")(None, **defaults | options)


def save(path, level=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40), (level, level, level)).save(path)
    return path


def test_the_astronaut_is_the_default(reconstructor, tmp_path, capsys):
    run(tmp_path, outputs=["json", "mesh"], mesh_formats=["ply", "obj"])
    folder = tmp_path / "run" / "prediction"
    assert {path.name for path in folder.iterdir()} == {
        "astronaut.ply", "astronaut.obj", "astronaut.json"
    }  # fmt: skip
    (boxes,) = reconstructor.boxes
    np.testing.assert_array_equal(boxes, [job.ASTRONAUT_BOX])
    told = " ".join(capsys.readouterr().out.split())
    assert "astronaut: yaw 0.0°" in told
    # Its network sees the same face in every crop, so no second view agrees with the first.
    assert "confidence of the fit 0.0" in told
    assert "the fit is unsure (0.0" in told
    record = json.loads((folder / "astronaut.json").read_text())
    assert record["faces"][0]["fit_confidence"] < UNSURE


def test_without_a_run_it_is_the_packages_own_network(reconstructor, tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(
        job.FaceReconstructor,
        "from_checkpoint",
        lambda name, **_: opened.append(name) or reconstructor,
    )
    reconstructor.about = "network: pretrained; licence: research only"
    photo, run_folder = str(save(tmp_path / "a.png")), str(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    run(tmp_path, image=[photo], workdir=None, outputs=["json"])
    assert (tmp_path / "prediction" / "a.json").exists()
    assert capsys.readouterr().out.splitlines()[0] == reconstructor.about
    run(tmp_path, image=[photo], workdir=None, checkpoint="net.npz", outputs=["json"])
    run(tmp_path, image=[photo], workdir=run_folder, checkpoint="net.npz", outputs=["json"])
    assert (tmp_path / "run" / "prediction" / "a.json").exists()
    run(tmp_path, image=[photo], workdir=run_folder, outputs=["json"])
    assert opened == ["pretrained", "net.npz", "net.npz", run_folder]


def test_by_default_strip_mesh_and_json_are_written(reconstructor, tmp_path):
    run(tmp_path, image=[str(save(tmp_path / "mein Bild ☺.png"))])
    folder = tmp_path / "run" / "prediction"
    assert {path.name for path in folder.iterdir()} == {
        "mein Bild ☺_strip.jpg", "mein Bild ☺.glb", "mein Bild ☺.json"
    }  # fmt: skip


def test_a_folder_goes_on_past_bad_files_and_fails_at_the_end(reconstructor, tmp_path, capsys):
    photos = tmp_path / "photos"
    save(photos / "a.png")
    save(photos / "deep" / "a.png")
    save(photos / "black.png", level=0)
    (photos / "broken.jpg").write_bytes(save(photos / "z.jpg").read_bytes()[:100])
    (photos / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"3 of 6 photographs gave no result .*black\.png"):
        run(tmp_path, image=[str(photos)], outputs=["json"], output=str(tmp_path / "out"))
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.json")}
    assert written == {"a.json", "deep/a.json", "z.json"}
    told = "".join(capsys.readouterr().out.split())
    for reason in ("nofacewasfoundin", "cannotbereadtoitsend", "noimagethatPillowcanread"):
        assert reason in told
    assert "3of6photographsarein" in told


def test_a_single_bad_photograph_is_one_error(reconstructor, tmp_path):
    black = save(tmp_path / "black.png", level=0)
    with pytest.raises(ValueError, match=r"no face .* turned by every 45 degrees .*--box"):
        run(tmp_path, image=[str(black)])
    assert not list((tmp_path / "run" / "prediction").iterdir())


def test_a_box_is_for_one_photograph(reconstructor, tmp_path):
    photos = [save(tmp_path / name) for name in ("a.png", "b.png")]
    with pytest.raises(ValueError, match="--box frames a face in one photograph"):
        run(tmp_path, image=[str(tmp_path)], box=["1", "2", "30", "40"])
    run(tmp_path, image=[str(photos[0])], box=["1", "2", "30", "40"], outputs=["json"])
    (face,) = json.loads((tmp_path / "run" / "prediction" / "a.json").read_text())["faces"]
    assert face["box"] == [1, 2, 30, 40]


def test_the_help_names_all_outputs_and_the_default():
    (option,) = (option for option in OPTIONS if option.name == "outputs")
    named, default = ", ".join(OUTPUTS), ",".join(DEFAULT_OUTPUTS)
    assert f"of {named} (docs/predict.md); else {default}." in FLAGS[option.name].help


def test_unknown_outputs_are_told_before_anything_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="no output is called 'hologram'; choose one or more of"):
        run(tmp_path, outputs=["hologram"])


@pytest.mark.skipif(os.geteuid() == 0, reason="left out: root may write everywhere")
def test_an_unwritable_folder_is_named(reconstructor, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OSError, match=r"cannot write into .*locked"):
        run(tmp_path, output=str(tmp_path / "locked" / "out"))


def test_a_file_in_the_folders_place_is_named(reconstructor, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write into .*out"):
        run(tmp_path, output=str(tmp_path / "out"))


def test_one_photograph_that_breaks_a_library_does_not_stop_the_others(
    reconstructor, tmp_path, monkeypatch, capsys
):
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / "photos" / name)
    reconstruct = type(reconstructor).__call__

    def broken(self, image, *, boxes=None):
        if len(self.boxes) == 1:
            self.boxes.append(None)
            raise RuntimeError("out of memory")
        return reconstruct(self, image, boxes=boxes)

    monkeypatch.setattr(type(reconstructor), "__call__", broken)
    with pytest.raises(ValueError, match=r"1 of 3 photographs gave no result .*b\.png"):
        run(tmp_path, image=[str(tmp_path / "photos")], outputs=["json"])
    assert "b: RuntimeError: out of memory" in capsys.readouterr().out


@pytest.mark.parametrize("box", [["1", "2", "3"], ["a", "1", "2", "3"], ["5", "0", "4", "9"]])
def test_a_box_that_frames_nothing_is_refused(box):
    with pytest.raises(ValueError, match="frames nothing"):
        parse_box(box)


def test_training_looks_for_its_photograph_first(tmp_path, monkeypatch):
    check_photo(None, None)
    with pytest.raises(ValueError, match="frames nothing"):
        check_photo(None, ["9", "0", "1", "5"])
    with pytest.raises(FileNotFoundError, match="no image at"):
        check_photo([str(tmp_path / "absent.jpg")], None)

    def absent():
        raise ValueError("not installed")

    monkeypatch.setitem(face_detectors.FACE_DETECTORS, face_detectors.DEFAULT_DETECTOR, absent)
    photo = save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not installed"):
        check_photo([str(photo)], None)
    check_photo([str(photo)], ["0", "0", "20", "20"])
    monkeypatch.setitem(
        face_detectors.FACE_DETECTORS,
        face_detectors.DEFAULT_DETECTOR,
        lambda: lambda image, **_: [],
    )
    with pytest.raises(ValueError, match="no face was found"):
        check_photo([str(photo)], None)
    with pytest.raises(ValueError, match="one photograph at its end; 2 came"):
        check_photo([str(photo), str(photo)], None)


def test_one_kind_of_input_at_a_time(tmp_path):
    for options in (
        {"image": ["a.jpg"], "camera": 0},
        {"video": "a.mp4", "camera": 0},
        {"video": "a.mp4", "outputs": ["json"]},
        {"image": ["a.jpg"], "box": ["0", "0", "9", "9"], "detector": "dlib"},
    ):
        with pytest.raises(ValueError, match="do not go together; leave one of them out"):
            run(tmp_path, **options)
    for options in ({"image": ["a.jpg"], "max_frames": 3}, {"smooth": False}):
        with pytest.raises(ValueError, match="are for --video and --camera"):
            run(tmp_path, **options)


def test_videos_and_cameras_are_passed_on(reconstructor, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(job, "predict_video", lambda *a, **given: called.append(given))
    monkeypatch.setattr(job, "predict_camera", lambda *a, **given: called.append(given))
    run(tmp_path, video="a.mp4", max_frames=3)
    run(tmp_path, camera=1, output=str(tmp_path / "here"), smooth=False)
    of_video, of_camera = called
    assert of_video["video"] == "a.mp4"
    assert of_video["max_frames"] == 3
    assert of_video["smooth"]
    assert of_video["folder"] == tmp_path / "run" / "prediction"
    assert of_camera["camera"] == 1
    assert of_camera["folder"] == tmp_path / "here"
    assert not of_camera["smooth"]
