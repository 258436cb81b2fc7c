"""A trained network, read back for scoring and prediction from a run's folder or from one file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.experiment.run.face_model_place import (
    face_model_of_network,
    find_face_model,
    read_place,
)
from twodasl_jax.experiment.run.network_files import network_of_file
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import RunChoice
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.face_model.albedo import with_colours
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import Faces, Method, MethodFamily
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.methods.registry import family_of
from twodasl_jax.pretrained.names import network_file_named
from twodasl_jax.training.state import Networks


class TrainedRun(NamedTuple):
    """The networks of a run, and what they were trained with.

    Attributes:
      settings_json: the run's own, plain values; of a network file, what it says of itself.
      stage: the name of the stage that the networks come from.
      step: of the checkpoint.
      face_model: the one whose points they predict, with colours.
      family: of the method.
      method: that predicts.
      networks: parameters and batch statistics.
      arrays: the method's own, of the checkpoint.
      about: a line on a network file: which it is, and its licence; '' for a run's folder.
    """

    settings_json: Mapping[str, Any]
    stage: str
    step: int
    face_model: FaceModel
    family: MethodFamily
    method: Method
    networks: Networks
    arrays: Mapping[str, np.ndarray]
    about: str = ""

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


def open_trained(
    name: str | Path,
    wanted: RunChoice | None = None,
    *,
    stage: str = "",
    face_model: str | None = None,
    num_passes: int | None = None,
) -> TrainedRun:
    """Reads a trained network by what a command calls it.

    Args:
      name: folder of a run, a network file (``--mode=pack``), or one that comes with the package:
        ``pretrained``, ``pretrained:bfm``.
      wanted: as for `load_trained_run`; a network file has nothing that it could choose.
      stage: as for `load_trained_run`.
      face_model: where the face model of the network lies now. A network file of another than the
        embedded one needs it.
      num_passes: of the network over a face; None is what it was scored with.

    Raises:
      FileNotFoundError, ValueError: one sentence, where there is no such network, it is damaged,
        or its face model is not to be found, or another one.
    """
    path = network_file_named(name)
    if path is None:
        return load_trained_run(
            Workdir(name), wanted, stage=stage, face_model=face_model, num_passes=num_passes
        )
    if wanted is not None:
        raise ValueError(
            f"--config chooses among the checkpoints of a run, and {name} is one network; leave "
            "--config out (its face model: --face_model=FILE)"
        )
    family, method, network = network_of_file(path)
    if stage not in ("", network.stage):
        raise ValueError(f"{name} has no stage '{stage}'; it has {network.stage}")
    found = face_model_of_network(network.identity["face_model"], owner=str(name), given=face_model)
    told = {"method": network.method, "models": network.models, "training": network.training}
    return TrainedRun(
        told,
        network.stage,
        network.step,
        with_colours(found),
        family,
        method.with_passes(network.num_passes if num_passes is None else num_passes),
        Networks(network.params, network.batch_stats),
        network.arrays,
        about=f"network: {name}, for the face model '{found.name}'; licence: {network.licence}",
    )


def load_trained_run(
    workdir: Workdir,
    wanted: RunChoice | None = None,
    *,
    stage: str = "",
    face_model: str | None = None,
    num_passes: int | None = None,
) -> TrainedRun:
    """Reads the newest checkpoint of a run, or its newest stage's best.

    Args:
      workdir: of the run.
      wanted: of other settings than the run's own; None is the run's own.
      stage: name of the stage whose networks are meant; '' is the newest.
      face_model: where the run's face model lies now, before what any settings say.
      num_passes: of the network over a face; None is what the run is scored with.

    Raises:
      FileNotFoundError, ValueError: where the folder holds no (complete) run, or its face model
        is not to be found, or another one.
    """
    # Not at the head: who reads a network file does without Orbax.
    from twodasl_jax.training.prediction_checkpoint import restore_for_prediction

    config = workdir.read_config()
    chosen = workdir.stage_named(config.stages, stage or workdir.newest_stage(config.stages))
    own = config.face_model.path
    wanted = config.run_choice if wanted is None else wanted
    checkpoint = restore_for_prediction(workdir.chosen_checkpoints(chosen.name, wanted.checkpoint))
    _require_faces(workdir, checkpoint.identity)
    if face_model is None and wanted.face_model not in ("", own):
        face_model = wanted.face_model
    found, _ = find_face_model(
        workdir.folder,
        own,
        identity=_identity_of_face_model(workdir, checkpoint.identity),
        given=face_model,
    )
    family = family_of(config.method)
    method = family.make(models=config.models, losses=config.losses, stage=chosen)
    passes = config.evaluation.num_passes if num_passes is None else num_passes
    return TrainedRun(
        plain(config),
        chosen.name,
        checkpoint.step,
        with_colours(found),
        family,
        method.with_passes(passes),
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
