"""What 2D labels tell without any fit: are they numbers, of a face's size, and in the picture?

A fit cannot tell: it moves and scales the face model to wherever the labels are, and fits as well
there. Every check gives the reason for a face's rejection, or None.
"""

import numpy as np

FARTHEST_PX = 1e6
"""A coordinate beyond this is no pixel of any picture, and float32 would round it to whole ones."""

LEAST_SIDE_PX = 10.0
"""The longer side of a face's labels. In AFLW's 120 x 120 crops it is 44 or more with 68 labels
(12,620 faces), 29 with 18 (3,822); on ten pixels no eye or mouth corner can be told."""

LEAST_SPREAD = 0.1
"""Second over first singular value of the centred labels: 0 for points on a line. The least in AFLW
is 0.37 with 68 labels, 0.15 with 18, of which a profile shows 8."""

MOST_ON_ONE_SPOT = 0.1
"""Share of the labels that may coincide, beyond three: rounded labels do in pairs (at most 7 % of
AFLW's 68, two of its 18), and unknown ones that were written as (0, 0) or (-1, -1) all do."""

LEAST_INSIDE = 0.25
"""Share of a face's labels in its picture, as for predictions. A face may be cut by the border: the
least in AFLW's crops is 68 % of 68 labels. Of 3,824 faces with 18 two have less than this: both
crops show something else (looked at)."""

MOSTLY_INSIDE = 0.75
"""Share below which a face counts as evidence against all labels (`experiment.annotation`)."""

BLACK_LEVEL = 8
"""A crop is black where at most a twentieth of its pixels are brighter than this, of 255. Of 4,768
AFLW crops the darkest has a twentieth above 75; a night photograph has, too."""


def why_unusable(points: np.ndarray, *, fewest: int) -> str | None:
    """Whether labels are numbers of pixels, and enough of them.

    Args:
      points: ``(m, 2)`` pixels; a point with a NaN is not known.
      fewest: known points that are needed.

    Returns:
      What is wrong, or None.
    """
    broken = np.flatnonzero((np.isinf(points) | (np.abs(points) > FARTHEST_PX)).any(axis=1))
    if len(broken):
        x, y = points[broken[0]]
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        return f"landmark {broken[0]}{more} is at ({x:.4g}, {y:.4g}), which is no pixel"
    known = int(np.isfinite(points).all(axis=1).sum())
    if known < fewest:
        return f"{known} are known; a fit needs {fewest} labelled points"
    return None


def why_no_face(points: np.ndarray) -> str | None:
    """Whether labels can be those of any face: of some size, and spread.

    Args:
      points: ``(m, 2)`` pixels, NaN where not known; usable ones (`why_unusable`).

    Returns:
      What is wrong, or None.
    """
    known = points[np.isfinite(points).all(axis=1)]
    width, height = np.ptp(known, axis=0)
    if max(width, height) < LEAST_SIDE_PX:
        return (
            f"the labels span {width:.3g} x {height:.3g} px; expected a face of "
            f"{LEAST_SIDE_PX:.0f} px or more"
        )
    spots, counts = np.unique(known, axis=0, return_counts=True)
    if counts.max() > max(3, MOST_ON_ONE_SPOT * len(known)):
        x, y = spots[counts.argmax()]
        return f"{counts.max()} labels lie on one spot ({x:.4g}, {y:.4g}); unknown ones are NaN"
    first, second = np.linalg.svd(known - known.mean(axis=0), compute_uv=False)[:2]
    if second < LEAST_SPREAD * first:
        return "the labels lie on a line"
    return None


def share_inside(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The share of the known labels that lie in the picture.

    Args:
      points: ``(*n, m, 2)`` pixels, NaN where not known.
      size: ``(*n, 2)`` width and height; NaN where the picture cannot be read.

    Returns:
      ``(*n)``, NaN where nothing is known.
    """
    known = np.isfinite(points).all(axis=-1)
    # A pixel of tolerance: labels may count from 1, and be rounded.
    inside = ((points >= -1) & (points <= size[..., None, :] + 1)).all(axis=-1)
    counts = known.sum(axis=-1)
    share = (known & inside).sum(axis=-1) / np.maximum(counts, 1)
    return np.where((counts > 0) & np.isfinite(size).all(axis=-1), share, np.nan)


def why_outside(points: np.ndarray, size: np.ndarray) -> str | None:
    """Whether a face lies beside its picture.

    Args:
      points: ``(m, 2)`` pixels, NaN where not known.
      size: ``(2,)`` width and height, NaN where the picture cannot be read: nothing is said then.
    """
    share = share_inside(points, size)
    if not share < LEAST_INSIDE:
        return None
    x, y = np.nanmean(points, axis=0)
    return (
        f"{100 * share:.0f} % of the labels lie in the picture of {size[0]:.0f} x {size[1]:.0f} "
        f"pixels; their middle is ({x:.4g}, {y:.4g})"
    )


def require_not_black(crop: np.ndarray, name: str) -> None:
    """Refuses a crop that shows nothing.

    One that has a single colour is not refused: what it shows cannot be known from it.

    Args:
      crop: ``(120, 120, 3)`` uint8.
      name: of the picture.

    Raises:
      ValueError: naming the picture.
    """
    brightest = np.percentile(crop.max(axis=-1), 95)
    if brightest <= BLACK_LEVEL:
        raise ValueError(f"{name} is black where the face should be")
