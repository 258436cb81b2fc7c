"""Procedural skin for a face model that has none: placed by the 68 landmarks, scale free.

Nothing here is measured on people; it is a painter's recipe (skin, lips, brows, eyes, cheeks,
stubble, slow blotches) whose spread is wide enough that a network trained on its renders does
not learn one skin.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from twodasl_jax.face_model.model import FaceModel

SKIN = np.array([0.72, 0.52, 0.43])
LIPS = np.array([0.62, 0.32, 0.30])
BROWS = np.array([0.27, 0.19, 0.15])
SCLERA = np.array([0.82, 0.79, 0.77])
IRIS = np.array([0.26, 0.19, 0.14])
PUPIL = np.array([0.05, 0.04, 0.04])


def with_colours(face_model: FaceModel) -> FaceModel:
    """The face model; one without colours gets painted ones, to be rendered with."""
    if face_model.albedo_mean is not None:
        return face_model
    mean = np.asarray(face_model.linear.mean)
    albedo_mean, albedo_basis = albedo_from_landmarks(
        mean, mean[:, np.asarray(face_model.landmark_vertices)]
    )
    return dataclasses.replace(
        face_model, albedo_mean=jnp.asarray(albedo_mean), albedo_basis=jnp.asarray(albedo_basis)
    )


def albedo_from_landmarks(
    points: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paints a face by its landmarks.

    Args:
      points: ``(3, n)`` mean vertices, x right, y up, z towards the viewer, any unit.
      landmarks: ``(3, 68)`` their iBUG-68 landmarks.

    Returns:
      ``albedo_mean (3, n)`` RGB in [0, 1] and ``albedo_basis (k, 3, n)``, for coefficients of
      unit variance: skin tone, redness, lips, brows, iris, stubble, and four slow blotches.

    Raises:
      ValueError: on other shapes.
    """
    if points.ndim != 2 or points.shape[0] != 3 or landmarks.shape != (3, 68):
        raise ValueError(
            f"points are {points.shape} and landmarks {landmarks.shape}; expected (3, n), (3, 68)"
        )
    # The unit of length is the distance of the outer eye corners.
    unit = np.linalg.norm(landmarks[:, 45] - landmarks[:, 36])
    xyz, marks = points.astype(np.float64) / unit, landmarks.astype(np.float64) / unit
    masks = _masks(xyz, marks)
    mean = np.tile(SKIN[:, None], (1, xyz.shape[1]))
    mean = mean * (1 - 0.12 * masks["sockets"]) + _tint((0.05, -0.03, -0.02), masks["cheeks"])
    mean = mean + _tint((-0.03, -0.03, -0.02), masks["stubble"])
    for name, colour in (
        ("lips", LIPS),
        ("brows", BROWS),
        ("sclera", SCLERA),
        ("iris", IRIS),
        ("pupil", PUPIL),
        ("lash", BROWS * 0.6),
        ("nostrils", SKIN * 0.35),
        ("mouth_line", LIPS * 0.45),
    ):
        mean = mean + masks[name] * (colour[:, None] - mean)
    skin = 1 - masks["eyes"]
    blotches = [0.05 * skin * wave for wave in _slow_waves(xyz, marks)]
    basis = [
        # Melanin: light to dark skin, which loses blue faster than red.
        _tint((0.13, 0.115, 0.10), skin * (1 - 0.5 * masks["brows"])),
        _tint((0.03, -0.012, -0.01), skin),
        _tint((0.035, -0.012, -0.005), masks["lips"]),
        _tint((0.11, 0.09, 0.07), masks["brows"]),
        _tint((0.02, 0.06, 0.10), masks["iris"]),
        _tint((-0.07, -0.06, -0.045), masks["stubble"]),
        *(_tint((1.0, 0.95, 0.9), wave) for wave in blotches),
    ]
    return mean.clip(0, 1).astype(np.float32), np.stack(basis).astype(np.float32)


