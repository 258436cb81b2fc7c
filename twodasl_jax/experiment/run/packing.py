"""A trained run as a network file, and by how much half precision moves its landmarks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.experiment.run.provenance import git_revision
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import read_settings
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.methods.method import crop_points
from twodasl_jax.pretrained.network_file import NetworkFile, in_half_precision
from twodasl_jax.training.state import Networks

LARGEST_MEAN_MOVE = 1e-3
"""Of the crop's side: 0.12 px of 120. The landmarks of the quickstart's network move by 0.019 px,
those of ``configs/aflw.py:renders`` by 0.009 (256 real crops). Single ones move by up to 0.7 px,
where a pixel of the second pass's landmark map is another."""

_BATCH_SIZE = 32


def packed(
    trained: TrainedRun, workdir: Workdir, crops: np.ndarray, *, licence: str, card: str
) -> NetworkFile:
    """What prediction needs of a run, with what the run says of itself.

    Args:
      trained: from ``workdir``.
      workdir: of the run.
      crops: ``(n, size, size, 3)`` uint8 RGB of the method's size, to compare predictions on.
      licence: what may be done with the network, one line.
      card: see `NetworkFile`.

    Raises:
      ValueError: where half precision cannot hold the networks, or moves the landmarks too far.
    """
    family, settings = trained.family, trained.settings_json
    models = read_settings(family.settings["models"], settings["models"])
    networks = Networks(
        *(
            {name: group[name] for name in family.prediction_network_names if name in group}
            for group in trained.networks
        )
    )
    rounding = measured_rounding(trained, networks, crops)
    identity = {"method": settings["method"], **family.meaning(models)}
    return NetworkFile(
        params=networks.params,
        batch_stats=networks.batch_stats,
        arrays=trained.arrays,
        method=settings["method"],
        models=settings["models"],
        num_passes=settings["evaluation"]["num_passes"],
        stage=trained.stage,
        step=trained.step,
        identity=identity | {"face_model": face_model_identity(trained.face_model)},
        licence=licence,
        card=card,
        training=_training(trained, workdir),
        rounding=rounding,
    )


def measured_rounding(
    trained: TrainedRun, networks: Networks, crops: np.ndarray
) -> dict[str, float | int]:
    """By how much the 68 landmarks move, in crop pixels, when networks are in half precision.

    Args:
      trained: the run.
      networks: its own, of those that prediction reads.
      crops: ``(n, size, size, 3)`` uint8 RGB of the method's size.

    Returns:
      ``faces``, ``mean_px`` and ``largest_px``.

    Raises:
      ValueError: where they move by more than `LARGEST_MEAN_MOVE`, or the networks cannot be
        halved.
    """
    size = trained.method.crop_size
    predictor = trained.predictor(
        batch_sizes=(_BATCH_SIZE,), dense=False, outputs=lambda faces: crop_points(faces, size)
    )
    halved = Networks(*(in_half_precision(group) for group in networks))
    whole, rounded = (predictor(each, crops)[..., :2] for each in (networks, halved))
    moved = np.linalg.norm(whole - rounded, axis=-1)
    if not moved.mean() <= LARGEST_MEAN_MOVE * size:  # also of numbers that are none
        raise ValueError(
            f"half precision moves the landmarks by {moved.mean():.3g} px of a {size}-pixel crop, "
            f"more than {LARGEST_MEAN_MOVE * size:.3g}: these networks need all their digits and "
            "cannot be packed"
        )
    return {
        "faces": len(crops),
        "mean_px": round(float(moved.mean()), 5),
        "largest_px": round(float(moved.max()), 5),
    }


def _training(trained: TrainedRun, workdir: Workdir) -> dict[str, Any]:
    """What the run says of itself; names without folders, which mean nothing elsewhere."""
    settings = trained.settings_json
    scored = workdir.read_results()["evaluations"].get(trained.stage, {})
    return {
        "seed": settings["seed"],
        "init_from": Path(settings["init_from"]).name,
        "stages": {stage["name"]: stage["num_steps"] for stage in settings["stages"]},
        "data": {
            half: [_source_name(source) for source in settings["data"][half]]
            for half in ("annotated", "in_the_wild")
        },
        "scores": {name: entry["metrics"] for name, entry in scored.items()},
        "packed_by": git_revision(),
    }


def _source_name(source: Mapping[str, Any]) -> str:
    return f"{source['kind']}: {source.get('name') or Path(source['path']).name}"
