"""The folder of one run: what lies where, and that it stays one run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from twodasl_jax.evaluation.report import write_results
from twodasl_jax.experiment.assembly import plain
from twodasl_jax.experiment.settings.run_settings import (
    RESTORE,
    require_run_settings,
    require_stages,
)
from twodasl_jax.user_files.json_file import read_json, require_entries

_MOVE_AWAY = "move it away, and its table is started anew"

_FREE = ("evaluation", "training")
"""Groups that may change between the parts of one run: they do not touch the training."""

_FREE_KEYS = ("face_model.path",)
"""Where a face model lies; what it is, is compared (`face_model_place`)."""


CHECKPOINTS = ("newest", "best")
"""What ``training.checkpoint`` may say: which networks the next stage, scoring and prediction
use."""


class Workdir:
    """Paths and small files of a run.

    ::

        config.json                 the experiment
        face_model.json             where its face model lay, and what it was
        data/<name>/                rendered faces
        checkpoints/<stage>/        networks, optimiser, data position
        best/<stage>/               the networks with the best validation, if that is measured
        logs/<stage>/               metrics.csv and TensorBoard events
        evaluations/<moment>/<set>/ per_image.csv, predictions.npz
        results.json                every score, with conventions and wall time
        *.png, prediction/          pictures, the photograph's mesh
    """

    def __init__(self, folder: str | Path) -> None:
        """Names the folder; nothing is made before something is written."""
        self.folder = Path(folder)

    def checkpoints(self, stage: str) -> Path:
        """Checkpoints of one stage."""
        return self.folder / "checkpoints" / stage

    def best(self, stage: str) -> Path:
        """The best checkpoint of one stage, by validation."""
        return self.folder / "best" / stage

    def networks(self, stage: str, config: Any) -> Path:
        """Checkpoints that what follows a stage reads: the newest, or the best if so configured.

        Args:
          stage: its name.
          config: of a run; those made before there was a choice have the newest.

        Raises:
          ValueError: for a choice that there is not, or where no best was kept.
        """
        which = config.training.get("checkpoint", CHECKPOINTS[0])
        if which not in CHECKPOINTS:
            raise ValueError(
                f"training.checkpoint is '{which}'; choose one of {', '.join(CHECKPOINTS)}"
            )
        if which == "newest":
            return self.checkpoints(stage)
        if not checkpoint_steps(self.best(stage)):
            raise ValueError(
                f"{self.folder} keeps no best checkpoint of stage '{stage}' (trained without "
                "validation); take the newest: --config.training.checkpoint=newest"
            )
        return self.best(stage)

    def logs(self, stage: str) -> Path:
        """Metrics of one stage."""
        return self.folder / "logs" / stage

    def evaluation(self, moment: str, name: str) -> Path:
        """Per-image scores of one evaluation set at one moment (``before``, a stage's name)."""
        return self.folder / "evaluations" / moment / name

    def has_checkpoint(self, stage: str) -> bool:
        """Whether a stage has a complete checkpoint."""
        return bool(checkpoint_steps(self.checkpoints(stage)))

    def newest_stage(self, config: Any) -> Any:
        """The last stage that has a checkpoint.

        Raises:
          FileNotFoundError: where no stage has one yet.
        """
        trained = [stage for stage in config.stages if self.has_checkpoint(stage.name)]
        if not trained:
            raise FileNotFoundError(
                f"{self.folder} has no checkpoint yet; train it first: "
                f"python run.py --workdir={self.folder}"
            )
        return trained[-1]

    def stage_named(self, config: Any, name: str) -> Any:
        """One stage of the run, by its name.

        Raises:
          ValueError: where the run has no such stage.
        """
        for stage in config.stages:
            if stage.name == name:
                return stage
        raise ValueError(
            f"{self.folder} has no stage '{name}'; it has "
            f"{', '.join(stage.name for stage in config.stages)}"
        )

    def read_config(self) -> Any:
        """The experiment that the folder holds.

        Raises:
          FileNotFoundError: where it holds none.
        """
        path = self.folder / "config.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{self.folder} holds no run (no config.json); train one first: "
                "python run.py --config=configs/quickstart.py --workdir=" + str(self.folder)
            )
        config = read_json(path, expected=f"expected the settings of a run: {RESTORE}")
        require_stages(path, config)
        return _with_present_names(as_config(config))

    def read_run_config(self) -> Any:
        """`read_config`, complete enough to go on with, or to predict.

        Raises:
          FileNotFoundError: where the folder holds no run.
          ValueError: where settings are missing, or of another type.
        """
        config = self.read_config()
        require_run_settings(self.folder / "config.json", plain(config))
        return config

    def settle_config(self, config: Any) -> Any:
        """The config to run with; for a run that goes on, checks that it is the same.

        Raises:
          ValueError: where the folder holds a run with other settings; they are named.
        """
        if config is None:
            return self.read_run_config()
        path = self.folder / "config.json"
        if path.exists():
            changed = _changed(plain(self.read_config()), plain(config), "asked")
            if changed:
                begun = any(self.has_checkpoint(stage.name) for stage in self.read_config().stages)
                delete = "" if begun else ", or delete the folder (it has no checkpoint yet)"
                raise ValueError(
                    f"{self.folder} holds a run with other settings ({'; '.join(changed[:5])}); "
                    f"choose another --workdir, or give the settings of that run{delete}"
                )
        return as_config(plain(config))

    def require_trained_with(self, saved: Any, config: Any) -> None:
        """Refuses to go on with other settings than the run's checkpoints were written with.

        Args:
          saved: of a checkpoint, plain nested values.
          config: the run's, as its ``config.json`` has it.

        Raises:
          ValueError: naming what differs; the file was changed or damaged then.
        """
        trained = plain(_with_present_names(as_config(saved)))
        changed = _changed(trained, plain(config), "in config.json")
        if changed:
            raise ValueError(
                f"{self.folder} was trained with other settings than its config.json has "
                f"({'; '.join(changed[:5])}): the file was changed or damaged; restore it, or "
                "train in another --workdir"
            )

    def save_config(self, config: Any) -> None:
        """Makes the folder a run of this config; call it when nothing can be missing any more."""
        write_results(self.folder / "config.json", plain(config))

    def read_results(self) -> dict[str, Any]:
        """Scores so far: ``{"evaluations": {moment: {set: ...}}, "stages": {...}}``."""
        path = self.folder / "results.json"
        if not path.exists():
            return {"evaluations": {}, "stages": {}}
        results = read_json(path, expected=f"expected a run's scores: {_MOVE_AWAY}")
        groups = {"evaluations": dict, "stages": dict}
        require_entries(path, results, groups, advice=f"it is no run's: {_MOVE_AWAY}")
        return results

    def add_result(self, group: str, name: str, value: Any) -> None:
        """Adds one entry to results.json, atomically."""
        results = self.read_results()
        results[group][name] = value
        write_results(self.folder / "results.json", results)


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps of the complete checkpoints in a folder, in order; none where there is none."""
    # A folder named by its step alone is complete: unfinished ones have a suffix.
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def as_config(value: Any) -> Any:
    """Nested dicts and lists as configs: the inverse of `plain`, dicts within lists too."""
    if isinstance(value, Mapping):
        return ConfigDict({key: as_config(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return tuple(as_config(inner) for inner in value)
    return value


def _with_present_names(config: Any) -> Any:
    """A run of an earlier version goes on by the same command: settings may have got new names."""
    for stage in config.stages:
        # 'released' is another loss today: that one stays under its old name, and differs.
        if stage.get("landmark_formula") == "paper":
            stage.loss_formula = stage.landmark_formula
            del stage["landmark_formula"]
    return config


def _changed(there: Any, wanted: Any, said: str) -> list[str]:
    """What differs between two configs, but for what may change between the parts of one run."""
    there, wanted = _flat(there), _flat(wanted)
    return [
        f"{key}: {there.get(key)} there, {wanted.get(key)} {said}"
        for key in sorted({*there, *wanted})
        if there.get(key) != wanted.get(key)
        and key.split(".")[0] not in _FREE
        and key not in _FREE_KEYS
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {prefix: repr(value)}
    flat: dict[str, str] = {}
    for key, inner in items:
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
