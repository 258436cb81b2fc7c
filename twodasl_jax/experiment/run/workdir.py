"""The folder of one run: what lies where, and that it stays one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twodasl_jax.evaluation.report import write_results
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings, StageSettings
from twodasl_jax.experiment.settings.reading import Unknown, experiment_settings, plain
from twodasl_jax.training.tree_difference import values_by_name
from twodasl_jax.user_files.json_file import read_json, require_entries

_RESTORE = "restore it from a copy, or train again in another folder"

_MOVE_AWAY = "move it away, and its table is started anew"

_FREE = ("evaluation", "training")
"""Groups that may change between the parts of one run: they do not touch the training."""

_FREE_KEYS = ("face_model.path",)
"""Where a face model lies; what it is, is compared (`face_model_place`)."""


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

    def chosen_checkpoints(self, stage: str, which: str) -> Path:
        """Checkpoints that what follows a stage reads.

        Args:
          stage: its name.
          which: ``newest`` or ``best``, as ``training.checkpoint`` has it.

        Raises:
          ValueError: where no best was kept.
        """
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

    def newest_stage(self, stages: Sequence[StageSettings]) -> str:
        """Name of the last stage that has a checkpoint.

        Raises:
          FileNotFoundError: where no stage has one yet.
        """
        trained = [stage.name for stage in stages if self.has_checkpoint(stage.name)]
        if not trained:
            raise FileNotFoundError(
                f"{self.folder} has no checkpoint yet; train it first: "
                f"python run.py --workdir={self.folder}"
            )
        return trained[-1]

    def stage_named(self, stages: Sequence[StageSettings], name: str) -> StageSettings:
        """One stage of the run, by its name.

        Raises:
          ValueError: where the run has no such stage.
        """
        for stage in stages:
            if stage.name == name:
                return stage
        raise ValueError(
            f"{self.folder} has no stage '{name}'; it has "
            f"{', '.join(stage.name for stage in stages)}"
        )

    def read_config(self) -> ExperimentSettings:
        """The experiment that the folder holds; settings that this version lacks are left out.

        Raises:
          FileNotFoundError: where it holds none.
          ValueError: where settings are missing, or of another type.
        """
        return self._read_config({})

    def _read_config(self, unknown: Unknown | None) -> ExperimentSettings:
        path = self.folder / "config.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{self.folder} holds no run (no config.json); train one first: "
                "python run.py --config=configs/quickstart.py --workdir=" + str(self.folder)
            )
        config = read_json(path, expected=f"expected the settings of a run: {_RESTORE}")
        try:
            return experiment_settings(config, unknown=unknown)
        except ValueError as error:
            raise ValueError(f"{path}: {error}: {_RESTORE}") from error

    def settle_config(self, config: Any) -> ExperimentSettings:
        """The config to run with; for a run that goes on, checks that it is the same.

        Args:
          config: the experiment; None is the one in the folder.

        Raises:
          ValueError: where the folder holds a run with other settings; they are named.
        """
        if config is None:
            return self._read_config(None)
        wanted, unknown = experiment_settings(config), {}
        if not (self.folder / "config.json").exists():
            return wanted
        there = self._read_config(unknown)
        changed = _changed(there, unknown, wanted, "asked")
        if changed:
            begun = any(self.has_checkpoint(stage.name) for stage in there.stages)
            delete = "" if begun else ", or delete the folder (it has no checkpoint yet)"
            raise ValueError(
                f"{self.folder} holds a run with other settings ({'; '.join(changed[:5])}); "
                f"choose another --workdir, or give the settings of that run{delete}"
            )
        return wanted

    def require_trained_with(self, saved: Mapping[str, Any], config: ExperimentSettings) -> None:
        """Refuses to go on with other settings than the run's checkpoints were written with.

        Args:
          saved: of a checkpoint, plain nested values.
          config: the run's, as its ``config.json`` has it.

        Raises:
          ValueError: naming what differs; the file was changed or damaged then.
        """
        unknown: Unknown = {}
        trained = experiment_settings(saved, unknown=unknown)
        changed = _changed(trained, unknown, config, "in config.json")
        if changed:
            raise ValueError(
                f"{self.folder} was trained with other settings than its config.json has "
                f"({'; '.join(changed[:5])}): the file was changed or damaged; restore it, or "
                "train in another --workdir"
            )

    def save_config(self, config: ExperimentSettings) -> None:
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


def _changed(
    there: ExperimentSettings, unknown: Unknown, wanted: ExperimentSettings, said: str
) -> list[str]:
    """What differs between two configs, but for what may change between the parts of one run."""
    saved, now = (
        values_by_name(plain(there)) | values_by_name(unknown),
        values_by_name(plain(wanted)),
    )
    return [
        f"{key}: {saved.get(key)} there, {now.get(key)} {said}"
        for key in sorted({*saved, *now})
        if saved.get(key) != now.get(key)
        and key.split(".")[0] not in _FREE
        and key not in _FREE_KEYS
    ]
