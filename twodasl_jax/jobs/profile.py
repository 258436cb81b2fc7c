"""Turns fitted photographs to larger yaw, for training (face profiling)."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from twodasl_jax.coefficient_layout import CAMERA
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.fitted_source import (
    EXPECTED,
    FITTED_LANDMARKS,
    SETTINGS_FILE,
    TURNED_FROM,
    FittedSource,
    require_fits,
)
from twodasl_jax.experiment.annotation.checks import told
from twodasl_jax.experiment.annotation.files import YAW_BINS
from twodasl_jax.experiment.annotation.folder import require_apart, require_free
from twodasl_jax.experiment.annotation.turned_files import (
    TurnedFacesWriter,
    writing_turned_faces,
)
from twodasl_jax.experiment.annotation.turns import choose_turns
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.rendering.face_profiling import TurnedFaces, head_yaw, turn_faces
from twodasl_jax.rendering.rasterizer import default_capacity
from twodasl_jax.rendering.render import render_with_enough_capacity
from twodasl_jax.training import parallel
from twodasl_jax.user_files.arrays import numbers_of, read_npz
from twodasl_jax.user_files.json_file import read_json

BATCH_SIZE = 32
"""Faces turned by one call."""

SUPERSAMPLE = 2
"""Each pixel of a crop is the mean of this number squared."""

MOST_UNSEEN = 0.15
"""A turned face of which the photograph did not show more than this share is left out: of 960 AFLW
faces 1.2 %, most of them cut by their picture's border or looking far up or down."""


def profile(
    *, fits: str, output: str, face_model: str | None, max_residual: float, num_faces: int | None
) -> None:
    """Turns fitted faces away from the viewer and writes them as a training source.

    Args:
      fits: folder that `--mode=annotate` wrote.
      output: folder to write, apart from all that is read; new, empty, or of an earlier set, which
        is replaced (other files in it stay).
      face_model: file of the model that was fitted; None is the embedded open face model.
      max_residual: faces that fit worse are left out, %.
      num_faces: how many turned faces to write; None is one of each that can be turned.

    Raises:
      FileNotFoundError, ValueError: for inputs that are absent or wrong; nothing is written then.
    """
    console, folder = Console(markup=False, emoji=False), Path(output)
    require_apart(folder, {"fits": fits, "face_model": face_model})
    require_free(folder)
    _require_no_fits(folder)
    if not max_residual > 0:
        raise ValueError(f"--max_residual is {max_residual}; expected a positive percentage")
    parallel.enable_compilation_cache()
    settings = _settings_of(Path(fits))
    model = face_model_from_file(face_model or "")
    if settings.get("face_model_identity") is not None:
        require_same_face_model(
            settings["face_model_identity"],
            face_model_identity(model),
            owner=f"the faces of {fits} were fitted",
            advice="give --face_model=FILE the one that was fitted",
        )
    faces = FittedSource(fits, face_model_crc=face_model_crc(model))
    residual = _residuals(Path(fits), len(faces))
    yaw = _yaw_degrees(faces.coefficients)
    generator = np.random.default_rng(0)
    rows, turns = choose_turns(
        yaw, residual <= max_residual, num_faces=num_faces, generator=generator
    )
    began = time.perf_counter()
    made = {"from": fits, "max_residual_percent": max_residual, "num_faces": len(rows)}
    with writing_turned_faces(folder, {**settings, "turned": made}, num_faces=len(rows)) as writer:
        _turn_all(model, faces, residual, rows, turns, writer, console)
    seconds = time.perf_counter() - began
    _print_summary(yaw[rows], writer, seconds, folder, console)


def _require_no_fits(folder: Path) -> None:
    """Refuses to replace fits of photographs, which may have taken hours."""
    path = folder / SETTINGS_FILE
    if path.exists() and "turned" not in read_json(path, expected=EXPECTED):
        raise ValueError(
            f"--output={folder} holds fits of photographs, which would be replaced by turned "
            "faces; choose a new folder"
        )


def _settings_of(fits: Path) -> dict[str, Any]:
    require_fits(fits)
    settings = read_json(fits / SETTINGS_FILE, expected=EXPECTED)
    if "turned" in settings:
        raise ValueError(
            f"{fits} holds faces that were turned already (--mode=profile); give --fits the folder "
            "of the photographs' own fits"
        )
    return settings


def _residuals(fits: Path, count: int) -> np.ndarray:
    path = fits / "annotations.npz"
    arrays = read_npz(path, expected=EXPECTED, only=("residual_percent",))
    return numbers_of(path, arrays, "residual_percent", (count,))


