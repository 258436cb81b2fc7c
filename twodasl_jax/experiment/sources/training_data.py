"""From settings to training data: sources opened or rendered, their mirror, a stage's batches."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from absl import logging
from rich.console import Console

from twodasl_jax.data.balanced_faces import rows_by_yaw
from twodasl_jax.data.crop_files import crop_names
from twodasl_jax.data.crop_resize import resized_coefficients
from twodasl_jax.data.fitted_source import FittedSource
from twodasl_jax.data.held_out import SubsetSource, rows_of_part
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.data.pipeline import Batches, TrainingSource, make_pipeline
from twodasl_jax.data.seeds import derived_seed
from twodasl_jax.data.source_protocol import AnnotatedSource, Role, Source
from twodasl_jax.data.sources import CropSource, RenderedSource
from twodasl_jax.data.tfds_source import TfdsSource
from twodasl_jax.experiment.run.assembly import Stage
from twodasl_jax.experiment.settings.experiment_settings import (
    CropsSettings,
    DataSettings,
    FitsSettings,
    PreparedSettings,
    RenderedSettings,
)
from twodasl_jax.experiment.sources.rendered_data import ensure_rendered
from twodasl_jax.face_model.mirrored_model import LARGEST_RESIDUAL_PX, fit_mirror
from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.methods.method import Method
from twodasl_jax.training import parallel


@dataclasses.dataclass(frozen=True)
class Sources:
    """The two halves of the training data; the second is empty where no stage reads it."""

    annotated: tuple[TrainingSource, ...]
    in_the_wild: tuple[TrainingSource, ...]


Given = Mapping[tuple[str, int], Any]
"""Half and place in it -> a source that was there already, opened."""


def open_given_sources(data: DataSettings, face_model: FaceModel) -> Given:
    """Opens the training data that must be there already; rendered ones are left out.

    Raises:
      FileNotFoundError, ValueError: for data that are absent or damaged.
    """
    return {
        (role, index): SOURCES[source.kind](source, role, face_model)
        for role, index, source in _listed_sources(data)
        if source.kind != "rendered"
    }


def make_sources(
    data: DataSettings, given: Given, *, render: Callable[[RenderedSettings], Path]
) -> Sources:
    """All training data of an experiment; what it renders is rendered now.

    Args:
      data: the experiment's.
      given: from `open_given_sources`.
      render: gives the folder of a rendered source (`ensure_rendered`).
    """
    halves: dict[Role, list[TrainingSource]] = {"annotated": [], "in_the_wild": []}
    for role, index, source in _listed_sources(data):
        opened = given.get((role, index))
        if opened is None:
            opened = RenderedSource(render(source), role=role)
        halves[role].append(TrainingSource(opened, source.weight, source.flip))
    return Sources(tuple(halves["annotated"]), tuple(halves["in_the_wild"]))


def _listed_sources(data: DataSettings) -> list[tuple[Role, int, Any]]:
    roles: tuple[Role, ...] = ("annotated", "in_the_wild")
    return [(role, i, source) for role in roles for i, source in enumerate(getattr(data, role))]


def _open_crops(source: CropsSettings, *_: Any) -> CropSource:
    without = crop_names(Path(source.without)) if source.without else frozenset()
    return CropSource(source.path, only_68=source.only_68, without=without)


def _open_fits(source: FitsSettings, role: Role, face_model: FaceModel) -> Source:
    fitted = _fits_of_this_model(source, role, face_model)
    whole = tuple(source.part) == (0.0, 1.0)
    if whole and set(source.yaw_weights) == {1.0}:
        return fitted
    rows = np.arange(len(fitted)) if whole else rows_of_part(fitted.identities(), source.part)
    drawn = rows_by_yaw(fitted.yaw_degrees[rows], source.yaw_weights)
    return SubsetSource(fitted, rows[drawn])


def _fits_of_this_model(source: FitsSettings, role: Role, face_model: FaceModel) -> FittedSource:
    fitted = FittedSource(source.path, face_model_crc=face_model_crc(face_model), role=role)
    if fitted.face_model_identity is None:
        logging.warning(
            "%s carries no identity of its face model (it was fitted before fits noted one): its "
            "shape basis alone is compared",
            source.path,
        )
        return fitted
    require_same_face_model(
        fitted.face_model_identity,
        face_model_identity(face_model),
        owner=f"the faces of {source.path} were fitted",
        advice="fit them again with this one (--mode=annotate --face_model=FILE), or train with "
        "that one (--config.face_model.path=FILE)",
    )
    return fitted


def _open_tfds(source: PreparedSettings, role: Role, *_: Any) -> TfdsSource:
    return TfdsSource(source.name, split=source.split, role=role, data_dir=source.data_dir or None)


SOURCES: dict[str, Callable[..., Any]] = {
    "rendered": ensure_rendered,
    "crops": _open_crops,
    "fits": _open_fits,
    "tfds": _open_tfds,
}
"""``kind`` of a data source -> how it is opened."""


def annotated_coefficients(sources: Sources, *, crop_size: int) -> np.ndarray:
    """``(n, 62)`` raw coefficients of the annotated sources, for statistics.

    Args:
      sources: all training data.
      crop_size: that the networks read, pixels; those of crops of another size are carried along.
    """
    parts = []
    for source in sources.annotated:
        faces = cast(AnnotatedSource, source.faces)
        size = faces[0]["image"].shape[0]
        given = faces.coefficients
        if size != crop_size:
            given = resized_coefficients(given, crop_size=size, new_size=crop_size)
        parts.append(given)
    return np.concatenate(parts)


def make_coefficient_mirror(
    data: DataSettings, face_model: FaceModel, console: Console
) -> CoefficientMirror | None:
    """How annotated faces are flipped; None, and the console says so, where they had better not."""
    flips = any(source.flip for source in data.annotated)
    if not flips or not data.augment.flip_probability:
        return None
    fit = fit_mirror(face_model)
    measured = (
        f"a face of '{face_model.name}' differs from its mirror image's fit by "
        f"{fit.residual_px:.2f} px ({fit.relative_residual:.0%} of its shape)"
    )
    if not fit.is_faithful:
        console.print(
            f"annotated faces are not flipped: {measured}, more than {LARGEST_RESIDUAL_PX} px"
        )
        return None
    console.print(f"annotated faces are flipped: {measured}")
    return CoefficientMirror(fit.matrix, fit.offset, fit.plane_x)


def make_batches(
    data: DataSettings,
    sources: Sources,
    stage: Stage,
    *,
    seed: int,
    coefficient_mirror: CoefficientMirror | None,
) -> Batches:
    """The endless, resumable iterator of a stage's batches, this process's share of them.

    Order and augmentation are those of the experiment's seed and the stage's name.
    """
    return make_pipeline(
        sources.annotated,
        sources.in_the_wild,
        annotated_batch_size=data.annotated_batch_size,
        in_the_wild_batch_size=in_the_wild_batch_size(data, stage.method),
        augment_options=data.augment,
        seed=derived_seed(seed, "stage", stage.name),
        coefficient_mirror=coefficient_mirror,
        num_threads=data.num_threads,
        keep_decoded=data.keep_decoded,
        crop_size=stage.method.crop_size,
        shard_index=parallel.process_index(),
        shard_count=parallel.process_count(),
    )


def in_the_wild_batch_size(data: DataSettings, method: Method) -> int:
    """Of one stage: 0, so that nothing is decoded, where its method does not read that half."""
    return data.in_the_wild_batch_size if "in_the_wild" in method.reads else 0
