"""A network to use: trained on photographs, from a published one's weights and near its faces.

Commands:  python run.py --mode=import --kind=3ddfa_v2_mobilenet --torch=MB05/mb05_120x120.pth
               --whitening=MB05/param_mean_std_62d_120x120.pkl --workdir=runs/mb05
               --face_model=../shared/data/bfm/bfm2009_53215.npz
           python run.py --mode=annotate --images=../shared/data/aflw_in_the_wild --prior=runs/mb05
               --face_model=../shared/data/bfm/bfm2009_53215.npz --output=runs/aflw_prior
           python run.py --mode=annotate --images=../shared/data/aflw_validation --prior=runs/mb05
               --face_model=../shared/data/bfm/bfm2009_53215.npz --output=runs/validation_prior
           python run.py --config=configs/photos.py --workdir=runs/photos
           and for the open face model, whose network comes with the package:
           python run.py --mode=retarget --images=runs/aflw_prior --open_face=photo_face
               --max_residual=6 --face_model=../shared/data/bfm/bfm2009_53215.npz
               --output=runs/aflw_photo
           python run.py --mode=retarget --images=runs/validation_prior --open_face=photo_face
               --max_residual=6 --face_model=../shared/data/bfm/bfm2009_53215.npz
               --output=runs/validation_photo
           python run.py --config=configs/photos.py:open --workdir=runs/photos_open
           (MB05 is ../shared/data/published_networks/3ddfa_v2_mb05)
Variants:  wide (the default): 3DDFA_V2's MobileNet at twice its channels, which start as copies.
           small: at its own.
           open: wide, of the open face model with its mean where photographs show faces
           (photo_face): from the backbone of the package's BFM network.
Data:      ../shared/data (AFLW crops with landmarks, BFM; research-only licences, not part of this
           repository: docs/face_models.md).
Measured:  docs/training_log.md; docs/model_card.md is of the two networks that came of it. The
           package's open network is of the open face model itself, of an earlier state of this file
           (commit 5331788); on photo_face, open was started and not trained.
"""

from ml_collections import ConfigDict

from configs import base

SHARED = "../shared/data"
BACKBONES = {"wide": "mobilenet_v1", "small": "mobilenet_v1_half", "open": "mobilenet_v1"}
"""Variant -> network; 3DDFA_V2's weights are the smaller one's."""


def fits(path: str) -> ConfigDict:
    """AFLW's training faces; profiles, which are rarer, come more often."""
    return ConfigDict(
        {"kind": "fits", "name": "aflw", "path": path, "images": f"{SHARED}/aflw_in_the_wild"}
        | {"weight": 1.0, "yaw_weights": (1.0, 1.5, 2.0)}
    )


def validation(fitted: str) -> ConfigDict:
    """AFLW's validation faces, which nothing is trained on."""
    return ConfigDict(
        {"kind": "crops", "name": "aflw_validation", "path": f"{SHARED}/aflw_validation"}
        | {"fits": fitted}
    )


def get_config(variant: str = "wide") -> ConfigDict:
    """One stage of supervision by all 68 points, of a network that reads RGB alone.

    Args:
      variant: a key of `BACKBONES`.
    """
    if variant not in BACKBONES:
        raise ValueError(f"no variant is called '{variant}'; choose one of {', '.join(BACKBONES)}")
    config = base.get_config()
    config.init_from = "runs/mb05"
    config.face_model.path = f"{SHARED}/bfm/bfm2009_53215.npz"
    config.models.backbone = BACKBONES[variant]
    config.models.landmark_map = False
    config.models.upright_pass = True
    config.data.annotated = (fits("runs/aflw_prior"),)
    config.data.annotated_batch_size = 64
    config.data.augment = {
        "rotation_degrees": 20.0,
        "shift_px": 3.0,
        "scale": 0.08,
        "turned_share": 0.2,
        "turned_degrees": 180.0,
    }
    config.data.keep_decoded = True
    config.evaluation.sets = (validation("runs/validation_prior"),)
    config.evaluation.batch_size = 128
    config.stages = (
        base.stage(
            "photos",
            num_steps=5557,
            loss_weights={
                "landmark68_fit": 1.0,
                "landmark68_label": 0.3,
                "annotated_orthogonality": 0.5,
                "annotated_prior": 0.02,
            },
            optimizers={
                "regressor": {
                    "name": "adamw",
                    "learning_rate": 5e-4,
                    "schedule": "cosine",
                    "warmup_steps": 200,
                    "weight_decay": 1e-4,
                    "clip_norm": 5.0,
                }
            },
        ),
    )
    if variant == "open":
        _of_the_open_face(config)
    config.training.checkpoint_every = 500
    config.training.evaluate_every = 1000
    config.training.best.metric = "aflw_validation/fits/mean_of_bins"
    return config


def _of_the_open_face(config: ConfigDict) -> None:
    """Labels carried over (`--mode=retarget`), a fresh head, a shorter schedule."""
    config.init_from, config.init_part = "pretrained:bfm", "backbone"
    config.face_model.path = "photo_face"
    config.data.annotated[0].path = "runs/aflw_photo"
    config.data.augment.turned_share = 0.1
    config.evaluation.sets[0].fits = "runs/validation_photo"
    (stage,) = config.stages
    stage.num_steps = 1800
    # A fresh head learns depth and the hidden side too, which 68 points leave open, px².
    stage.loss_weights.vertex = 0.01
    config.losses.depth_weight = 0.25
    stage.optimizers.regressor.learning_rate = 4e-4
    stage.optimizers.regressor.warmup_steps = 100
