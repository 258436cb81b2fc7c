"""Reconstructs the faces of a video or of a camera's pictures."""

import functools
import itertools
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import Faces
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.files.outputs import check_writable
from twodasl_jax.predict.files.photo_list import result_stem
from twodasl_jax.predict.video.smoothing import FaceSmoother
from twodasl_jax.predict.video.tracking import FaceTracker
from twodasl_jax.predict.video.video import (
    VideoSummary,
    interrupt_asked,
    side_by_side,
    write_faces_of_video,
)
from twodasl_jax.predict.video.video_files import VideoReader
from twodasl_jax.predict.video.webcam import Window, can_show_windows, open_camera
from twodasl_jax.whole_file import fitting_name

_CAMERA_RATE = Fraction(30)


class VideoReconstructor(Protocol):
    """What a video needs: all faces of a picture, and those at given boxes."""

    @property
    def face_model(self) -> FaceModel:
        """Of the reconstructions."""
        ...

    @property
    def code_layout(self) -> Mapping[str, slice]:
        """Parts of their codes."""
        ...

    def decode(self, camera: np.ndarray, code: np.ndarray) -> Faces:
        """Of cameras ``(b, 3, 4)`` and codes ``(b, k)``; numpy arrays."""
        ...

    def __call__(self, image: np.ndarray) -> list[Reconstruction]:
        """All faces of ``(h, w, 3)`` uint8 RGB; [] where there is none."""
        ...

    def reconstruct_at(
        self,
        image: np.ndarray,
        roi_boxes: Sequence[np.ndarray],
        turns_degrees: Sequence[float] | None = None,
    ) -> list[Reconstruction]:
        """The faces at k crops ``(4,)``, in their order, each with its own turn."""
        ...


def predict_video(
    reconstructor: VideoReconstructor,
    *,
    video: str,
    folder: Path,
    console: Console,
    max_frames: int | None = None,
    smooth: bool = True,
) -> VideoSummary:
    """Writes ``<name>_faces.mp4`` and ``<name>_faces.jsonl`` for a video file.

    Sound is left out. Frame times and duration are the video's.

    Args:
      reconstructor: of a trained run.
      video: path of the file.
      folder: where to write; made if absent.
      console: for the progress and what came out.
      max_frames: stop after so many; None is all.
      smooth: see `TrackingOptions`.

    Raises:
      FileNotFoundError, ValueError, OSError: where it cannot be read or written; nothing is
        left behind then.
    """
    _check_max_frames(max_frames)
    check_writable(folder)
    paths = _paths(folder, result_stem(Path(video).stem), "_faces")
    with VideoReader(video) as reader:
        expected = reader.num_frames
        if max_frames is not None:
            expected = max_frames if expected is None else min(max_frames, expected)
        summary = write_faces_of_video(
            itertools.islice(reader, max_frames),
            _tracker(reconstructor, smooth),
            reconstructor.face_model,
            video_path=paths[0],
            lines_path=paths[1],
            frame_rate=reader.frame_rate,
            console=console,
            num_frames=expected,
        )
        problem = reader.problem
    if problem is not None:
        console.print(f"{video}: {problem}; what could be read was used")
    _print_summary(summary, paths, console)
    return summary


def predict_camera(
    reconstructor: VideoReconstructor,
    *,
    camera: int,
    folder: Path,
    console: Console,
    max_frames: int | None = None,
    smooth: bool = True,
) -> VideoSummary | None:
    """Shows a camera's faces in a window; without windows, records them as for a video.

    Args:
      reconstructor: of a trained run.
      camera: number of the device.
      folder: where to write ``camera<N>_<date>_<time>.mp4`` and ``.jsonl``; made if absent.
      console: for what is going on.
      max_frames: stop after so many; None goes on until Ctrl-C, or the window is closed.
      smooth: see `TrackingOptions`.

    Returns:
      What was recorded, or None where it was shown.

    Raises:
      OSError: where there is no such camera, or the files cannot be written.
      ValueError: for wrong arguments, or without PyAV where it is needed.
    """
    _check_max_frames(max_frames)
    if camera < 0:
        raise ValueError(f"--camera={camera}; expected the number of a camera, 0 is the first")
    frames = itertools.islice(open_camera(camera), max_frames)  # fails first, if it does
    tracker = _tracker(reconstructor, smooth)
    if can_show_windows():
        console.print("press Q in the window, or Ctrl-C here, to end")
        with interrupt_asked() as interrupt, Window(f"camera {camera}") as window:
            for frame in frames:
                faces = tracker(frame.image, frame.time)
                picture = side_by_side(frame.image, faces, reconstructor.face_model)
                if not window.show(picture) or interrupt.is_set():
                    break
        return None
    check_writable(folder)
    paths = _paths(folder, f"camera{camera}_{time.strftime('%Y%m%d_%H%M%S')}", "")
    console.print(
        "this OpenCV has no windows (opencv-python has, opencv-python-headless has none): "
        f"recording to {paths[0]}; Ctrl-C ends it"
    )
    summary = write_faces_of_video(
        frames,
        tracker,
        reconstructor.face_model,
        video_path=paths[0],
        lines_path=paths[1],
        frame_rate=_CAMERA_RATE,
        console=console,
        num_frames=max_frames,
    )
    _print_summary(summary, paths, console)
    return summary


def _check_max_frames(max_frames: int | None) -> None:
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"--max_frames is {max_frames}; expected 1 or more")


def _paths(folder: Path, stem: str, ending: str) -> tuple[Path, Path]:
    # Not with_suffix: a name may have dots of its own.
    video, lines = (fitting_name(stem, f"{ending}.{kind}") for kind in ("mp4", "jsonl"))
    return folder / video, folder / lines


def _tracker(reconstructor: VideoReconstructor, smooth: bool) -> FaceTracker:
    return FaceTracker(
        reconstructor,
        reconstructor.reconstruct_at,
        functools.partial(
            FaceSmoother, reconstructor.face_model, reconstructor.decode, reconstructor.code_layout
        )
        if smooth
        else None,
    )


def _print_summary(summary: VideoSummary, paths: tuple[Path, Path], console: Console) -> None:
    if summary.interrupted:
        console.print(f"stopped by Ctrl-C after {summary.num_frames} frames; they are kept")
    found = "no face was found in any frame"
    if summary.num_faces:
        found = (
            f"{summary.num_faces} face{'s'[: summary.num_faces > 1]} in "
            f"{summary.num_frames_with_faces} of them"
        )
    speed = summary.num_frames / summary.seconds
    console.print(
        f"{summary.num_frames} frames, {found}; {speed:.1f} frames/s; video and numbers in "
        f"{paths[0]} and {paths[1].name}"
    )
