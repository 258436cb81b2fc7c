"""The points of a face model that labels speak of, prepared for a fit (see `landmark_fit`)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from twodasl_jax.face_model.linear import LinearModel, select_points
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.fitting.contour import NUM_CONTOUR, contour_candidates
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68

_HIGHEST = jax.lax.Precision.HIGHEST


class FitModel(NamedTuple):
    """The labelled points of a face model, as `make_fit_model` prepares them.

    Attributes:
      mean: ``(3, m)`` of the m labelled points, for the prior's mean face.
      basis: ``(50, 3, m)`` per standard deviation.
      contour_mean: ``(3, 17, k)`` of the jaw's candidates, or None: then the jaw does not march.
      contour_basis: ``(50, 3, 17, k)`` or None.
      coefficient_mean: ``(50,)`` of shape and expression.
      coefficient_std: ``(50,)``.
    """

    mean: Float[Array, "3 m"]
    basis: Float[Array, "50 3 m"]
    contour_mean: Float[Array, "3 17 k"] | None
    contour_basis: Float[Array, "50 3 17 k"] | None
    coefficient_mean: Float[Array, " 50"]
    coefficient_std: Float[Array, " 50"]


def make_fit_model(
    face_model: FaceModel,
    *,
    landmark_set: int = 68,
    marching: bool = True,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
) -> FitModel:
    """Prepares a face model for `fit_landmarks`.

    Args:
      face_model: whose points they are.
      landmark_set: 68 (iBUG), 18 (those of AFLW-21; eye and mouth centres are means of two), or 86:
        the 68, then the 18.
      marching: the jaw of 68 labels lies on the silhouette. False for labels that are
        projections of 3D points, hidden ones too (300W-LP, AFLW2000-3D).
      statistics: ``(50,)`` mean and standard deviation of shape and expression; None are the face
        model's own, and unit variance where it has none.

    Raises:
      ValueError: for another set.
    """
    if landmark_set not in (18, 68, 86):
        raise ValueError(f"landmark_set is {landmark_set}; expected 68, 18 or 86")
    mean, std = np.zeros(50, np.float32), np.ones(50, np.float32)
    if statistics is not None:
        mean, std = statistics
    elif face_model.whitening is not None:
        mean, std = (np.asarray(values)[12:] for values in face_model.whitening)
    vertices = select_points(face_model.linear, face_model.landmark_vertices)
    points, basis = _centred(vertices, mean, std)
    if landmark_set != 68:
        first, second = LANDMARKS_18_FROM_68.T
        eighteen = tuple(0.5 * (a[..., first] + a[..., second]) for a in (points, basis))
        if landmark_set == 18:
            points, basis = eighteen
        else:
            points = jnp.concatenate([points, eighteen[0]], axis=-1)
            basis = jnp.concatenate([basis, eighteen[1]], axis=-1)
    lines, lines_basis = None, None
    if marching and landmark_set != 18:
        candidates = contour_candidates(face_model)
        vertices = select_points(face_model.linear, jnp.asarray(candidates.ravel()))
        lines, lines_basis = (
            array.reshape(*array.shape[:-1], *candidates.shape)
            for array in _centred(vertices, mean, std)
        )
    return FitModel(points, basis, lines, lines_basis, jnp.asarray(mean), jnp.asarray(std))


def _centred(linear: LinearModel, mean: np.ndarray, std: np.ndarray) -> tuple[Array, Array]:
    """Mean face of the prior and the directions of one standard deviation each, in float64."""
    basis = np.concatenate([linear.shape_basis, linear.expression_basis]).astype(np.float64)
    centre = np.asarray(linear.mean, np.float64) + np.tensordot(mean, basis, axes=1)
    scaled = basis * std[:, None, None]
    return jnp.asarray(centre, jnp.float32), jnp.asarray(scaled, jnp.float32)


def labelled_points(
    model: FitModel, rotation: Float[Array, "3 3"], z: Float[Array, " 50"]
) -> tuple[Float[Array, "3 m"], Float[Array, "50 3 m"]]:
    """Mean and basis of the labelled points, the jaw's marched to the silhouette of this pose.

    Args:
      model: from `make_fit_model`.
      rotation: of the head.
      z: shape and expression in standard deviations.
    """
    if model.contour_mean is None or model.contour_basis is None:
        return model.mean, model.basis
    lines = model.contour_mean + jnp.tensordot(z, model.contour_basis, axes=1)
    # Outwards is across the head's upright axis as the image shows it; the first eight jaw points
    # lie on the negative side. On the near side of the head the landmark itself is outermost.
    upright = rotation[:2, 1]
    across = jnp.stack([upright[1], -upright[0]])
    seen = jnp.einsum("c,cd,dnk->nk", across, rotation[:2], lines, precision=_HIGHEST)
    side = jnp.sign(jnp.arange(NUM_CONTOUR) - 8.0)
    chosen = (side[:, None] * seen).argmax(axis=1)
    mean = jnp.concatenate(
        [_take(model.contour_mean, chosen), model.mean[..., NUM_CONTOUR:]], axis=-1
    )
    basis = jnp.concatenate(
        [_take(model.contour_basis, chosen), model.basis[..., NUM_CONTOUR:]], axis=-1
    )
    return mean, basis


def _take(lines: Float[Array, "*d 17 k"], chosen: Int[Array, " 17"]) -> Float[Array, "*d 17"]:
    index = jnp.broadcast_to(chosen[:, None], (*lines.shape[:-1], 1))
    return jnp.take_along_axis(lines, index, axis=-1)[..., 0]
