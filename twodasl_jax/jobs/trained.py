"""A trained run, read back for scoring and prediction."""

from typing import Any, NamedTuple

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.jobs.assembly import make_constants, make_face_model, make_method
from twodasl_jax.jobs.workdir import Workdir
from twodasl_jax.methods.twodasl import Constants, TwoDASL
from twodasl_jax.training.checkpoint import restore_for_prediction


class TrainedRun(NamedTuple):
    """The networks of a run, and what they were trained with.

    Attributes:
      config: the run's own.
      stage: the name of the stage that the networks come from.
      face_model: the one they predict coefficients of.
      method: networks as modules.
      networks: parameters and batch statistics.
      constants: face model and whitening for the method.
      step: of the checkpoint.
    """

    config: Any
    stage: str
    face_model: FaceModel
    method: TwoDASL
    networks: tuple[Any, Any]
    constants: Constants
    step: int


def load_trained_run(workdir: Workdir, wanted: Any = None, *, stage: str = "") -> TrainedRun:
    """Reads the newest checkpoint of a run, or its newest stage's best.

    Args:
      workdir: of the run.
      wanted: a config whose ``training.checkpoint`` chooses; None is the run's own.
      stage: name of the stage whose networks are meant; '' is the newest.

    Raises:
      FileNotFoundError, ValueError: where the folder holds no (complete) run.
    """
    config = workdir.read_run_config()
    chosen = workdir.stage_named(config, stage) if stage else workdir.newest_stage(config)
    folder = workdir.networks(chosen.name, config if wanted is None else wanted)
    checkpoint = restore_for_prediction(folder)
    if checkpoint.whitening is None:
        raise ValueError(
            f"the checkpoint in {folder} has no whitening statistics; "
            "its outputs cannot be read: train again"
        )
    face_model = make_face_model(config)
    return TrainedRun(
        config,
        chosen.name,
        face_model,
        make_method(config, chosen),
        (checkpoint.params, checkpoint.batch_stats),
        make_constants(config, face_model, checkpoint.whitening),
        checkpoint.step,
    )
