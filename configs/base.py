"""The defaults that every experiment starts from; not an experiment of its own.

Groups are named as the folders of ``twodasl_jax``. Each experiment file changes what makes
it that experiment, and its header gives command, hardware, wall time and figures.
"""

from ml_collections import ConfigDict


def rendered(name: str, *, num_faces: int, seed: int, **settings) -> ConfigDict:
    """A source of faces rendered, with smoothed outlines, into ``WORKDIR/data/<name>``."""
    return ConfigDict(
        {"kind": "rendered", "name": name, "num_faces": num_faces, "seed": seed}
        | {"weight": 1.0, "supersample": 2}
        | settings
    )


def prepared(name: str, *, split: str, flip: bool = True) -> ConfigDict:
    """A data set prepared with TFDS; ``data_dir`` '' is ``~/tensorflow_datasets``.

    ``flip`` False never mirrors its faces; any kind of source may say so (see `AugmentOptions`).
    """
    return ConfigDict(
        {"kind": "tfds", "name": name, "split": split, "data_dir": "", "weight": 1.0, "flip": flip}
    )


def stage(
    name: str, *, num_steps: int, loss_weights: dict, optimizers: dict, **settings
) -> ConfigDict:
    """One stage; a run trains its stages in order, each from the networks of the one before."""
    defaults = {"ramp_steps": {}, "loss_formula": "paper"}
    return ConfigDict(
        defaults
        | {"name": name, "num_steps": num_steps, "loss_weights": loss_weights}
        | {"optimizers": optimizers}
        | settings
    )


def paper_optimizers(*, decay_steps: int) -> dict:
    """SGD with exponential decay for the regressor, Adam for encoder and critic (method.md 5)."""
    adam = {"name": "adam", "learning_rate": 1e-4}
    return {
        "regressor": {
            "name": "sgd",
            "learning_rate": 5e-5,
            "schedule": "exponential_decay",
            "decay_steps": decay_steps,
            "decay_rate": 0.5,
            "momentum": 0.9,
            "weight_decay": 5e-4,
        },
        "encoder": dict(adam),
        "critic": dict(adam),
    }


def _training() -> ConfigDict:
    return ConfigDict(
        {
            "log_every": 50,
            "checkpoint_every": 1000,
            "max_to_keep": 2,
            # Validation, in steps; 0 is never.
            "evaluate_every": 0,
            # By what the best checkpoint of a stage is chosen, never by a benchmark:
            # validation/NUMBER of held-out faces, SET/manual/NUMBER or SET/fits/NUMBER of a set of
            # labelled crops.
            "best": {"metric": "validation/mean_of_images", "mode": "min"},
            # What the next stage starts from and what is scored: newest or best.
            "checkpoint": "newest",
            # A run that goes on and finds its newest checkpoint damaged: fall_back goes on from
            # the newest whole one, stop ends.
            "on_damaged_checkpoint": "fall_back",
        }
    )


def get_config() -> ConfigDict:
    """All settings with their defaults."""
    config = ConfigDict()
    config.seed = 0
    # A trained run (its workdir) to start from; '' starts from random networks.
    config.init_from = ""
    # all; or backbone, with a fresh head: what another face model can start from.
    config.init_part = "all"
    # A key of `METHODS`; `models` and `losses` are its own settings.
    config.method = "twodasl"

    # '' is the embedded open face model; else a file of ours or the BFM .npz.
    config.face_model = ConfigDict({"path": ""})

    config.models = ConfigDict(
        {
            "backbone": "resnet50",
            "batch_norm": "train",
            "convolution": "auto",
            # Of the self-critic's encoder: 1 is the full one, 4 suits a small backbone.
            "encoder_width_divisor": 1,
            # False: RGB alone, the paper's base ablation.
            "landmark_map": True,
            # Without a map: heads that lie in the picture are shown a second time, upright.
            "upright_pass": False,
        }
    )
    config.losses = ConfigDict(
        {
            # The paper's weight mask v on the 18 landmarks.
            "landmark_importance": True,
            # Vertices of the vertex distance cost: 0 is all of them, else the 68 landmarks
            # and this many spread over the face.
            "num_vertices": 0,
            # Of depth in that cost: less than 1 suits fits to one view.
            "depth_weight": 1.0,
        }
    )
    config.data = ConfigDict(
        {
            "annotated": (),
            "in_the_wild": (),
            "annotated_batch_size": 32,
            "in_the_wild_batch_size": 32,
            "augment": {},
            "num_threads": 2,
            # Pictures are decoded once and kept in memory, 43 KB each: for many epochs on a fast
            # device.
            "keep_decoded": False,
            # Every k-th face of one annotated source (its name; '' is none) is held out of all
            # training data, to validate with while training.
            "validation": {"source": "", "every": 20},
        }
    )
    config.stages = ()
    config.training = _training()
    config.evaluation = ConfigDict(
        {
            # Scored before training and after every stage; those of kind "crops" (labelled crops
            # that are never trained on) also every training.evaluate_every steps.
            "sets": (),
            # 2: without given landmarks, the second pass is fed the first one's.
            "num_passes": 2,
            "batch_size": 40,
        }
    )
    return config
