"""The video job from a file to its files, with a made-up network."""

import contextlib
import io
import json
import signal
from fractions import Fraction

import numpy as np
import pytest
from rich.console import Console

from tests.predict.linear_faces import decoder, reconstruction_from_coefficients
from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.predict.video import reconstruct_video as job
from twodasl_jax.predict.video.reconstruct_video import predict_camera, predict_video
from twodasl_jax.predict.video.video_files import VideoFrame, VideoReader, VideoWriter

pytest.importorskip("av")

BOX = np.float32([20, 10, 80, 70])


class MadeUpReconstructor:
    """Finds the mean face in one place."""

    code_layout = CODE_LAYOUT

    def __init__(self, face_model):
        self.face_model, self.decode = face_model, decoder(face_model)

    def __call__(self, image):
        return self.reconstruct_at(image, [BOX])

    def reconstruct_at(self, image, roi_boxes):
        coefficients = np.zeros(62, np.float32)
        coefficients[[0, 5, 10]] = 0.6
        coefficients[[3, 7]] = 60, 61
        return [
            reconstruction_from_coefficients(
                self.face_model, coefficients, BOX, crop=crop_image(image, box), box=box
            )
            for box in roi_boxes
        ]


@pytest.fixture
def reconstructor(small_face_model):
    return MadeUpReconstructor(small_face_model)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)


@pytest.fixture
def film(tmp_path, image):
    path = tmp_path / "my film.v2.mov"
    with VideoWriter(path, frame_rate=Fraction(10)) as writer:
        for index in range(5):
            writer.write(image, index / 10)
    return path


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def test_a_film_gives_a_film_and_its_numbers(tmp_path, reconstructor, film, console):
    folder = tmp_path / "out"
    summary = predict_video(reconstructor, video=str(film), folder=folder, console=console)
    assert sorted(path.name for path in folder.iterdir()) == [
        "my film.v2_faces.jsonl",
        "my film.v2_faces.mp4",
    ]
    assert (summary.num_frames, summary.num_faces) == (5, 1)
    with VideoReader(folder / "my film.v2_faces.mp4") as reader:
        written = list(reader)
    assert len(written) == 5
    assert written[0].image.shape == (80, 200, 3)
    lines = (folder / "my film.v2_faces.jsonl").read_text().splitlines()
    assert [json.loads(line)["faces"][0]["id"] for line in lines] == [1] * 5
    assert "5 frames, 1 face in 5 of them" in console.file.getvalue()


def test_it_stops_after_so_many_frames(tmp_path, reconstructor, film, console):
    summary = predict_video(
        reconstructor, video=str(film), folder=tmp_path, console=console, max_frames=2
    )
    assert summary.num_frames == 2
    assert "ends after" not in console.file.getvalue()


def test_a_film_that_ends_early_is_told(tmp_path, reconstructor, console):
    film = tmp_path / "cut.mp4"
    noise = np.random.default_rng(1).integers(0, 256, (10, 80, 100, 3)).astype(np.uint8)
    with VideoWriter(film) as writer:
        for index, image in enumerate(noise):
            writer.write(image, index / 25)
    data = film.read_bytes()
    film.write_bytes(data[: len(data) // 2])
    summary = predict_video(reconstructor, video=str(film), folder=tmp_path, console=console)
    assert 0 < summary.num_frames < 10
    assert "what could be read was used" in console.file.getvalue()


def test_no_face_is_told(tmp_path, small_face_model, film, console):
    class Blind(MadeUpReconstructor):
        def __call__(self, image):
            return []

    predict_video(Blind(small_face_model), video=str(film), folder=tmp_path, console=console)
    assert "5 frames, no face was found in any frame" in console.file.getvalue()


@pytest.mark.parametrize("max_frames", [0, -3])
def test_no_frames_cannot_be_wanted(tmp_path, reconstructor, film, console, max_frames):
    with pytest.raises(ValueError, match="expected 1 or more"):
        predict_video(
            reconstructor, video=str(film), folder=tmp_path, console=console, max_frames=max_frames
        )


def test_a_camera_without_windows_is_recorded(tmp_path, reconstructor, image, console, monkeypatch):
    monkeypatch.setattr(
        job, "open_camera", lambda _: (VideoFrame(image, index / 7) for index in range(100))
    )
    monkeypatch.setattr(job, "can_show_windows", lambda: False)
    summary = predict_camera(
        reconstructor, camera=0, folder=tmp_path, console=console, max_frames=3
    )
    assert summary.num_frames == 3
    (film,) = tmp_path.glob("camera0_*.mp4")
    with VideoReader(film) as reader:
        # Two frames at a seventh of a second, as they came.
        assert [round(frame.time, 3) for frame in reader] == [0.0, 0.143, 0.286]
    assert "recording to" in console.file.getvalue()


def test_a_camera_with_windows_is_shown(tmp_path, reconstructor, image, console, monkeypatch):
    shown = []

    class MadeUpWindow:
        def __init__(self, title):
            assert title == "camera 1"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            shown.append("closed")

        def show(self, picture):
            shown.append(picture.shape)
            return len(shown) < 2

    monkeypatch.setattr(
        job, "open_camera", lambda _: (VideoFrame(image, index / 7) for index in range(100))
    )
    monkeypatch.setattr(job, "can_show_windows", lambda: True)
    monkeypatch.setattr(job, "Window", MadeUpWindow)
    summary = predict_camera(reconstructor, camera=1, folder=tmp_path, console=console)
    assert summary is None
    assert shown == [(80, 200, 3), (80, 200, 3), "closed"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_closes_the_window_and_is_no_error(
    tmp_path, reconstructor, image, console, monkeypatch
):
    shown = []

    class MadeUpWindow(contextlib.nullcontext):
        def __enter__(self):
            return self

        def show(self, picture):
            shown.append(picture.shape)
            signal.raise_signal(signal.SIGINT)
            return True

    pictures = (VideoFrame(image, index / 7) for index in range(100))
    monkeypatch.setattr(job, "open_camera", lambda _: pictures)
    monkeypatch.setattr(job, "can_show_windows", lambda: True)
    monkeypatch.setattr(job, "Window", MadeUpWindow)
    before = signal.getsignal(signal.SIGINT)
    assert predict_camera(reconstructor, camera=0, folder=tmp_path, console=console) is None
    assert len(shown) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    tmp_path, reconstructor, film, console, monkeypatch
):
    monkeypatch.setattr(reconstructor, "reconstruct_at", lambda *_: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write into .*; choose another folder"):
        predict_video(
            reconstructor, video=str(film), folder=tmp_path / "file" / "x", console=console
        )


def test_a_camera_has_a_number(tmp_path, reconstructor, console):
    with pytest.raises(ValueError, match="--camera=-1; expected the number of a camera"):
        predict_camera(reconstructor, camera=-1, folder=tmp_path, console=console)
