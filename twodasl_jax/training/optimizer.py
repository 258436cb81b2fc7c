"""One optimizer over all networks, each network with its own rule and learning rate.

The paper trains the regressor by SGD (5e-5, exponential decay) and the encoder and critic
by Adam (1e-4). Paper alternates; we make one update of all networks per step by
`optax.multi_transform`, because each loss reaches only the networks it may, so the
gradients of one backward pass already belong to one network each.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """How one network is updated.

    Attributes:
      name: a key of `OPTIMIZERS`.
      learning_rate: peak learning rate.
      schedule: a key of `SCHEDULES`.
      decay_steps: 'exponential_decay': steps in which the rate falls by ``decay_rate``.
      decay_rate: 'exponential_decay': that factor.
      total_steps: 'cosine': the step at which the rate reaches 0, warm-up included.
      warmup_steps: the first steps rise linearly, ``learning_rate·(step + 1)/warmup_steps``.
      momentum: 'sgd' only.
      nesterov: 'sgd' only.
      weight_decay: 'sgd', 'adam': L2, ``weight_decay·parameter`` added to the gradient of
        *every* parameter before momentum, as PyTorch does and the paper's code ran it;
        'adamw': decoupled, and only on arrays of two or more axes (no biases, no BatchNorm).
      clip_norm: the network's gradients are scaled down to this global norm, before weight
        decay; None leaves them.
    """

    name: str
    learning_rate: float
    schedule: str = "constant"
    decay_steps: int | None = None
    decay_rate: float | None = None
    total_steps: int | None = None
    warmup_steps: int = 0
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that no update can be made with."""
        if not 0 <= self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {self.learning_rate}; expected at least 0")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay is {self.weight_decay}; expected at least 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; expected a number from 0 to below 1")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps is {self.warmup_steps}; expected at least 0")
        for name in ("decay_steps", "decay_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; expected a positive number or None")


def _constant(options: OptimizerOptions) -> optax.Schedule:
    return optax.constant_schedule(options.learning_rate)


def _exponential_decay(options: OptimizerOptions) -> optax.Schedule:
    if options.decay_steps is None or options.decay_rate is None:
        raise ValueError(
            "schedule 'exponential_decay' needs decay_steps and decay_rate, got "
            f"decay_steps={options.decay_steps}, decay_rate={options.decay_rate}"
        )
    return optax.exponential_decay(
        options.learning_rate, transition_steps=options.decay_steps, decay_rate=options.decay_rate
    )


def _cosine(options: OptimizerOptions) -> optax.Schedule:
    if options.total_steps is None or options.total_steps <= options.warmup_steps:
        raise ValueError(
            "schedule 'cosine' needs total_steps greater than warmup_steps, got "
            f"total_steps={options.total_steps}, warmup_steps={options.warmup_steps}"
        )
    return optax.cosine_decay_schedule(
        options.learning_rate, decay_steps=options.total_steps - options.warmup_steps
    )


SCHEDULES: Mapping[str, Callable[[OptimizerOptions], optax.Schedule]] = {
    "constant": _constant,
    "exponential_decay": _exponential_decay,
    "cosine": _cosine,
}


def _sgd(options: OptimizerOptions, rate: optax.Schedule) -> optax.GradientTransformation:
    return optax.chain(
        optax.add_decayed_weights(options.weight_decay),
        optax.sgd(rate, momentum=options.momentum, nesterov=options.nesterov),
    )


def _adam(options: OptimizerOptions, rate: optax.Schedule) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(options.weight_decay), optax.adam(rate))


def _adamw(options: OptimizerOptions, rate: optax.Schedule) -> optax.GradientTransformation:
    def with_several_axes(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    return optax.adamw(rate, weight_decay=options.weight_decay, mask=with_several_axes)


OPTIMIZERS: Mapping[
    str, Callable[[OptimizerOptions, optax.Schedule], optax.GradientTransformation]
] = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


def make_schedule(options: OptimizerOptions) -> optax.Schedule:
    """The learning rate as a function of the step (0 for the first update).

    Raises:
      ValueError: for an unknown schedule, or one whose settings are missing.
    """
    if options.schedule not in SCHEDULES:
        raise ValueError(
            f"unknown schedule {options.schedule!r}; choose one of {sorted(SCHEDULES)}"
        )
    after_warmup = SCHEDULES[options.schedule](options)
    if not options.warmup_steps:
        return after_warmup

    def warmed_up(step: Any) -> Any:
        share = jnp.minimum((step + 1) / options.warmup_steps, 1.0)
        return share * after_warmup(jnp.maximum(step - options.warmup_steps, 0))

    return warmed_up


def _network_optimizer(network: str, options: OptimizerOptions) -> optax.GradientTransformation:
    if options.name not in OPTIMIZERS:
        raise ValueError(
            f"unknown optimizer {options.name!r} for network {network!r}; "
            f"choose one of {sorted(OPTIMIZERS)}"
        )
    update = OPTIMIZERS[options.name](options, make_schedule(options))
    if options.clip_norm is None:
        return update
    return optax.chain(optax.clip_by_global_norm(options.clip_norm), update)


def make_optimizer(options: Mapping[str, OptimizerOptions]) -> optax.GradientTransformation:
    """One optimizer for ``{network name: parameters}``, a rule for each network.

    Args:
      options: ``{network name: OptimizerOptions}``; a network may have options and be absent
        from the parameters (an ablation without critic), not the other way round.

    Raises:
      ValueError: for an unknown optimizer or schedule here, and, when the optimizer meets the
        parameters, for a network without options.
    """

    def labels(params: Mapping[str, Any]) -> dict[str, str]:
        missing = sorted(set(params) - set(options))
        if missing:
            raise ValueError(
                f"no optimizer options for network(s) {missing}; options are given for "
                f"{sorted(options)}: add one OptimizerOptions per network"
            )
        return {name: name for name in params}

    return optax.multi_transform(
        {network: _network_optimizer(network, chosen) for network, chosen in options.items()},
        labels,
    )
