"""A network trained on nothing but renders of the open face model: no photograph, no restriction.

Command:   python run.py --config=configs/renders.py --workdir=runs/renders
           Scored on photographs where there are some (they choose nothing):
           --config.evaluation.sets=... as photos.py has them.
Data:      12,000 faces of the embedded open face model, rendered into the workdir.
Measured:  nothing yet.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """One stage of full supervision, of a network that reads RGB alone, from a random start."""
    config = base.get_config()
    config.models.backbone = "mobilenet_v1"
    config.models.landmark_map = False
    config.models.upright_pass = True
    config.data.annotated = (base.rendered("annotated", num_faces=12_000, seed=1),)
    config.data.annotated_batch_size = 64
    config.data.augment = {
        "rotation_degrees": 20.0,
        "shift_px": 3.0,
        "scale": 0.08,
        "colour": 0.4,
        "damage_probability": 0.3,
        "turned_share": 0.1,
    }
    config.data.keep_decoded = True
    config.data.validation = {"source": "annotated", "every": 20}
    config.losses.num_vertices = 132
    config.stages = (
        base.stage(
            "renders",
            num_steps=4500,
            loss_weights={
                "coefficient": 1.0,
                "landmark68_fit": 1.0,
                "annotated_orthogonality": 0.5,
                "vertex": 0.02,
            },
            optimizers={
                "regressor": {
                    "name": "adamw",
                    "learning_rate": 1.5e-3,
                    "schedule": "cosine",
                    "warmup_steps": 200,
                    "weight_decay": 1e-4,
                    "clip_norm": 5.0,
                }
            },
        ),
    )
    config.training.checkpoint_every = 500
    config.training.evaluate_every = 1000
    return config
