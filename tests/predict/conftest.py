"""A small made-up face: a dome with a nose, enough for geometry without any real model."""

import contextlib
import socket
import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.predict.linear_faces import decode_crops, reconstruction_from_coefficients
from twodasl_jax.data.augment import warp_coefficients
from twodasl_jax.face_model.model import FaceModel, face_model_from_arrays
from twodasl_jax.landmark_tables import MIRROR_68
from twodasl_jax.predict.faces.reconstruct import CropFaces, Reconstruction
from twodasl_jax.predict.faces.upright import turn_about_centre
from twodasl_jax.predict.page.server_connections import make_server

GRID = 17
"""Vertices along each side of the dome."""

ROI_BOX = np.array([40.0, 20.0, 160.0, 140.0], np.float32)
"""A crop at the photograph's own scale."""


def dome_arrays() -> dict[str, np.ndarray]:
    """A sheet 100 mm wide that bulges towards +z, with a pyramid of a nose in its middle."""
    key = np.random.default_rng(0)
    line = np.linspace(-1.0, 1.0, GRID)
    x, y = (axis.ravel() for axis in np.meshgrid(line, -line))
    nose = np.maximum(0.0, 1.0 - 4.0 * np.maximum(abs(x), abs(y)))
    mean = np.stack([50 * x, 50 * y, 30 * (1 - (x**2 + y**2) / 2) + 20 * nose])
    corner = np.arange(GRID * GRID).reshape(GRID, GRID)
    a, b, c, d = (
        part.ravel()
        for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:])
    )
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    landmarks = np.linspace(0, GRID * GRID - 1, 68).round().astype(np.int64)
    landmarks[30] = (GRID * GRID) // 2  # the tip of the nose
    return {
        "mean": mean,
        "shape_basis": key.normal(scale=0.3, size=(40, 3, GRID * GRID)),
        "expression_basis": key.normal(scale=0.3, size=(10, 3, GRID * GRID)),
        "triangles": triangles,
        "landmark_vertices": landmarks,
        "mirror_vertices": corner[:, ::-1].ravel(),
        "uv": np.stack([x, y], 1) / 2 + 0.5,
        "albedo_mean": np.stack([x / 2 + 0.5, y / 2 + 0.5, 0 * x + 0.25]),
        "albedo_basis": np.zeros((1, 3, GRID * GRID)),
        "units_per_millimetre": np.array(1.0),
    }


@pytest.fixture(scope="session")
def dome_face() -> FaceModel:
    return face_model_from_arrays(dome_arrays(), "dome")


