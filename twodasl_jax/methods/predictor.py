"""The one batched, padded predictor: any number of crops through one program per batch size."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from twodasl_jax.methods.method import Faces, Method
from twodasl_jax.training.parallel import over_local_devices
from twodasl_jax.training.state import Networks


class Predictor:
    """A method's prediction for any number of crops, compiled once for each batch size.

    A batch is split over the local devices (`over_local_devices`). Several threads
    may share one predictor.
    """

    def __init__(
        self,
        method: Method,
        constants: Any,
        *,
        batch_sizes: Sequence[int],
        outputs: Callable[[Faces], Any] = lambda faces: faces,
    ) -> None:
        """Prepares the program; it is compiled when a batch size first occurs.

        Args:
          method: that predicts.
          constants: from `MethodFamily.prediction_constants`.
          batch_sizes: batches are of the largest; what is left at the end is padded to
            the smallest that holds it.
          outputs: what is wanted of the faces; part of the compiled program, so that only its
            arrays leave the device.

        Raises:
          ValueError: without a positive batch size.
        """
        if not batch_sizes or min(batch_sizes) < 1:
            raise ValueError(f"batch_sizes is {tuple(batch_sizes)}; expected numbers from 1 up")

        def predict(networks: Networks, constants: Any, image: Any, landmarks: Any) -> Any:
            return outputs(method.predict(networks, constants, image, landmarks))

        self._compiled = over_local_devices(predict, num_shared=2)
        self._sizes = sorted(batch_sizes)
        self._constants = constants

    def __call__(
        self,
        networks: Networks,
        image: np.ndarray,
        landmarks: np.ndarray | None = None,
        *,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> Any:
        """What `outputs` makes of all faces, as numpy arrays ``(n, ...)``.

        Args:
          networks: of the method.
          image: ``(n, size, size, 3)`` uint8 RGB crops, at least one.
          landmarks: ``(n, 18, 2)`` crop pixels, NaN where unknown; None: all are unknown.
          on_batch: told how many crops are done, after every batch.

        Raises:
          ValueError: without a crop.
        """
        count = len(image)
        if not count:
            raise ValueError("there is no crop to predict; expected at least one")
        if landmarks is None:
            landmarks = np.full((count, 18, 2), np.nan, np.float32)
        parts = []
        for start in range(0, count, self._sizes[-1]):
            wanted = min(count - start, self._sizes[-1])
            rows = start + padded_rows(wanted, self._sizes)
            batch = self._compiled(networks, self._constants, image[rows], landmarks[rows])
            parts.append(jax.tree.map(lambda array, n=wanted: array[:n], jax.device_get(batch)))
            on_batch(start + wanted)
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *a: np.concatenate(a), *parts)


def padded_rows(count: int, sizes: Sequence[int]) -> np.ndarray:
    """Indices of ``count`` examples, repeated from the first on up to the smallest size that fits.

    Args:
      count: of examples, at most the largest size.
      sizes: ascending.
    """
    size = next(size for size in sizes if size >= count)
    return np.arange(size) % count
