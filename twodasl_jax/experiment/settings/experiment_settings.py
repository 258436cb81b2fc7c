"""Every setting that an experiment can have: its name, its type, and what earlier runs lacked.

A setting with a default is younger than runs that go on: it is merged where they are read
(`reading`). Groups and names are those of ``configs/base.py``, which says what each is for.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.training.optimizer import OptimizerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceModelSettings:
    """Which face model; '' is the embedded open one."""

    path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderedSettings:
    """Faces that the run renders for itself."""

    kind: Literal["rendered"]
    name: str
    num_faces: int
    seed: int
    supersample: int
    weight: float = 1.0
    flip: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class CropsSettings:
    """A folder of crops with 2D landmarks."""

    kind: Literal["crops"]
    path: str
    only_68: bool
    without: str = ""
    name: str = ""
    weight: float = 1.0
    flip: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitsSettings:
    """Faces that coefficients were fitted to (``--mode=annotate``).

    ``yaw_weights`` says how often faces up to 30, up to 60 and beyond 60 degrees of yaw are drawn;
    ``part``, from where to where in [0, 1], which share of the faces there are (`rows_of_part`).
    """

    kind: Literal["fits"]
    path: str
    images: str
    yaw_weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    part: tuple[float, float] = (0.0, 1.0)
    name: str = ""
    weight: float = 1.0
    flip: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedSettings:
    """A data set prepared with TFDS (``--mode=prepare``)."""

    kind: Literal["tfds"]
    name: str
    split: str
    data_dir: str
    weight: float = 1.0
    flip: bool = True


SourceSettings = RenderedSettings | CropsSettings | FitsSettings | PreparedSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aflw2000Settings:
    """AFLW2000-3D, or a sample of it, to score on."""

    kind: Literal["aflw2000"]
    name: str
    path: str
    landmark_map_source: Literal["none", "detector"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledCropsSettings:
    """A folder of crops with manual labels, never trained on, to validate with."""

    kind: Literal["crops"]
    name: str
    path: str
    fits: str = ""


SetSettings = RenderedSettings | Aflw2000Settings | LabelledCropsSettings
FacesSettings = SourceSettings | SetSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Which faces are held out of all training data."""

    source: str
    every: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The training data."""

    annotated: tuple[SourceSettings, ...]
    in_the_wild: tuple[SourceSettings, ...]
    annotated_batch_size: int
    in_the_wild_batch_size: int
    augment: AugmentOptions
    num_threads: int
    keep_decoded: bool = False
    validation: ValidationSettings = ValidationSettings(source="", every=20)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageSettings:
    """One stage of the training."""

    name: str
    num_steps: int
    loss_weights: Mapping[str, float]
    ramp_steps: Mapping[str, int]
    optimizers: Mapping[str, OptimizerOptions]
    loss_formula: str = "paper"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestSettings:
    """By what the best checkpoint is chosen."""

    metric: str
    mode: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How often what is done, and what is kept."""

    log_every: int
    checkpoint_every: int
    max_to_keep: int | None
    evaluate_every: int = 0
    best: BestSettings = BestSettings(metric="validation/mean_of_images", mode="min")
    checkpoint: Literal["newest", "best"] = "newest"
    on_damaged_checkpoint: str = "fall_back"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What a run is scored on."""

    sets: tuple[SetSettings, ...]
    num_passes: int
    batch_size: int


class RunChoice(NamedTuple):
    """What settings say of a run that is trained already.

    Attributes:
      checkpoint: the newest one, or the best by validation.
      face_model: where its face model lies now; '' is where the run has it.
    """

    checkpoint: Literal["newest", "best"]
    face_model: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """A whole experiment; ``models`` and ``losses`` are of the method's own types."""

    seed: int
    init_from: str
    init_part: Literal["all", "backbone"] = "all"
    method: str = "twodasl"
    face_model: FaceModelSettings
    models: Any
    losses: Any
    data: DataSettings
    stages: tuple[StageSettings, ...]
    training: TrainingSettings
    evaluation: EvaluationSettings

    @property
    def faces(self) -> tuple[FacesSettings, ...]:
        """Everything that shows faces: the training data and the evaluation sets."""
        return (*self.data.annotated, *self.data.in_the_wild, *self.evaluation.sets)

    @property
    def run_choice(self) -> RunChoice:
        """What a run that is trained already takes of these settings."""
        return RunChoice(self.training.checkpoint, self.face_model.path)
