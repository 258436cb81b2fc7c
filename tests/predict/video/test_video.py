"""The side-by-side picture, the lines, and what is left when it is stopped."""

import json
import signal
from fractions import Fraction

import chex
import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.predict.video.tracking import FaceTracker, TrackedFace
from twodasl_jax.predict.video.video import (
    PANEL_SIZE,
    frame_record,
    side_by_side,
    write_faces_of_video,
)
from twodasl_jax.predict.video.video_files import VideoFrame, VideoReader


def frames(photo, count):
    for index in range(count):
        yield VideoFrame(np.roll(photo, index, axis=1), index / 20)


@pytest.fixture
def write(tmp_path, dome_face, frontal, photo):
    """Writes `count` frames in all of which the frontal dome is found; keeps the files' names."""
    pytest.importorskip("av")

    def written(given=None, find=lambda _: [frontal]):
        tracker = FaceTracker(find, lambda _, boxes: [frontal for _ in boxes])
        return write_faces_of_video(
            frames(photo, 6) if given is None else given,
            tracker,
            dome_face,
            video_path=tmp_path / "a.mp4",
            lines_path=tmp_path / "a.jsonl",
            frame_rate=Fraction(20),
            console=Console(quiet=True),
            num_frames=6,
        )

    return written


def read_lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]


def test_the_picture_is_the_frame_and_its_overlay(dome_face, frontal, photo):
    both = side_by_side(photo, [TrackedFace(1, frontal, frontal)], dome_face)
    chex.assert_shape(both, (160, 400, 3))
    chex.assert_trees_all_equal(both[:, :200], photo)
    changed = (both[:, 200:] != photo).any(-1)
    assert changed[40:120, 60:140].mean() > 0.95  # the dome
    assert not changed[:20].any()


def test_without_faces_both_are_the_frame(dome_face, photo):
    both = side_by_side(photo, [], dome_face)
    chex.assert_trees_all_equal(both[:, :200], both[:, 200:])


def test_large_frames_are_drawn_smaller_with_their_faces(dome_face, reconstruct, photo):
    coefficients = np.zeros(62, np.float32)
    coefficients[:12] = [1, 0, 0, 60, 0, 1, 0, 61, 0, 0, 1, 0]
    face = reconstruct(coefficients, np.float32([400, 200, 1600, 1400]))  # ten times the photo's
    image = np.full((1601, 2000, 3), 128, np.uint8)
    both = side_by_side(image, [TrackedFace(1, face, face)], dome_face)
    assert both.shape[0] <= PANEL_SIZE[1]
    assert both.shape[1] <= 2 * PANEL_SIZE[0]
    assert both.shape[0] % 2 == 0
    overlay = both[:, both.shape[1] // 2 :]
    # The dome's rim is at 500 and 1500 of 2000 columns, 300 of 1601 rows, and so are landmarks,
    # whose outlined dots reach 8 px beyond it. In its upper half is no label.
    rows, columns = np.nonzero((overlay[:350] != 128).any(-1))
    scale = overlay.shape[1] / 2000
    assert columns.min() == pytest.approx(500 * scale, abs=8)
    assert rows.min() == pytest.approx(300 * scale, abs=8)


def test_a_record_holds_what_was_found(frontal):
    record = json.loads(json.dumps(frame_record(7, 0.35, [TrackedFace(3, frontal, frontal)])))
    assert (record["version"], record["frame"], record["time"]) == (1, 7, 0.35)
    (face,) = record["faces"]
    assert face["id"] == 3
    assert face["roi_box"] == [40, 20, 160, 140]
    assert face["fit_confidence"] is None  # made up here, not predicted
    assert set(face["head_pose_degrees"]) == {"pitch", "yaw", "roll"}
    # Two decimals are written.
    chex.assert_trees_all_close(
        np.array(face["landmarks"]), frontal.landmarks.astype(np.float64), atol=0.0051
    )


def test_every_frame_has_its_picture_and_its_line(write, tmp_path):
    summary = write()
    assert (summary.num_frames, summary.num_frames_with_faces, summary.num_faces) == (6, 6, 1)
    assert not summary.interrupted
    with VideoReader(tmp_path / "a.mp4") as reader:
        times = [frame.time for frame in reader]
    lines = read_lines(tmp_path)
    assert [line["frame"] for line in lines] == list(range(6))
    # The video's clock has 90,000 ticks per second.
    chex.assert_trees_all_close([line["time"] for line in lines], times, atol=1e-5)


def test_a_video_without_faces_is_written_all_the_same(write, tmp_path):
    summary = write(find=lambda _: [])
    assert (summary.num_frames, summary.num_frames_with_faces, summary.num_faces) == (6, 0, 0)
    assert [line["faces"] for line in read_lines(tmp_path)] == [[]] * 6


def test_one_interrupt_keeps_what_was_done(write, tmp_path, photo):
    def given():
        for frame in frames(photo, 6):
            if frame.time == 0.1:
                signal.raise_signal(signal.SIGINT)
            yield frame

    before = signal.getsignal(signal.SIGINT)
    summary = write(given())
    assert summary.interrupted
    assert summary.num_frames == 3  # the frame at hand is finished
    assert len(read_lines(tmp_path)) == 3
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_second_interrupt_or_an_error_leaves_nothing(write, tmp_path, photo, error):
    def given():
        yield from frames(photo, 2)
        if error is KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        raise error

    with pytest.raises(error):
        write(given())
    assert list(tmp_path.iterdir()) == []


def test_progress_shows_frames_per_second(tmp_path, dome_face, photo):
    pytest.importorskip("av")
    console = Console(force_terminal=True, width=100, record=True)
    write_faces_of_video(
        frames(photo, 3),
        FaceTracker(lambda _: [], lambda _, boxes: []),
        dome_face,
        video_path=tmp_path / "a.mp4",
        lines_path=tmp_path / "a.jsonl",
        frame_rate=Fraction(20),
        console=console,
        num_frames=3,
    )
    shown = console.export_text()
    assert "3/3" in shown
    assert "frames/s" in shown
