"""The One-Euro filter: a low-pass filter whose cutoff grows with speed.

Casiez, Roussel & Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012. At rest the low cutoff takes the jitter out; in motion, where jitter
is not seen but lag is, the cutoff rises.
"""

import math

import numpy as np


class OneEuroFilter:
    """Filters an array that is given again and again, each time with its time stamp.

    ``x̂ = α·x + (1 - α)·x̂_before`` with ``α = 1/(1 + 1/(2π·f_c·Δt))`` and
    ``f_c = min_cutoff + beta·|speed|``; the speed is filtered likewise, at `speed_cutoff`.

    Steps in time may be unequal: a long one forgets more.
    """

    def __init__(
        self,
        *,
        min_cutoff: float,
        beta: float,
        speed_cutoff: float = 1.0,
        joint: bool = False,
    ) -> None:
        """Prepares a filter; its first value is passed through.

        Args:
          min_cutoff: cutoff at rest, Hz: less of it means less jitter.
          beta: how much the cutoff rises, Hz per unit of speed: more of it means less lag.
          speed_cutoff: cutoff of the speed, Hz; the paper's 1 is seldom changed.
          joint: one cutoff for the whole array, from the norm of its speed, so that a direction
            is kept; else every element has its own.

        Raises:
          ValueError: for cutoffs that are not positive, or a negative beta.
        """
        if not (min_cutoff > 0 and speed_cutoff > 0 and beta >= 0):
            raise ValueError(
                f"the filter has min_cutoff {min_cutoff}, speed_cutoff {speed_cutoff}, beta {beta};"
                " expected positive cutoffs and a beta of 0 or more"
            )
        self._min_cutoff = min_cutoff
        self._beta = beta
        self._speed_cutoff = speed_cutoff
        self._joint = joint
        self._time: float | None = None
        self._value = np.zeros(0)
        self._speed = np.zeros(0)

    def __call__(
        self, value: np.ndarray, time: float, *, unit: float | np.ndarray = 1.0
    ) -> np.ndarray:
        """The filtered value.

        Args:
          value: of one shape in every call.
          time: seconds, later than in the call before.
          unit: what speed is measured in (``value``'s unit), a number or one per element; with the
            size of a face, pixels of small and of large faces are filtered alike.

        Returns:
          float64, ``value``'s shape.

        Raises:
          ValueError: for a value of another shape or one that is not finite, or time that does
            not run forwards.
        """
        value = np.asarray(value, np.float64)
        if not np.isfinite(value).all():
            raise ValueError("the value to be filtered is not finite")
        if self._time is None:
            self._value, self._speed = value.copy(), np.zeros_like(value)
        else:
            step = time - self._time
            if not step > 0 or value.shape != self._value.shape:
                raise ValueError(
                    f"a value of shape {value.shape} came {step:.6f} s after one of "
                    f"{self._value.shape}; expected the same shape, and a later time"
                )
            speed_weight = _weight(np.float64(self._speed_cutoff), step)
            # From the filtered value before, as in the paper's algorithm.
            self._speed += speed_weight * ((value - self._value) / step - self._speed)
            speed = self._speed / unit
            pace = np.linalg.norm(speed) if self._joint else np.abs(speed)
            weight = _weight(self._min_cutoff + self._beta * pace, step)
            self._value = self._value + weight * (value - self._value)
        self._time = time
        return self._value.copy()


def _weight(cutoff: np.ndarray | np.floating, step: float) -> np.ndarray | np.floating:
    """``α`` of an exponential filter: cutoff in Hz, step in seconds."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * step))
