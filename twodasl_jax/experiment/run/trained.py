"""A trained run, read back for scoring and prediction."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from twodasl_jax.experiment.assembly import make_constants, make_method
from twodasl_jax.experiment.run.face_model_place import find_face_model, read_place
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.face_model.albedo import with_colours
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.twodasl import Constants, TwoDASL
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction


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


def load_trained_run(
    workdir: Workdir, wanted: Any = None, *, stage: str = "", face_model: str | None = None
) -> TrainedRun:
    """Reads the newest checkpoint of a run, or its newest stage's best.

    Args:
      workdir: of the run.
      wanted: a config whose ``training.checkpoint`` chooses, and whose ``face_model.path`` says
        where the face model lies now; None is the run's own.
      stage: name of the stage whose networks are meant; '' is the newest.
      face_model: where the run's face model lies now, before what any config says.

    Raises:
      FileNotFoundError, ValueError: where the folder holds no (complete) run, or its face model
        is not to be found, or another one.
    """
    config = workdir.read_config()
    chosen = workdir.stage_named(config, stage) if stage else workdir.newest_stage(config)
    folder = workdir.networks(chosen.name, config if wanted is None else wanted)
    checkpoint = restore_for_prediction(folder)
    if checkpoint.whitening is None:
        raise ValueError(
            f"the checkpoint in {folder} has no whitening statistics; "
            "its outputs cannot be read: train again"
        )
    own = config.face_model.path
    if face_model is None and wanted is not None and wanted.face_model.path not in ("", own):
        face_model = wanted.face_model.path
    found, _ = find_face_model(
        workdir.folder,
        own,
        identity=_identity_of_face_model(workdir, checkpoint.identity),
        given=face_model,
    )
    found = with_colours(found)
    return TrainedRun(
        config,
        chosen.name,
        found,
        make_method(config, chosen),
        (checkpoint.params, checkpoint.batch_stats),
        make_constants(config, found, checkpoint.whitening),
        checkpoint.step,
    )


def _identity_of_face_model(
    workdir: Workdir, identity: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """As the checkpoint has it; a run's folder knows it too where a checkpoint does not."""
    if identity is not None:
        return identity["face_model"]
    place = read_place(workdir.folder)
    return None if place is None else place["identity"]
