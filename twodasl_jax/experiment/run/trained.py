"""A trained run, read back for scoring and prediction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.experiment.run.assembly import make_method
from twodasl_jax.experiment.run.face_model_place import find_face_model, read_place
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.face_model.albedo import with_colours
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import Faces, Method, MethodFamily
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.state import Networks


class TrainedRun(NamedTuple):
    """The networks of a run, and what they were trained with.

    Attributes:
      config: the run's own.
      stage: the name of the stage that the networks come from.
      step: of the checkpoint.
      face_model: the one whose points they predict, with colours.
      family: of the method.
      method: that predicts.
      networks: parameters and batch statistics.
      arrays: the method's own, of the checkpoint.
    """

    config: Any
    stage: str
    step: int
    face_model: FaceModel
    family: MethodFamily
    method: Method
    networks: Networks
    arrays: Mapping[str, np.ndarray]

    def predictor(
        self,
        *,
        batch_sizes: Sequence[int],
        dense: bool = True,
        outputs: Callable[[Faces], Any] = lambda faces: faces,
    ) -> Predictor:
        """A function of networks and crops: see `Predictor`.

        Args:
          batch_sizes: of the compiled programs.
          dense: all vertices, or the 68 landmarks alone.
          outputs: what is wanted of the faces.

        Raises:
          ValueError: where the checkpoint lacks an array of the method.
        """
        constants = self.family.prediction_constants(self.face_model, self.arrays, dense=dense)
        return Predictor(self.method, constants, batch_sizes=batch_sizes, outputs=outputs)


def load_trained_run(
    workdir: Workdir,
    wanted: Any = None,
    *,
    stage: str = "",
    face_model: str | None = None,
    num_passes: int | None = None,
) -> TrainedRun:
    """Reads the newest checkpoint of a run, or its newest stage's best.

    Args:
      workdir: of the run.
      wanted: a config whose ``training.checkpoint`` chooses, and whose ``face_model.path`` says
        where the face model lies now; None is the run's own.
      stage: name of the stage whose networks are meant; '' is the newest.
      face_model: where the run's face model lies now, before what any config says.
      num_passes: of the network over a face; None is what the run's config scores with.

    Raises:
      FileNotFoundError, ValueError: where the folder holds no (complete) run, or its face model
        is not to be found, or another one.
    """
    config = workdir.read_config()
    chosen = workdir.stage_named(config, stage) if stage else workdir.newest_stage(config)
    folder = workdir.networks(chosen.name, config if wanted is None else wanted)
    checkpoint = restore_for_prediction(folder)
    _require_faces(workdir, checkpoint.identity)
    own = config.face_model.path
    if face_model is None and wanted is not None and wanted.face_model.path not in ("", own):
        face_model = wanted.face_model.path
    found, _ = find_face_model(
        workdir.folder,
        own,
        identity=_identity_of_face_model(workdir, checkpoint.identity),
        given=face_model,
    )
    passes = config.evaluation.num_passes if num_passes is None else num_passes
    return TrainedRun(
        config,
        chosen.name,
        checkpoint.step,
        with_colours(found),
        family_of(config.method),
        make_method(config, chosen).with_passes(passes),
        Networks(checkpoint.params, checkpoint.batch_stats),
        checkpoint.arrays,
    )


def _require_faces(workdir: Workdir, identity: Mapping[str, Any] | None) -> None:
    if identity is not None and identity["face_model"] is None:
        raise ValueError(
            f"{workdir.folder} holds imported networks that predict no faces yet; train a run from "
            f"them: --config=configs/NAME.py --config.init_from={workdir.folder}"
        )


def _identity_of_face_model(
    workdir: Workdir, identity: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """As the checkpoint has it; a run's folder knows it too where a checkpoint does not."""
    if identity is not None:
        return identity["face_model"]
    place = read_place(workdir.folder)
    return None if place is None else place["identity"]
