"""Renders the training and evaluation faces of an experiment, once per workdir."""

import dataclasses
import functools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.coefficient_layout import EXPRESSION, SHAPE
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.sources import is_rendered_with, write_rendered
from twodasl_jax.experiment.settings.experiment_settings import FacesSettings, RenderedSettings
from twodasl_jax.experiment.settings.setting_checks import require_file_name, require_whole
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity, short_identity
from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.rendering.backgrounds import photo_like_backgrounds
from twodasl_jax.rendering.face_renderer import render_coefficients
from twodasl_jax.rendering.rasterizer import default_capacity
from twodasl_jax.rendering.render import Render, render_with_enough_capacity
from twodasl_jax.rendering.synthetic_faces import FaceSettings, SyntheticFaces, sample_faces
from twodasl_jax.training.parallel import over_local_devices

CHUNK = 50
"""Faces rendered by one call: enough to hide its overhead, few enough for a lively bar."""


def rendered_folder(workdir: Path, source: RenderedSettings) -> Path:
    """Where a rendered source lies."""
    return workdir / "data" / source.name


def check_rendered(faces: Iterable[FacesSettings]) -> None:
    """Refuses rendered sets that cannot be, or that would render each other away.

    Args:
      faces: training data and evaluation sets, which share a folder.

    Raises:
      ValueError: naming the setting.
    """
    seen: dict[str, dict[str, Any]] = {}
    for source in (each for each in faces if each.kind == "rendered"):
        require_file_name("the name of a rendered source", source.name)
        for key, least in (("num_faces", 1), ("seed", 0), ("supersample", 1)):
            require_whole(
                f"{key} of the rendered source '{source.name}'", getattr(source, key), least=least
            )
        made = {key: getattr(source, key) for key in ("num_faces", "seed", "supersample")}
        if seen.setdefault(source.name, made) != made:
            raise ValueError(
                f"two rendered sources are called '{source.name}' and differ ({made}, "
                f"{seen[source.name]}); give them different names"
            )


def ensure_rendered(
    workdir: Path,
    source: RenderedSettings,
    face_model: FaceModel,
    console: Console,
    *,
    may_replace: bool = True,
    crop_size: int = CROP_SIZE,
) -> Path:
    """Renders a source's faces unless the folder holds just these already; returns the folder.

    Args:
      workdir: of the run.
      source: name, number, seed and supersampling.
      face_model: to render with.
      console: where progress is shown.
      may_replace: False refuses to render over faces that were made otherwise, as those that a
        run has been trained with.
      crop_size: side of the pictures, pixels.

    Raises:
      ValueError: for such faces, with the first setting that differs.
    """
    folder = rendered_folder(workdir, source)
    settings = _render_settings(source, face_model, crop_size)
    saved = _saved_settings(folder)
    if saved is not None and not set(_SINCE) & set(saved):
        # Rendered before these were noted: what was noted then is compared.
        settings = {key: value for key, value in settings.items() if key not in _SINCE}
    if saved is not None and "crop_size" not in saved and crop_size == CROP_SIZE:
        del settings["crop_size"]  # all sets had that size before it was noted
    if saved is not None and "face_model" in saved:
        settings["face_model"] = saved["face_model"]  # its file's name, which may change
    if is_rendered_with(folder, settings):
        return folder
    if saved is not None and not may_replace:
        _refuse_others(folder, saved, settings)
    count = int(source.num_faces)
    generator = np.random.default_rng(source.seed)
    faces = sample_model_faces(face_model, generator, count, crop_size=crop_size)
    chunks = _render_chunks(
        face_model, faces, generator, supersample=source.supersample, crop_size=crop_size
    )
    total = -(-count // CHUNK)
    images = np.concatenate(
        list(track(chunks, f"rendering {source.name}", total=total, console=console))
    )
    with naming_write_errors(folder):
        write_rendered(
            folder,
            images=images,
            coefficients=faces.coefficients,
            landmarks=faces.landmarks,
            yaw_degrees=faces.angles[:, 1],
            settings=settings,
        )
    return folder


_SINCE = ("face_model_identity", "appearance")
"""Settings that sets rendered by earlier versions do not have."""


def _render_settings(
    source: RenderedSettings, face_model: FaceModel, crop_size: int
) -> dict[str, Any]:
    """All that decides how a set's pictures and labels come out: a cache must know it."""
    return {
        "face_model": face_model.name,
        "num_vertices": face_model.num_vertices,
        "face_model_crc": face_model_crc(face_model),
        "albedo_crc": zlib.crc32(np.asarray(face_model.albedo_mean).tobytes()),
        "face_model_identity": short_identity(face_model_identity(face_model)),
        "appearance": _appearance(face_model),
        "distribution": repr(FaceSettings()),
        "num_faces": source.num_faces,
        "seed": source.seed,
        "supersample": source.supersample,
        "crop_size": crop_size,
    }


def _appearance(face_model: FaceModel) -> int:
    """Checksum of what changes the pictures beside the shape: colours, and the faces' spread."""
    checksum = 0
    for array in (face_model.albedo_mean, face_model.albedo_basis, *(face_model.whitening or ())):
        checksum = zlib.crc32(b"" if array is None else np.asarray(array).tobytes(), checksum)
    return checksum


def _saved_settings(folder: Path) -> dict[str, Any] | None:
    try:
        saved = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) else None


