"""What one training run carries from step to step, and what a checkpoint holds."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct


class Networks(NamedTuple):
    """What scoring, prediction and a following stage need of a state.

    Attributes:
      params: ``{network name: parameters}``.
      batch_stats: ``{network name: BatchNorm statistics}``.
    """

    params: Any
    batch_stats: Any


class TrainState(struct.PyTreeNode):
    """Everything that a step changes; a pytree.

    No random key is stored: a step that needs one folds `step` into the run's own, so a continued
    run draws the numbers that an uninterrupted one would have drawn.

    Attributes:
      step: ``()`` int32, the number of updates done.
      params: ``{network name: parameters}``.
      batch_stats: ``{network name: BatchNorm statistics}``, networks without any left out.
      opt_state: the optimizer's state over ``params``.
    """

    step: Any
    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def networks(self) -> Networks:
        """The state without its optimizer; the same arrays, valid as long as the state is."""
        return Networks(self.params, self.batch_stats)


def create_state(
    params: Mapping[str, Any],
    batch_stats: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """Step 0 of a run: the given networks and a fresh optimizer state.

    A second stage starts here too, with the networks of the first stage's checkpoint.

    Args:
      params: ``{network name: parameters}``.
      batch_stats: ``{network name: BatchNorm statistics}``.
      optimizer: from `twodasl_jax.training.optimizer.make_optimizer`.

    Returns:
      The state at step 0. It owns copies of the arrays, since the compiled step donates
      (overwrites) its input state.
    """
    return _fresh_state(dict(params), dict(batch_stats), optimizer)


# One program for all arrays: done one by one, each shape is compiled for itself.
@functools.partial(jax.jit, static_argnums=2)
def _fresh_state(
    params: dict[str, Any], batch_stats: dict[str, Any], optimizer: optax.GradientTransformation
) -> TrainState:
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=jax.tree.map(jnp.copy, params),
        batch_stats=jax.tree.map(jnp.copy, batch_stats),
        opt_state=optimizer.init(params),
    )


def apply_gradients(
    state: TrainState,
    gradients: Any,
    optimizer: optax.GradientTransformation,
    *,
    batch_stats: Any,
) -> TrainState:
    """The state after one update of all networks at once.

    Args:
      state: before the update.
      gradients: of the same structure as ``state.params``.
      optimizer: the one that made ``state.opt_state``.
      batch_stats: the BatchNorm statistics after this step's forward pass.
    """
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )


@jax.jit
def _finite_leaves(leaves: list[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves])


def non_finite_parts(state: TrainState) -> list[str]:
    """Names of the arrays of the state that hold a NaN or an infinity.

    Integers are always finite and left out. One fetch from the device for the whole state.

    Returns:
      Paths such as ``params/regressor/head/kernel``; empty when all is well.
    """
    named = [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    finite = jax.device_get(_finite_leaves([leaf for _, leaf in named])) if named else []
    return [name for (name, _), good in zip(named, finite, strict=True) if not good]
