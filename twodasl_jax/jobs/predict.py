"""Reconstructs the face of a photograph with a trained run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from twodasl_jax.evaluation.report import write_results
from twodasl_jax.jobs.assembly import make_predict
from twodasl_jax.jobs.trained import load_trained_run
from twodasl_jax.jobs.workdir import Workdir
from twodasl_jax.predict.drawing import reconstruction_strip
from twodasl_jax.predict.export import colours_from_photo, export_mesh, mesh_vertices
from twodasl_jax.predict.reconstruct import Reconstruction, load_image, predict_photo

ASTRONAUT = "astronaut"
"""Name of the photograph that comes with scikit-image (Eileen Collins, NASA, public domain)."""

ASTRONAUT_BOX = np.array([168.0, 65.0, 276.0, 195.0])
"""Her face in it, as a detector would frame it."""


def predict(config: Any, *, workdir: str, image: str | None, box: Sequence[str] | None) -> None:
    """Reconstructs one face; writes into ``WORKDIR/prediction``.

    Args:
      config: its ``training.checkpoint`` is used (newest or best), or the run's where None.
      workdir: a trained run.
      image: path of the photograph; None is scikit-image's astronaut.
      box: ``x1, y1, x2, y2`` of the face, image pixels; None starts from the whole image.
    """
    reconstruct_photo(Workdir(workdir), image=image, box=box, console=Console(), config=config)


def parse_box(box: Sequence[str] | None) -> np.ndarray | None:
    """``--box`` as four numbers.

    Raises:
      ValueError: if it is not four numbers that frame something.
    """
    if box is None:
        return None
    try:
        corners = np.array([float(value) for value in box])
    except ValueError:
        corners = np.zeros(0)
    if corners.shape != (4,) or not (corners[2:] > corners[:2]).all():
        raise ValueError(
            f"--box={','.join(box)} frames nothing; give four numbers x1,y1,x2,y2 in image "
            "pixels with x1 < x2 and y1 < y2"
        )
    return corners


def reconstruct_photo(
    workdir: Workdir,
    *,
    image: str | None,
    box: Sequence[str] | None,
    console: Console,
    config: Any = None,
) -> Reconstruction:
    """Reconstructs with the networks of a run: picture strip, mesh and JSON.

    Args:
      workdir: a trained run.
      image: as for `predict`.
      box: as for `predict`.
      console: where the pose is printed.
      config: as for `predict`.
    """
    corners = parse_box(box)
    if image is None:
        from skimage.data import astronaut

        photo, name = astronaut(), ASTRONAUT
        corners = ASTRONAUT_BOX if corners is None else corners
    else:
        photo, name = load_image(image), Path(image).stem
    trained = load_trained_run(workdir, config)
    face_model = trained.face_model
    predict_crops = make_predict(
        trained.method, trained.networks, trained.constants, num_passes=2, batch_size=1
    )
    nothing = np.full((1, 18, 2), np.nan, np.float32)
    face = predict_photo(
        photo,
        corners,
        lambda crops: predict_crops(crops, nothing),
        face_model,
        # Training crops frame the landmarks; a detector's box is near that, a whole image is not.
        num_refinements=3 if corners is None else 1,
    )
    folder = workdir.folder / "prediction"
    folder.mkdir(parents=True, exist_ok=True)
    strip = reconstruction_strip(photo, face, face_model)
    Image.fromarray(strip).save(folder / f"{name}.png")
    export_mesh(
        folder / f"{name}.glb",
        mesh_vertices(face, face_model),
        np.asarray(face_model.triangles),
        colours_from_photo(photo, face, face_model),
    )
    write_results(folder / f"{name}.json", _as_json(face))
    pose = face.head_pose
    console.print(
        f"{name}: yaw {pose.yaw:.1f}°, pitch {pose.pitch:.1f}°, roll {pose.roll:.1f}°; "
        f"picture, mesh and numbers in {folder}/{name}.png, .glb, .json"
    )
    return face


def _as_json(face: Reconstruction) -> dict[str, object]:
    """Numbers of one face; lengths in image pixels, angles in degrees."""
    return {
        "roi_box": np.asarray(face.roi_box).tolist(),
        "coefficients": np.asarray(face.coefficients).tolist(),
        "landmarks": np.asarray(face.landmarks).tolist(),
        "head_pose_degrees": {
            "pitch": float(face.head_pose.pitch),
            "yaw": float(face.head_pose.yaw),
            "roll": float(face.head_pose.roll),
        },
    }
