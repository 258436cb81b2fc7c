"""A run's folder of somebody else's networks: read as a trained run is, and not trained on.

It has a run's ``config.json`` (no data, one stage of no steps), ``checkpoints/imported/0``, the
note where its face model lies, and ``imported.json``: from which files, by which kind.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twodasl_jax.evaluation.report import write_results
from twodasl_jax.experiment.run.face_model_place import write_place
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.settings.reading import experiment_settings, plain
from twodasl_jax.methods.method import Arrays
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import Networks, TrainState

IMPORTED_FILE = "imported.json"
"""In the folder: what was imported; by it a folder is known as such."""

STAGE = "imported"


def imported_settings(*, backbone: str, landmark_map: bool, face_model: str) -> ExperimentSettings:
    """The experiment of networks that were trained elsewhere: no data, one stage of no steps.

    Args:
      backbone: of the regressor.
      landmark_map: whether it reads one.
      face_model: path, as it was typed; '' is the embedded one.
    """
    models = {"backbone": backbone, "landmark_map": landmark_map, "batch_norm": "train"}
    data = {"annotated": [], "in_the_wild": [], "augment": {}, "num_threads": 2}
    stage = {"name": STAGE, "num_steps": 0, "loss_weights": {}, "ramp_steps": {}, "optimizers": {}}
    return experiment_settings(
        {
            "seed": 0,
            "init_from": "",
            "face_model": {"path": face_model},
            "models": {**models, "convolution": "auto", "encoder_width_divisor": 1},
            "losses": {"landmark_importance": True, "num_vertices": 0},
            "data": {**data, "annotated_batch_size": 32, "in_the_wild_batch_size": 32},
            "stages": [stage],
            "training": {"log_every": 50, "checkpoint_every": 1000, "max_to_keep": 2},
            "evaluation": {"sets": [], "num_passes": 2, "batch_size": 40},
        }
    )


def write_imported_run(
    folder: Path,
    config: ExperimentSettings,
    networks: Networks,
    *,
    arrays: Arrays,
    identity: Mapping[str, Any],
    face_model_file: Path | None,
    provenance: Mapping[str, Any],
) -> None:
    """Writes the folder, whole or not at all.

    Args:
      folder: absent or empty.
      config: from `imported_settings`.
      networks: numpy or JAX arrays.
      arrays: the method's own; none where the networks predict nothing yet.
      identity: what the networks' numbers mean; its face model may be None.
      face_model_file: where the face model was read from; None where there is none.
      provenance: plain values for `IMPORTED_FILE`.

    Raises:
      OSError: where it cannot be written.
    """
    with _whole_folder(folder) as unfinished:
        workdir = Workdir(unfinished)
        state = TrainState(step=0, **networks._asdict(), opt_state={})
        description = RunDescription(plain(config), arrays, identity)
        with Checkpointer(workdir.checkpoints(STAGE), description) as checkpointer:
            checkpointer.save(state, {})
        workdir.save_config(config)
        if face_model_file is not None:
            place = (config.face_model.path, face_model_file, identity["face_model"])
            write_place(unfinished, *place)
        write_results(unfinished / IMPORTED_FILE, provenance)


def require_not_imported(folder: Path) -> None:
    """Refuses to train in a folder of imported networks.

    Raises:
      ValueError: with how to start from them.
    """
    if (folder / IMPORTED_FILE).exists():
        raise ValueError(
            f"{folder} holds imported networks, which are not trained in their place; start a run "
            f"from them in another --workdir: --config=configs/NAME.py --config.init_from={folder}"
        )


@contextlib.contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder beside `folder`; it becomes that folder when the context ends well.

    Beside it: relative paths that are noted lead from both to the same places.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a killed process
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