def _refuse_others(folder: Path, saved: dict[str, Any], settings: dict[str, Any]) -> None:
    differing = [key for key in settings if saved.get(key) != settings[key]]
    shown = differing[0] if differing else "its files"
    raise ValueError(
        f"{folder} holds the faces that this run was trained with, rendered with other settings "
        f"({shown}: {saved.get(shown)} there, {settings.get(shown)} now): going on would train on "
        "other faces; choose another --workdir, or go on with the version of the package that "
        "began it"
    )


def sample_model_faces(
    face_model: FaceModel,
    generator: np.random.Generator,
    count: int,
    *,
    crop_size: int = CROP_SIZE,
) -> SyntheticFaces:
    """Random faces of a model, spread as its own statistics say (unit variance without any)."""
    settings = FaceSettings()
    if face_model.whitening is not None:
        mean, std = (np.asarray(values) for values in face_model.whitening)
        settings = dataclasses.replace(
            settings,
            shape_mean=mean[SHAPE],
            shape_std=std[SHAPE],
            expression_mean=mean[EXPRESSION],
            expression_std=std[EXPRESSION],
        )
    num_albedo = 0 if face_model.albedo_basis is None else len(face_model.albedo_basis)
    return sample_faces(
        generator,
        count,
        landmark_model(face_model),
        num_albedo=num_albedo,
        settings=settings,
        crop_size=crop_size,
    )


def _render_chunks(
    face_model: FaceModel,
    faces: SyntheticFaces,
    generator: np.random.Generator,
    *,
    supersample: int,
    crop_size: int,
) -> Iterator[Any]:
    count = len(faces.coefficients)
    side = crop_size * supersample
    capacity = default_capacity(side, side, len(face_model.triangles))
    for start in range(0, count, CHUNK):
        # The last chunk is filled up with the first faces: one shape, one compilation.
        rows = np.arange(start, start + CHUNK) % count
        background = photo_like_backgrounds(generator, CHUNK, size=crop_size)
        batch = (*(array[rows] for array in faces[:3]), background.astype(np.float32) / 255)

        def render(capacity: int, batch: tuple[Any, ...] = batch) -> Render:
            return _renderer(capacity, supersample, crop_size)(face_model, *batch)

        picture, capacity = render_with_enough_capacity(render, capacity)
        pixels = np.clip(np.asarray(picture.image) * 255 + 0.5, 0, 255).astype(np.uint8)
        yield pixels[: min(CHUNK, count - start)]


@functools.cache
def _renderer(capacity: int, supersample: int, crop_size: int) -> Callable[..., Render]:
    """`render_coefficients` over the devices that there are; kept, for it is compiled once."""
    return over_local_devices(
        functools.partial(
            render_coefficients, capacity=capacity, supersample=supersample, crop_size=crop_size
        ),
        num_shared=1,
    )
