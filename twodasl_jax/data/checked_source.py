"""Bad records: found before they reach a batch, named, replaced, counted, borne up to a bound."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.crop_resize import resized_element
from twodasl_jax.data.source_protocol import Source

LARGEST_BAD_SHARE = 0.01
"""Of the records visited so far; more than this is a broken data set and stops the run."""

FEWEST_BORNE = 10
"""So many bad records are borne however few were visited (in a small source, a tenth of it):
shares of small numbers mean nothing."""

_UNREADABLE = (ValueError, OSError, RuntimeError, AttributeError, cv2.error)
"""What decoders and archives raise on a damaged record: array_record a RuntimeError, TFDS an
AttributeError for a picture that OpenCV cannot decode."""

_logger = logging.getLogger(__name__)


def check_element(element: Mapping[str, np.ndarray], *, crop_size: int = CROP_SIZE) -> None:
    """Checks one face of a source, as `twodasl_jax.data.source_protocol` describes it.

    Args:
      element: the face; its picture is a stored crop, or one of `crop_size`.
      crop_size: side of the crops that are trained on, pixels.

    Raises:
      ValueError: what is wrong with it: its picture's kind, or the field that is not finite.
    """
    image = element["image"]
    shapes = [(size, size, 3) for size in dict.fromkeys((CROP_SIZE, crop_size))]
    if image.shape not in shapes or image.dtype != np.uint8:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"the image is {image.shape} {image.dtype}; expected {expected} uint8")
    for name, values in element.items():
        if name != "image" and not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinity; expected finite numbers")


class CheckedSource:
    """A source in whose stead of a bad record comes the next good one.

    Which face an index gives depends on the index and the data alone, so that the sequence of
    batches stays deterministic and resumable. Each bad record is logged once, with its name and
    the count so far; a resumed run counts anew.
    """

    def __init__(
        self, source: Source, *, name: str, crop_size: int = CROP_SIZE, keep: bool = False
    ) -> None:
        """Wraps a source.

        Args:
          source: see `twodasl_jax.data.source_protocol`.
          name: of the source, for messages.
          crop_size: side of the crops to give, pixels; others are resampled.
          keep: every face, decoded, in memory from its first visit on: 43 KB each for crops of 120.
        """
        self._kept: dict[int, dict[str, np.ndarray]] | None = {} if keep else None
        self._crop_size = crop_size
        self._source, self._name = source, name
        self._visited = np.zeros(len(source), bool)
        self._bad: dict[int, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        count = len(self)
        for following in range(count):
            current = (int(index) + following) % count
            if current in self._bad:
                continue
            if self._kept is not None and current in self._kept:
                return self._kept[current]
            try:
                element = self._source[current]
                check_element(element, crop_size=self._crop_size)
            except _UNREADABLE as error:
                self._report(current, error)
                continue
            self._visited[current] = True
            element = resized_element(element, crop_size=self._crop_size)
            if self._kept is not None:
                self._kept[current] = element
            return element
        raise ValueError(f"{self._name}: none of its {count} records can be used")

    def _report(self, index: int, error: Exception) -> None:
        """Counts and logs a bad record; raises where there are too many."""
        with self._lock:
            if index in self._bad:  # another thread was first
                return
            self._visited[index] = True
            self._bad[index] = self._record_name(index)
            bad, visited = len(self._bad), int(self._visited.sum())
        message = (
            f"{self._name}: bad record {self._bad[index]}: {_in_words(error)} "
            f"({bad} bad of {visited} visited, {len(self)} in all)"
        )
        if bad > max(LARGEST_BAD_SHARE * visited, min(FEWEST_BORNE, len(self) // 10)):
            others = ", ".join(list(self._bad.values())[:FEWEST_BORNE])
            raise ValueError(
                f"{message}; that is over {LARGEST_BAD_SHARE:.0%}: prepare these data again or "
                f"remove the bad records. The first ones: {others}"
            ) from error
        _logger.warning("%s; the next record is used in its place", message)

    def _record_name(self, index: int) -> str:
        return f"{self._source.record_name(index)} (number {index})"


def _in_words(error: Exception) -> str:
    # "'NoneType' object has no attribute 'astype'" alone would help nobody.
    unclear = isinstance(error, AttributeError)
    return f"it seems that its picture cannot be decoded ({error})" if unclear else str(error)
