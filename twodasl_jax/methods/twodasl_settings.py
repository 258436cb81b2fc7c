"""The groups of an experiment's settings that are 2DASL's own."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The networks.

    Attributes:
      backbone: of the regressor.
      batch_norm: ``train``, or ``frozen`` statistics.
      convolution: how convolutions are computed (`models.convolution`).
      encoder_width_divisor: of the self-critic's encoder; 1 is the full one.
      landmark_map: whether the regressor reads one; else RGB alone.
    """

    backbone: str
    batch_norm: str
    convolution: str
    encoder_width_divisor: int
    landmark_map: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What all stages' losses share.

    Attributes:
      landmark_importance: the paper's weight mask v on the 18 landmarks.
      num_vertices: of the vertex distance cost: 0 is all of them, else the 68 landmarks and this
        many spread over the face.
    """

    landmark_importance: bool
    num_vertices: int

    def __post_init__(self) -> None:
        """Refuses a negative number."""
        if self.num_vertices < 0:
            raise ValueError(f"num_vertices is {self.num_vertices}; expected 0 or more")
