"""A video in, the same video with its faces drawn beside it out, and their numbers by frame."""

import contextlib
import dataclasses
import json
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import FrameType

import cv2
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.predict.pictures.drawing import draw_landmarks, draw_pose_axes, overlay_mesh
from twodasl_jax.predict.pictures.surface import TILE
from twodasl_jax.predict.video.tracking import FaceTracker, TrackedFace
from twodasl_jax.predict.video.video_files import VideoFrame, VideoWriter
from twodasl_jax.whole_file import whole_file

PANEL_SIZE = (960, 720)
"""Largest width and height of each of the two pictures; larger frames are drawn scaled down."""

LINES_VERSION = 1
"""Of the JSON lines: raised when a field changes its meaning or goes."""

_MESH_OPACITY = 0.6

_LARGEST_GRID = TILE
"""See `overlay_mesh`: one tile of the rasteriser, where faces in photographs take up to
36. Only the outlines of large faces look less smooth for it."""

_LABEL_GROUND = (16, 20, 28)


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """What was done.

    Attributes:
      num_frames: written.
      num_frames_with_faces: of these.
      num_faces: different ones that were followed.
      seconds: it took.
      interrupted: it was stopped (Ctrl-C) before the last frame.
    """

    num_frames: int
    num_frames_with_faces: int
    num_faces: int
    seconds: float
    interrupted: bool


def write_faces_of_video(
    frames: Iterable[VideoFrame],
    tracker: FaceTracker,
    face_model: FaceModel,
    *,
    video_path: Path,
    lines_path: Path,
    frame_rate: Fraction,
    console: Console,
    num_frames: int | None = None,
) -> VideoSummary:
    """Follows the faces of all frames and writes the picture and the numbers of each.

    One frame is held at a time. Both files appear when all is done. Ctrl-C finishes the frame at
    hand and keeps what was done; a second one stops at once and keeps nothing, as an error does.

    Args:
      frames: of a file or a camera.
      tracker: new.
      face_model: of its reconstructions.
      video_path: of the video, original and overlay side by side (`side_by_side`).
      lines_path: of the JSON lines (`frame_record`), one per frame.
      frame_rate: see `VideoWriter`.
      console: where progress is shown, if it is a terminal.
      num_frames: how many are expected, if that is known.
    """
    began = time.perf_counter()
    numbers: set[int] = set()
    count = with_faces = 0
    with (
        interrupt_asked() as interrupt,
        whole_file(lines_path) as unfinished,
        unfinished.open("w", encoding="utf-8") as lines,
        VideoWriter(video_path, frame_rate=frame_rate) as writer,
        _progress(console) as progress,
    ):
        task = progress.add_task(video_path.name, total=num_frames)
        for frame in frames:
            faces = tracker(frame.image, frame.time)
            writer.write(side_by_side(frame.image, faces, face_model), frame.time)
            with naming_write_errors(lines_path):
                print(json.dumps(frame_record(count, frame.time, faces)), file=lines, flush=True)
            numbers |= {face.number for face in faces}
            count, with_faces = count + 1, with_faces + bool(faces)
            progress.advance(task)
            if interrupt.is_set():
                break
    seconds = time.perf_counter() - began
    return VideoSummary(count, with_faces, len(numbers), seconds, interrupt.is_set())


def frame_record(index: int, seconds: float, faces: Iterable[TrackedFace]) -> dict[str, object]:
    """One frame as JSON: pixels of the (upright) frame, degrees, seconds from the first frame.

    Args:
      index: of the frame, from 0.
      seconds: its time.
      faces: in it.
    """
    return {
        "version": LINES_VERSION,
        "frame": index,
        "time": round(seconds, 6),
        "faces": [_face_record(face) for face in faces],
    }


def _face_record(face: TrackedFace) -> dict[str, object]:
    pose, confidence = face.reconstruction.head_pose, face.reconstruction.fit_confidence
    return {
        "id": face.number,
        "fit_confidence": None if confidence is None else round(confidence, 4),
        "roi_box": _rounded(face.reconstruction.roi_box),
        "head_pose_degrees": {
            name: round(float(value), 2) for name, value in dataclasses.asdict(pose).items()
        },
        # A hundredth of a pixel is below what any landmark means.
        "landmarks": _rounded(face.reconstruction.landmarks),
    }


def _rounded(values: np.ndarray) -> list[object]:
    return np.asarray(values, np.float64).round(2).tolist()


def side_by_side(
    image: np.ndarray, faces: Iterable[TrackedFace], face_model: FaceModel
) -> np.ndarray:
    """The frame, and beside it the same with mesh, landmarks, axes and number of each face.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      faces: in it.
      face_model: whose triangles to draw.

    Returns:
      ``(h, 2·w, 3)`` uint8; h and w are the frame's, or less (`PANEL_SIZE`), and h is even.
    """
    height, width = image.shape[:2]
    ratio = min(1.0, PANEL_SIZE[0] / width, PANEL_SIZE[1] / height)
    size = max(round(width * ratio), 1), max(round(height * ratio) // 2 * 2, 2)
    small = image
    if size != (width, height):
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Positions are continuous (pixel c spans c to c + 1), so the panel's are the frame's, scaled.
    scale = np.array([size[0] / width, size[1] / height, ratio])
    # The nearest face, which is the largest, is drawn over the others.
    ordered = sorted(faces, key=lambda face: np.ptp(face.reconstruction.landmarks[:, 1]))
    drawn = small
    for face in ordered:
        drawn = overlay_mesh(
            drawn,
            face.reconstruction.vertices * scale[:, None],
            face_model.triangles,
            opacity=_MESH_OPACITY,
            largest_grid=_LARGEST_GRID,
        )
    for face in ordered:
        landmarks = face.reconstruction.landmarks * scale
        length = float(np.ptp(landmarks[:, :2], axis=0).max())
        drawn = draw_landmarks(drawn, landmarks, thickness=max(1, round(length / 200)))
        drawn = draw_pose_axes(
            drawn,
            landmarks[30],  # the tip of the nose
            np.asarray(face.reconstruction.camera.rotation),
            length_px=0.45 * length,
        )
        _write_label(drawn, face, landmarks)
    return np.concatenate([small, drawn], axis=1)


def _write_label(image: np.ndarray, face: TrackedFace, landmarks: np.ndarray) -> None:
    """Number and pose under the chin, in place."""
    pose = face.reconstruction.head_pose
    text = f"{face.number}: yaw {pose.yaw:+.0f} pitch {pose.pitch:+.0f} roll {pose.roll:+.0f}"
    size = min(image.shape[:2]) / 900 + 0.2
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    left = int(np.clip(landmarks[:, 0].mean() - width / 2, 3, max(image.shape[1] - width - 3, 3)))
    low = int(np.clip(landmarks[:, 1].max() + 2 * height, height + 3, image.shape[0] - below - 3))
    corners = (left - 3, low - height - 3), (left + width + 3, low + below + 1)
    cv2.rectangle(image, *corners, _LABEL_GROUND, cv2.FILLED)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, text, (left, low), font, size, (255, 255, 255), 1, cv2.LINE_AA)


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _FramesPerSecond(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@contextlib.contextmanager
def interrupt_asked() -> Iterator[threading.Event]:
    """A context whose event is set by the first Ctrl-C; the second one raises as usual."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread only
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
