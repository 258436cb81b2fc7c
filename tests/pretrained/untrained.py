"""A network file without any training: its whitening holds its faces frontal, in the middle.

``python -m tests.pretrained.untrained FILE.npz`` writes one of the open face model, with which
`.ci/installed` tries a package that has no weights.
"""

import sys

import jax
import numpy as np

from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.methods.registry import family_of
from twodasl_jax.methods.twodasl_setup import MEAN, STD, ModelSettings
from twodasl_jax.pretrained.network_file import NetworkFile, write_network_file

SETTINGS = {
    "backbone": "resnet_tiny",
    "batch_norm": "train",
    "convolution": "native",
    "encoder_width_divisor": 8,
    "landmark_map": True,
}


def frontal_coefficients(face_model) -> np.ndarray:
    """The mean face, frontal, as large in the crop as training crops frame faces."""
    points = np.asarray(face_model.linear.mean)[:, face_model.landmark_vertices]
    scale = 120 / np.sqrt(2) / np.ptp(points[:2], axis=1).max()
    coefficients = np.zeros(62, np.float32)
    coefficients[[0, 5, 10]] = scale
    coefficients[[3, 7]] = (60, 61) - scale * (points[:2].max(1) + points[:2].min(1)) / 2
    return coefficients


def untrained_network(face_model, **changes) -> NetworkFile:
    """What packing a run without a step would give; ``changes`` are of its fields."""
    family, mean = family_of("twodasl"), frontal_coefficients(face_model)
    models = ModelSettings(**SETTINGS)
    shapes = jax.eval_shape(family.make_predicting(models).init, jax.random.key(0))
    random = np.random.default_rng(0)
    params, batch_stats = (
        jax.tree.map(
            lambda array, scale=scale: (scale * random.uniform(0.5, 1.5, array.shape)).astype(
                np.float32
            ),
            tree,
        )
        for tree, scale in zip(shapes, (1e-3, 1.0), strict=True)
    )
    fields = {
        "params": params,
        "batch_stats": batch_stats,
        "arrays": {MEAN: mean, STD: np.abs(mean) * np.float32(0.01) + np.float32(1e-4)},
        "method": "twodasl",
        "models": SETTINGS,
        "num_passes": 2,
        "stage": "only",
        "step": 0,
        "identity": {
            "method": "twodasl",
            **family.meaning(models),
            "face_model": face_model_identity(face_model),
        },
        "licence": "none: it is not trained",
        "card": "No data.",
        "training": {},
        "rounding": {},
    }
    return NetworkFile(**(fields | changes))


if __name__ == "__main__":
    write_network_file(sys.argv[1], untrained_network(load_face_model()))