def _turn_all(
    face_model: FaceModel,
    faces: FittedSource,
    residual: np.ndarray,
    rows: np.ndarray,
    turns: np.ndarray,
    writer: TurnedFacesWriter,
    console: Console,
) -> None:
    """Turns faces batch by batch, and writes those that came out well."""
    side = CROP_SIZE * SUPERSAMPLE
    # Stretched surroundings have larger triangles than a face; see `default_capacity`.
    capacity = 2 * default_capacity(side, side, len(face_model.triangles))
    landmarks = landmark_model(face_model)
    starts = range(0, len(rows), BATCH_SIZE)
    for start in track(starts, f"turning {len(rows)} faces", console=console):
        # The last batch is filled up with the first faces: one shape, one compilation.
        numbers = np.arange(start, start + BATCH_SIZE) % len(rows)
        batch, count = rows[numbers], min(BATCH_SIZE, len(rows) - start)
        pictures, reasons = _pictures(faces, batch)
        arguments = (
            pictures.astype(np.float32) / 255,
            faces.coefficients[batch],
            np.deg2rad(turns[numbers]).astype(np.float32),
        )

        def turn(capacity: int, arguments: tuple[Any, ...] = arguments) -> TurnedFaces:
            return _turning(capacity)(face_model, *arguments)

        turned, capacity = render_with_enough_capacity(turn, capacity)
        code = np.asarray(turned.coefficients)
        points = np.asarray(landmarks_from_coefficients(landmarks, jnp.asarray(code)))[..., :2]
        images = np.clip(np.asarray(turned.image) * 255 + 0.5, 0, 255).astype(np.uint8)
        for index in np.flatnonzero(np.asarray(turned.unseen_share) > MOST_UNSEEN):
            reasons.setdefault(
                int(index), f"over {MOST_UNSEEN:.0%} of what it turns to us is unseen"
            )
        written = np.array([index for index in range(count) if index not in reasons], int)
        writer.add(
            before=pictures[written],
            images=images[written],
            columns={
                "coefficients": code[written],
                FITTED_LANDMARKS: points[written],
                TURNED_FROM: np.array([faces.record_name(int(row)) for row in batch[written]], str),
                "yaw_degrees": _yaw_degrees(code[written]),
                "residual_percent": residual[batch[written]].astype(np.float32),
            },
        )
        for index in sorted(reasons.keys() & set(range(count))):
            yaw = float(_yaw_degrees(code[index : index + 1])[0])
            writer.reject(faces.record_name(int(batch[index])), yaw, reasons[index])


def _pictures(faces: FittedSource, rows: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """``(n, 120, 120, 3)`` crops; and why some cannot be read, by their place among them."""
    pictures = np.zeros((len(rows), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    reasons = {}
    for index, row in enumerate(rows):
        try:
            pictures[index] = faces[row]["image"]
        except ValueError as error:
            reasons[index] = str(error)
    return pictures, reasons


def _yaw_degrees(coefficients: np.ndarray) -> np.ndarray:
    camera = jnp.asarray(coefficients[:, CAMERA].reshape(-1, 3, 4))
    return np.rad2deg(np.asarray(head_yaw(camera)))


@functools.cache
def _turning(capacity: int) -> Callable[..., TurnedFaces]:
    """`turn_faces` over the devices that there are; kept, for it is compiled once."""
    return parallel.over_local_devices(
        functools.partial(turn_faces, capacity=capacity, supersample=SUPERSAMPLE), num_shared=1
    )


def _print_summary(
    before: np.ndarray, writer: TurnedFacesWriter, seconds: float, folder: Path, console: Console
) -> None:
    table = Table(caption="yaw of the heads about their own axes")
    for heading in ("yaw", "faces before", "faces turned"):
        table.add_column(heading, justify="right", no_wrap=True)
    after = np.abs(writer.arrays()["yaw_degrees"])
    for name, (low, high) in YAW_BINS.items():
        counts = [int(((low <= yaw) & (yaw < high)).sum()) for yaw in (np.abs(before), after)]
        table.add_row(name, *map(str, counts))
    console.print(table)
    if writer.rejected:
        name, _, reason = writer.rejected[0]
        console.print(
            f"{len(writer.rejected)} faces are left out (rejected.csv), first {told(name, reason)}",
            highlight=False,
        )
    console.print(
        f"turned in {seconds:.0f} s ({len(before) / seconds:.1f} faces a second); everything is in "
        f"{folder}"
    )