def _masks(xyz: np.ndarray, marks: np.ndarray) -> dict[str, np.ndarray]:
    """``(n,)`` soft masks in [0, 1], painted from the front."""
    # Paint reaches the sides of the head, not what lies behind the face.
    front = _ramp(xyz[2] - (marks[2, 27] - 1.3), 0.2)
    flat, points = marks[:2], xyz[:2]
    masks: dict[str, np.ndarray] = {}
    eyes, iris, pupil, lash = (np.zeros(xyz.shape[1]) for _ in range(4))
    for lids in (range(36, 42), range(42, 48)):
        outline = flat[:, list(lids)]
        inside = _ramp(_signed_distance(points, outline), 0.015) * front
        width = np.linalg.norm(outline[:, 3] - outline[:, 0])
        distance = np.linalg.norm(points - outline.mean(axis=1, keepdims=True), axis=0)
        eyes = np.maximum(eyes, inside)
        iris = np.maximum(iris, inside * _ramp(0.22 * width - distance, 0.02))
        pupil = np.maximum(pupil, inside * _ramp(0.09 * width - distance, 0.015))
        upper = np.abs(_distance_to_line(points, outline[:, :4]))
        lash = np.maximum(lash, 0.7 * front * np.exp(-((upper / 0.018) ** 2)))
    masks |= {"eyes": eyes, "sclera": eyes, "iris": iris, "pupil": pupil, "lash": lash}
    brows = [_distance_to_line(points, flat[:, ends]) for ends in (range(17, 22), range(22, 27))]
    masks["brows"] = 0.85 * front * np.exp(-((np.minimum(*brows) / 0.045) ** 2))
    masks["lips"] = 0.9 * front * _ramp(_signed_distance(points, flat[:, 48:60]), 0.025)
    between = 0.5 * (flat[:, [60, 61, 62, 63, 64]] + flat[:, [60, 67, 66, 65, 64]])
    masks["mouth_line"] = front * np.exp(-((_distance_to_line(points, between) / 0.012) ** 2))
    nostrils = 0.5 * (flat[:, [31, 35]] + flat[:, [32, 34]]) + np.array([[0], [0.015]])
    masks["nostrils"] = front * _blobs(points, nostrils, 0.03)
    corners = 0.5 * (flat[:, [36, 45]] + flat[:, [48, 54]])
    masks["cheeks"] = front * _blobs(points, corners + np.array([[-0.05, 0.05], [0, 0]]), 0.22)
    masks["sockets"] = front * _blobs(points, flat[:, [39, 42]], 0.13)
    above_lip = flat[1, 33] - 0.02 - points[1]
    masks["stubble"] = front * _ramp(above_lip, 0.08) * (1 - masks["lips"])
    return masks


def _slow_waves(xyz: np.ndarray, marks: np.ndarray) -> list[np.ndarray]:
    x, y = xyz[0] - marks[0, 27], xyz[1] - marks[1, 33]
    return [np.sin(1.7 * x), np.sin(1.9 * y), np.cos(2.6 * x), np.cos(2.3 * y + 0.7)]


def _tint(colour: tuple[float, float, float], mask: np.ndarray) -> np.ndarray:
    return np.array(colour)[:, None] * mask


def _ramp(distance: np.ndarray, softness: float) -> np.ndarray:
    """0 to 1 as a signed distance passes 0, over about twice ``softness``."""
    return 0.5 * (1 + np.tanh(distance / softness))


def _blobs(points: np.ndarray, centres: np.ndarray, radius: float) -> np.ndarray:
    squared = ((points[:, None] - centres[:, :, None]) ** 2).sum(axis=0)
    return np.exp(-squared / radius**2).max(axis=0)


def _distance_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """``(n,)`` distance of ``(2, n)`` points to a polyline ``(2, m)``."""
    nearest = np.full(points.shape[1], np.inf)
    for start, end in zip(line.T[:-1], line.T[1:], strict=True):
        along = end - start
        share = ((points - start[:, None]) * along[:, None]).sum(axis=0) / (along @ along)
        foot = start[:, None] + share.clip(0, 1) * along[:, None]
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=0))
    return nearest


def _signed_distance(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Distance to a closed outline ``(2, m)``, positive inside (even-odd rule)."""
    closed = np.concatenate([outline, outline[:, :1]], axis=1)
    inside = np.zeros(points.shape[1], bool)
    for (x0, y0), (x1, y1) in zip(closed.T[:-1], closed.T[1:], strict=True):
        crosses = (y0 > points[1]) != (y1 > points[1])
        height = y1 - y0 if y1 != y0 else 1.0
        inside ^= crosses & (points[0] < x0 + (points[1] - y0) * (x1 - x0) / height)
    return np.where(inside, 1, -1) * _distance_to_line(points, closed)
