"""Validation during training: faces held out of the training data, and their error.

The best checkpoint is chosen by it. A benchmark must not choose: its number would then be the
best of many tries, and no longer say what the networks do on faces never looked at.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.data.checked_source import check_element
from twodasl_jax.data.crop_resize import resized_element
from twodasl_jax.data.held_out import hold_out, require_enough_faces, without_faces
from twodasl_jax.data.pipeline import TrainingSource
from twodasl_jax.data.source_protocol import AnnotatedSource
from twodasl_jax.experiment.settings.experiment_settings import (
    DataSettings,
    RenderedSettings,
    SetSettings,
    TrainingSettings,
)
from twodasl_jax.experiment.sources.training_data import Given, Sources
from twodasl_jax.face_model.landmarks import landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.geometry.camera import head_pose
from twodasl_jax.methods.method import Method, crop_points
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.metrics.nme import nme_summary, normalised_mean_error
from twodasl_jax.training.state import Networks

PREFIX = "validation/"
"""Leads the names of what is measured: ``validation/mean_of_images``, …."""

LOST_NME = 100.0
"""As a fraction: what a face counts at most. The outputs of networks that diverge overflow long
before their parameters do, and a validation error must not end the run in the loop's place."""


class ValidationFaces(NamedTuple):
    """Annotated faces that no step is trained on.

    Attributes:
      image: ``(n, 120, 120, 3)`` uint8 RGB crops.
      coefficients: ``(n, 62)`` annotated, raw.
    """

    image: np.ndarray
    coefficients: np.ndarray


def hold_out_validation(
    data: DataSettings, sources: Sources, *, crop_size: int
) -> tuple[Sources, ValidationFaces | None]:
    """Takes the faces to validate with out of the training data.

    Args:
      data: after `check_validation`; its ``validation`` names the source and how many.
      sources: all training data.
      crop_size: of the method, pixels.

    Returns:
      What remains to train on, and the held-out faces; None where no source is named.

    Raises:
      ValueError: where a held-out face is damaged.
    """
    index = _chosen_source(data)
    if index is None:
        return sources, None
    source = cast(AnnotatedSource, sources.annotated[index].faces)
    held = hold_out(source, every=data.validation.every)
    taken = frozenset(held.identities())
    left = Sources(*(_without(half, taken) for half in (sources.annotated, sources.in_the_wild)))
    return left, _read_faces(held, crop_size)


def check_validation(
    data: DataSettings, training: TrainingSettings, sets: Iterable[SetSettings] = ()
) -> None:
    """Refuses settings of the validation that do not fit each other, before any face is read.

    Args:
      data: its ``validation`` names the source and how many.
      training: what they are for.
      sets: that the run is scored on; labelled crops among them validate too.

    Raises:
      ValueError: naming the setting.
    """
    chosen = data.validation.source
    _require_consistent(training, chosen, sets)
    if not chosen:
        return
    names = [source.name for source in data.annotated]
    if chosen not in names:
        raise ValueError(
            f"data.validation.source is '{chosen}', which is no annotated source; choose one of "
            f"{', '.join(names)}"
        )
    if data.annotated[names.index(chosen)].kind == "tfds":
        raise ValueError(
            f"data.validation.source is '{chosen}', a prepared set: 300W-LP shows each photograph "
            "in many poses and flipped, so that its single faces cannot be held out; choose a "
            "rendered or fitted source"
        )
    every = data.validation.every
    if not isinstance(every, int) or every < 2:
        raise ValueError(f"data.validation.every is {every}; expected at least 2")


def check_number_of_faces(data: DataSettings, given: Given) -> None:
    """Refuses to hold out more faces than there are, before any are rendered.

    Args:
      data: the experiment's, after `check_validation`.
      given: its sources that were there already.

    Raises:
      ValueError: where there are too few.
    """
    index = _chosen_source(data)
    if index is not None:
        source, opened = data.annotated[index], given.get(("annotated", index), ())
        count = source.num_faces if isinstance(source, RenderedSettings) else len(opened)
        require_enough_faces(count, every=data.validation.every)


def _chosen_source(data: DataSettings) -> int | None:
    """Place of the source to hold faces out of among the annotated ones; None without."""
    if not data.validation.source:
        return None
    return [source.name for source in data.annotated].index(data.validation.source)


def _require_consistent(
    training: TrainingSettings, chosen: str, sets: Iterable[SetSettings]
) -> None:
    evaluates = bool(training.evaluate_every)
    by_sets = any(each.kind == "crops" for each in sets)
    if (chosen and not evaluates) or (evaluates and not (chosen or by_sets)):
        raise ValueError(
            f"data.validation.source is '{chosen}' and training.evaluate_every "
            f"{training.evaluate_every}; set both to validate, or neither (or validate with a set "
            "of labelled crops: evaluation.sets of kind 'crops')"
        )
    if training.checkpoint == "best" and not evaluates:
        raise ValueError(
            "training.checkpoint is 'best', but nothing measures which is: set "
            "data.validation.source (or a set of labelled crops) and training.evaluate_every"
        )


def _without(half: tuple[TrainingSource, ...], taken: frozenset[str]) -> tuple[TrainingSource, ...]:
    left = without_faces([source.faces for source in half], taken)
    return tuple(source._replace(faces=faces) for source, faces in zip(half, left, strict=True))


def _read_faces(held: Any, crop_size: int) -> ValidationFaces:
    elements = []
    for index in range(len(held)):
        element = resized_element(held[index], crop_size=crop_size)
        try:
            check_element(element, crop_size=crop_size)
        except ValueError as error:
            raise ValueError(f"held-out face {held.record_name(index)}: {error}") from error
        elements.append(element)
    return ValidationFaces(
        np.stack([element["image"] for element in elements]),
        np.stack([element["coefficients"] for element in elements]),
    )


def make_validation_evaluator(
    faces: ValidationFaces,
    method: Method,
    constants: Any,
    landmark_model: LinearModel,
    *,
    batch_size: int,
) -> Callable[[Networks], Iterable[tuple[str, float]]]:
    """The NME of 68 landmarks on held-out faces, without augmentation and with an empty map.

    The truth is the landmarks of the annotated coefficients, the errors are in crop pixels.

    Args:
      faces: from `hold_out_validation`.
      method: that predicts.
      constants: from `MethodFamily.prediction_constants`, of the landmarks alone.
      landmark_model: the face model at its 68 landmark vertices.
      batch_size: of the compiled prediction, compiled once for all calls; the last is padded.

    Returns:
      Networks -> every number of `nme_summary` but the counts, each with `PREFIX`; what is
      undefined (a bin without faces) is left out.
    """
    predictor = Predictor(
        method,
        constants,
        batch_sizes=(batch_size,),
        outputs=lambda predicted: crop_points(predicted, method.crop_size),
    )
    truth = np.asarray(landmarks_from_coefficients(landmark_model, jnp.asarray(faces.coefficients)))
    truth = truth[..., :2]
    camera = split_coefficients(jnp.asarray(faces.coefficients)).camera
    yaw_degrees = np.rad2deg(np.asarray(head_pose(camera).yaw))

    def evaluate(networks: Networks) -> Iterable[tuple[str, float]]:
        found = predictor(networks, faces.image)[..., :2]
        nme = normalised_mean_error(found, truth, truth)
        nme = np.where(nme < LOST_NME, nme, LOST_NME)  # NaN is not below
        for name, value in nme_summary(nme, yaw_degrees).items():
            if np.isfinite(value) and not name.startswith("count"):
                yield PREFIX + name, value

    return evaluate
