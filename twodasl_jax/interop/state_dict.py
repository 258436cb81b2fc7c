"""A PyTorch state dict, taken apart by name into the layout of Flax: every array is accounted for.

PyTorch keeps a convolution's kernel as ``(out, in, k, k)`` and a dense layer's as ``(out, in)``;
Flax as ``(k, k, in, out)`` and ``(in, out)``. A normalisation is ``weight, bias, running_mean,
running_var`` there, and ``scale, bias`` with the statistics ``mean, var`` here; both add 1e-5 to
the variance and keep nine tenths of the running averages at a step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

GROUPS = ("state_dict", "res_state_dict")
"""Where files that hold more than a state dict have it; the second is 2DASL's."""

_PREFIX = "module."
"""Of networks that were saved out of ``torch.nn.DataParallel``."""


class StateDict:
    """The arrays of one network; taking them notes that they have a place."""

    def __init__(self, arrays: Mapping[str, np.ndarray], *, source: str) -> None:
        """Holds arrays.

        Args:
          arrays: by their names in PyTorch, without ``module.``.
          source: for messages: the file.
        """
        self.source = source
        self._arrays, self._left = dict(arrays), set(arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Of an array, as PyTorch has it.

        Raises:
          ValueError: where it is absent.
        """
        if name not in self._arrays:
            raise ValueError(
                f"{self.source} has no {name} among its {len(self._arrays)} arrays; expected the "
                "state dict of such a network as --kind names"
            )
        return self._arrays[name].shape

    def convolution(self, name: str, shape: tuple[int, int, int, int]) -> np.ndarray:
        """A kernel ``(k, k, in, out)``, float32.

        Args:
          name: of the layer; it has no bias.
          shape: that the kernel must have here.

        Raises:
          ValueError: where it is absent, of another shape, or not finite.
        """
        k, _, channels, features = shape
        kernel = self._take(f"{name}.weight", (features, channels, k, k))
        return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))

    def dense(self, name: str, shape: tuple[int, int]) -> dict[str, np.ndarray]:
        """The parameters of a dense layer with a bias.

        Args:
          name: of the layer.
          shape: ``(in, out)``.

        Raises:
          ValueError: as `convolution`.
        """
        kernel = self._take(f"{name}.weight", shape[::-1])
        bias = self._take(f"{name}.bias", shape[1:])
        return {"kernel": np.ascontiguousarray(kernel.T), "bias": bias}

    def normalisation(
        self, name: str, channels: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Parameters and statistics of a batch normalisation.

        Raises:
          ValueError: as `convolution`, and for a negative variance.
        """
        take = {
            ours: self._take(f"{name}.{theirs}", (channels,))
            for ours, theirs in (
                *(("scale", "weight"), ("bias", "bias")),
                *(("mean", "running_mean"), ("var", "running_var")),
            )
        }
        if (take["var"] < 0).any():
            raise ValueError(f"{self.source}: {name}.running_var is negative; expected variances")
        return (
            {"scale": take["scale"], "bias": take["bias"]},
            {"mean": take["mean"], "var": take["var"]},
        )

    def require_all_taken(self, *, but: str = "") -> None:
        """Refuses arrays that have no place here: without them it would be another network.

        Args:
          but: what begins so may be left; '' is nothing.

        Raises:
          ValueError: naming the first of them.
        """
        left = sorted(
            name
            for name in self._left
            if not (but and name.startswith(but)) and not name.endswith("num_batches_tracked")
        )
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ValueError(
                f"{self.source} has an array {left[0]}{more} that such a network as --kind names "
                "does not have; expected the file of that kind"
            )

    def _take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        came = self.shape_of(name)
        if came != shape:
            raise ValueError(
                f"{self.source}: {name} is {came}; expected {shape} in such a network as --kind "
                "names"
            )
        self._left.discard(name)
        array = self._arrays[name].astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"{self.source}: {name} holds numbers that are not finite")
        return array


def state_dict_of(saved: Any, *, source: str) -> StateDict:
    """The state dict in what ``torch.save`` wrote.

    Args:
      saved: from `user_files.torch_file.read_torch_file`: a state dict, or a dictionary that has
        one under a name of `GROUPS`.
      source: for messages: the file.

    Raises:
      ValueError: where there is none.
    """
    for group in GROUPS:
        if isinstance(saved, Mapping) and isinstance(saved.get(group), Mapping):
            saved = saved[group]
            break
    if not isinstance(saved, Mapping):
        raise ValueError(f"{source} holds a {type(saved).__name__}; expected a state dict")
    arrays = {
        str(name).removeprefix(_PREFIX): value
        for name, value in saved.items()
        if isinstance(value, np.ndarray)
    }
    if not arrays:
        there = ", ".join(map(str, list(saved)[:5])) or "nothing"
        raise ValueError(
            f"{source} holds {there}; expected a state dict, or one under {' or '.join(GROUPS)}"
        )
    return StateDict(arrays, source=source)
