"""Where a video cuts to another scene: nothing of the frame before says where faces are now."""

import cv2
import numpy as np

_THUMBNAIL = (32, 18)
"""Width and height at which frames are compared: below the size at which hands and heads move."""

_LEAST_DIFFERENCE = 16.0
"""Mean difference of two frames, of 255 levels, below which nothing was cut."""

_MOST_CORRELATION = 0.6
"""Correlation above which the picture became brighter or darker, but is the same."""

_DARKEST = 24.0
"""Where both frames are darker than this is no picture: the bars of another format, which would
make any two frames alike."""


class SceneCutDetector:
    """Compares each frame with the one before.

    A cut changes most of the picture (mean difference of the thumbnails), and in its pattern, not
    only in brightness (their correlation): a photographer's flash is no cut.
    """

    def __init__(self) -> None:
        """Starts before the first frame, which is no cut."""
        self._before: np.ndarray | None = None

    def __call__(self, image: np.ndarray) -> bool:
        """Whether a new scene begins with this frame.

        Args:
          image: ``(height, width, 3)`` uint8, the frame after that of the call before.
        """
        thumbnail = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        now = thumbnail.astype(np.float64)
        before, self._before = self._before, now
        if before is None:
            return False
        shown = np.maximum(now, before).max(axis=-1) > _DARKEST
        now, before = now[shown], before[shown]
        if not shown.any() or np.abs(now - before).mean() < _LEAST_DIFFERENCE:
            return False
        return correlation(now, before) < _MOST_CORRELATION


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two pictures of one shape; 0 where one of them is plain.

    Args:
      first: any numbers.
      second: as many.
    """
    a, b = (
        np.asarray(picture, np.float64).ravel() - np.mean(picture) for picture in (first, second)
    )
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms > 0 else 0.0