@pytest.fixture(scope="session")
def symmetric_face() -> FaceModel:
    """The dome with landmarks as a face's: mirrored pairs, the chin below the nasion."""
    generator = np.random.default_rng(5)
    corner = np.arange(GRID * GRID).reshape(GRID, GRID)
    landmarks = np.zeros(68, np.int64)
    # No vertex twice, which would be no face's.
    beside = iter(generator.permutation(corner[:, : GRID // 2].ravel()))
    between = iter(generator.permutation(np.setdiff1d(np.arange(GRID), [5, GRID - 1])))
    for index, other in enumerate(MIRROR_68):
        if index == other:
            landmarks[index] = corner[next(between), GRID // 2]
        elif index < other:
            row, column = divmod(next(beside), GRID)
            landmarks[[index, other]] = corner[row, [column, GRID - 1 - column]]
    landmarks[[27, 8]] = corner[[5, GRID - 1], GRID // 2]
    return face_model_from_arrays(dome_arrays() | {"landmark_vertices": landmarks}, "symmetric")


@pytest.fixture(scope="session")
def flag_photo() -> Callable[[float], np.ndarray]:
    """A picture of a disc, its upper half white, its lower black, turned counterclockwise."""

    def make(degrees: float) -> np.ndarray:
        rows, columns = np.indices((200, 240)) + 0.5
        x, y = columns - 120, rows - 100
        angle = np.radians(degrees)
        above = x * np.sin(angle) + y * np.cos(angle) < 0
        level = np.where(np.hypot(x, y) < 42, np.where(above, 255, 0), 128).astype(np.uint8)
        return np.repeat(level[..., None], 3, axis=2)

    return make


class FlagNetwork:
    """Follows such a disc that is within 45 degrees of upright; else fits an upright face.

    As real networks do: upright heads are understood, and anything else looks upright to it.
    """

    crop_size = 120

    def __init__(self, face_model: FaceModel):
        self.face_model, self.calls = face_model, 0

    def __call__(self, crops: np.ndarray, _landmarks: np.ndarray) -> CropFaces:
        self.calls += 1
        fits = np.stack([self._fit(crop[..., 0].astype(float)) for crop in crops])
        return decode_crops(self.face_model, fits)

    def _fit(self, crop: np.ndarray) -> np.ndarray:
        rows, columns = np.indices(crop.shape) + 0.5
        white, black = crop > 200, crop < 60
        # What lies outside of the photograph is black too, but far from the middle.
        black &= np.hypot(rows - 60, columns - 60) < 58
        fit = np.zeros(62, np.float32)
        fit[:12] = [0.6, 0, 0, 60, 0, 0.6, 0, 61, 0, 0, 0.6, 0]
        if not white.any() or not black.any():
            return fit
        ends = [np.array([columns[part].mean(), rows[part].mean()]) for part in (white, black)]
        x, y = ends[0] - ends[1]
        turn = np.degrees(np.arctan2(-x, -y))
        # The dome is as wide as the disc; its coefficients first lie upright in the middle.
        scale = np.sqrt((white.sum() + black.sum()) / np.pi) / 50
        warp = turn_about_centre(turn if abs(turn) < 45 else 0.0)
        warp *= scale / 0.6
        warp[:, 2] = (ends[0] + ends[1]) / 2 - warp[:, :2] @ (60, 60)
        return warp_coefficients(fit, warp)


@pytest.fixture
def flag_network(symmetric_face) -> FlagNetwork:
    return FlagNetwork(symmetric_face)


@pytest.fixture(scope="session")
def frontal_coefficients() -> np.ndarray:
    """The mean dome, frontal, in the middle of the crop, one crop pixel per millimetre."""
    coefficients = np.zeros(62, np.float32)
    coefficients[:12] = [1, 0, 0, 60, 0, 1, 0, 61, 0, 0, 1, 0]
    return coefficients


@pytest.fixture(scope="session")
def roi_box() -> np.ndarray:
    return ROI_BOX.copy()


@pytest.fixture(scope="session")
def reconstruct(dome_face: FaceModel) -> Callable[[np.ndarray, np.ndarray], Reconstruction]:
    """The dome with given coefficients, as found at a crop's box."""

    def made(coefficients: np.ndarray, roi_box: np.ndarray) -> Reconstruction:
        return reconstruction_from_coefficients(
            dome_face,
            coefficients,
            roi_box,
            crop=np.full((120, 120, 3), 128, np.uint8),
            box=roi_box,
        )

    return made


@pytest.fixture(scope="session")
def frontal(
    reconstruct: Callable[[np.ndarray, np.ndarray], Reconstruction],
    frontal_coefficients: np.ndarray,
    roi_box: np.ndarray,
) -> Reconstruction:
    return reconstruct(frontal_coefficients, roi_box)


@pytest.fixture(scope="session")
def turned_by() -> Callable[[float, np.ndarray], np.ndarray]:
    """Coefficients of the same dome with the head turned by so many degrees of yaw."""

    def turned(yaw_degrees: float, coefficients: np.ndarray) -> np.ndarray:
        turned = coefficients.copy()
        cosine, sine = np.cos(np.radians(yaw_degrees)), np.sin(np.radians(yaw_degrees))
        turned[[0, 2, 8, 10]] = cosine, -sine, sine, cosine
        return turned

    return turned


@pytest.fixture
def photo() -> np.ndarray:
    """Left half red, right half blue, a green ramp from top to bottom."""
    image = np.zeros((160, 200, 3), np.uint8)
    image[:, :100, 0], image[:, 100:, 2] = 200, 200
    image[..., 1] = np.arange(160)[:, None]
    return image


@pytest.fixture(scope="session")
def serving() -> Callable:
    """``with serving(app) as port``: the web application answers until the end of the block."""

    @contextlib.contextmanager
    def served(app):
        server = make_server(app)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                yield listening.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join()

    return served
