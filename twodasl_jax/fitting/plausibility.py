"""Whether fitted heads look towards the camera: what a small residual cannot tell.

A scaled-orthographic camera sees a mirrored head exactly as a true one that is turned away: labels
with y up, with x and y exchanged, with x mirrored, or (faces being symmetric) with left and right
exchanged are fitted without any error, by a head that is seen from behind. So the direction of the
fit tells what its residual does not, and the head's upright axis tells which mistake it is.
"""

from typing import NamedTuple

import numpy as np

FARTHEST_AZIMUTH_DEGREES = 125.0
"""How far to the side a head may be turned. The farthest of 12,570 AFLW faces that fit their 68
labels within 4 % is 108 degrees; of 3,665 that fit 18, which say less, 115."""

FARTHEST_ELEVATION_DEGREES = 70.0
"""From how far above or below a face may be seen: 52 degrees in AFLW with 68 labels, 57 with
18."""

FEWEST_FACES = 8
"""So many faces that lie alike are no chance (as for labels, `data.label_sets`)."""

Y_UP = "y points up in the labels; it is expected to point down from the upper edge"
EXCHANGED = "x and y are exchanged in the labels; (x, y) is expected"
MIRRORED = (
    "x counts from the right edge, or the points of left and right are exchanged, in the labels"
)
TURNED = (
    "the labels' x and y both run the other way, or the pictures stand on their heads: turn them"
)


class HeadView(NamedTuple):
    """How heads are seen, apart from their in-plane turn, and that turn.

    Attributes:
      azimuth_degrees: ``(n,)`` of the camera around the head's upright axis, 0 in front of the
        face, up to 180 behind the head.
      elevation_degrees: ``(n,)`` of the camera above the head's horizontal plane.
      turn_degrees: ``(n,)`` of the head's upright axis in the picture, 0 up, 180 down.
    """

    azimuth_degrees: np.ndarray
    elevation_degrees: np.ndarray
    turn_degrees: np.ndarray

    @property
    def from_front(self) -> np.ndarray:
        """``(n,)`` whether a camera there sees the face at all; False for NaN."""
        return (np.abs(self.azimuth_degrees) <= FARTHEST_AZIMUTH_DEGREES) & (
            np.abs(self.elevation_degrees) <= FARTHEST_ELEVATION_DEGREES
        )


def head_view(coefficients: np.ndarray) -> HeadView:
    """The view of each head, from the camera coefficients.

    With the rotation R (rows: right, up and towards the viewer of the picture), R's last row is the
    direction to the camera in the head's axes, and its second column the head's upright axis in
    the picture's.

    Args:
      coefficients: ``(n, 62)`` raw.
    """
    camera = np.asarray(coefficients, np.float64)[:, :12].reshape(-1, 3, 4)
    rotation = camera[..., :3] / np.linalg.norm(camera[:, :1, :3], axis=-1, keepdims=True)
    x, y, z = rotation[:, 2].T
    upright = rotation[:, :2, 1]
    return HeadView(
        azimuth_degrees=np.degrees(np.arctan2(x, z)),
        elevation_degrees=np.degrees(np.arcsin(np.clip(y, -1, 1))),
        turn_degrees=np.degrees(np.arctan2(upright[:, 0], upright[:, 1])),
    )


def why_turned_away(view: HeadView, row: int) -> str | None:
    """Whether a fitted head shows its face, for one of the heads.

    Returns:
      From where it would be seen, and what that means of the labels; None where all is well.
    """
    if view.from_front[row]:
        return None
    return (
        f"the fitted head is seen from behind, {abs(view.azimuth_degrees[row]):.0f} degrees from "
        f"the side and {view.elevation_degrees[row]:+.0f} above, as if {_cause(view, row)}"
    )


def why_set_turned_away(view: HeadView) -> str | None:
    """Whether most heads of a set are seen from behind; of few heads, any and none from the front.

    Args:
      view: of heads that fit well.

    Returns:
      How many, and the likeliest cause; None where all is well.
    """
    count = len(view.turn_degrees)
    behind = np.flatnonzero(~view.from_front)
    # Heads in profile have no front: those that are clearly seen from it speak for the labels.
    front = (np.abs(view.azimuth_degrees) < 75) & view.from_front
    many = len(behind) >= FEWEST_FACES and 4 * len(behind) > count and len(behind) > front.sum()
    # In a small set one mirrored head counts, unless some other is clearly seen from its front.
    unproven = count < FEWEST_FACES and len(behind) > 0 and not front.any()
    if 2 * len(behind) <= count and not many and not unproven:
        return None
    causes, numbers = np.unique([_cause(view, int(row)) for row in behind], return_counts=True)
    cause = str(causes[numbers.argmax()])
    return f"{len(behind)} of {count} fitted heads are seen from behind: {cause}"


def why_set_upside_down(view: HeadView) -> str | None:
    """Whether a set's heads stand on their heads together.

    Photographs may be turned, each by its own angle; hardly all by 180 degrees.

    Args:
      view: of heads that fit well.

    Returns:
      How many, and the likeliest cause; None where all is well, or for a few faces.
    """
    down = np.abs(view.turn_degrees) > 135
    if len(down) < FEWEST_FACES or down.mean() < 0.8:
        return None
    # In profile a head with y up is seen from the other side, not from behind.
    cause = Y_UP if (down & ~view.from_front).any() else TURNED
    return f"{down.sum()} of {len(down)} fitted heads are upside down: {cause}"


def _cause(view: HeadView, row: int) -> str:
    turn = abs(view.turn_degrees[row])
    return MIRRORED if turn < 45 else Y_UP if turn > 135 else EXCHANGED
