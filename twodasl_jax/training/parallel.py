"""The one place that knows devices: how a batch, a state and a step are spread over them.

A training step is written as if for one device. `compile_step` compiles it by ``jit`` with
the batch split over a one-axis mesh and everything else replicated, so that BatchNorm and
every mean see the global batch by themselves: 1 device and 8 give the same update. `pmap_step`
is the same in the older, explicit style; there the step itself must average (`mean_over`).
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"
"""Name of the one mesh (and pmap) axis: the batch."""

_CPU_COMPILER_OPTIONS = {"xla_backend_optimization_level": 1}
"""The quickstart's first step comes after 6.6 instead of 7.6 s, with 0.88 times the processor time
(medians of four runs in turn, two cores); ResNet-50's after the same. Neither's speed changes."""


def make_mesh(*, num_devices: int | None = None) -> Mesh:
    """A one-axis mesh over all devices of all processes, or over the first ``num_devices``.

    Built by `Mesh` and not `jax.make_mesh`, whose axes are Explicit by default, which scatter
    inside Linen networks does not support.

    Raises:
      ValueError: if more devices are asked for than there are.
    """
    devices = jax.devices()
    if num_devices is not None and not 1 <= num_devices <= len(devices):
        raise ValueError(
            f"asked for {num_devices} devices, but this run sees {len(devices)}; "
            "give a number from 1 to that, or None for all"
        )
    return Mesh(np.asarray(devices[:num_devices]), (AXIS,))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The same arrays on every device: for the state, the face model and other constants.

    Always copies: the compiled step donates its state, which must not take the caller's own
    arrays with it.
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()), may_alias=False)


def shard_batch(batch: Any, mesh: Mesh) -> Any:
    """Places one host batch on the devices, split along its first axis.

    With several processes every process passes its own share of the global batch.

    Args:
      batch: pytree of numpy arrays ``(b, ...)`` with one common ``b``.
      mesh: from `make_mesh`.

    Returns:
      The same pytree of global jax arrays ``(b · processes, ...)``.

    Raises:
      ValueError: if an array has no batch axis or a batch that the devices cannot share.
    """
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    local_devices = len(mesh.local_devices)

    def place(path: Any, leaf: Any) -> jax.Array:
        shape = np.shape(leaf)
        if not shape or shape[0] % local_devices:
            raise ValueError(
                f"batch entry {jax.tree_util.keystr(path)} has shape {shape}: its first axis "
                f"must be a multiple of the {local_devices} devices of this process; change "
                "the batch size, or the number of devices given to make_mesh"
            )
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

    return jax.tree_util.tree_map_with_path(place, batch)


def compile_step(step: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """Compiles ``step(state, batch, constants) -> (state, metrics)`` for the mesh.

    The input state is donated: its memory is reused for the new state, so the caller must
    not touch it afterwards.

    Args:
      step: pure; written for the global batch, without axis names.
      mesh: from `make_mesh`.

    Returns:
      A function of the same signature, for a state and constants from `replicate` and a
      batch from `shard_batch`.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return jax.jit(
        step,
        in_shardings=(everywhere, split, everywhere),
        out_shardings=(everywhere, everywhere),
        donate_argnums=(0,),
        compiler_options=_CPU_COMPILER_OPTIONS if on_cpu else None,
    )


def mean_over(tree: Any, axis_name: str | None) -> Any:
    """Mean over the devices of a pmapped step; with ``axis_name`` None the tree itself.

    A step that may be pmapped passes its gradients and metrics through this; without it every
    device would train its own network on its own share of the batch.
    """
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def pmap_step(step: Callable[..., Any], *, num_devices: int | None = None) -> Callable[..., Any]:
    """The step by literal `jax.pmap` over this process's devices.

    Training uses `compile_step`; this is the explicit form, which a test proves equal. The
    step must be made for it: BatchNorm with ``axis_name=AXIS``, gradients and metrics through
    ``mean_over(..., AXIS)``. (Not ``jax.shard_map`` with its default ``check_vma=True``: there
    gradients of replicated parameters are summed already, and a ``pmean`` leaves them
    multiplied by the number of devices.)

    Args:
      step: ``step(state, batch, constants) -> (state, metrics)`` of one device's share.
      num_devices: how many local devices to use, None for all.

    Returns:
      A function of the same signature for an unsplit host batch; states and metrics without
      a device axis.

    Raises:
      ValueError: when called with a batch that the devices cannot share.
    """
    devices = jax.local_devices()[:num_devices]
    mapped = jax.pmap(step, axis_name=AXIS, in_axes=(None, 0, None), out_axes=None, devices=devices)

    def split(path: Any, leaf: Any) -> Any:
        if not np.shape(leaf) or np.shape(leaf)[0] % len(devices):
            raise ValueError(
                f"batch entry {jax.tree_util.keystr(path)} has shape {np.shape(leaf)}: its first "
                f"axis must be a multiple of the {len(devices)} devices"
            )
        return leaf.reshape(len(devices), -1, *leaf.shape[1:])

    def run(state: Any, batch: Any, constants: Any) -> Any:
        return mapped(state, jax.tree_util.tree_map_with_path(split, batch), constants)

    return run


def over_local_devices(function: Callable[..., Any], *, num_shared: int) -> Callable[..., Any]:
    """Compiles a function of examples that do not know each other, for all local devices.

    A batch is split by `jax.pmap` over this process's devices, over as many as it has examples.
    What they do not share evenly is padded with copies of the last example, cut off again. On one
    device plain ``jit`` does without that.

    Args:
      function: ``function(*shared, *batched)``; pure. Every output has the batch's first axis.
      num_shared: how many of the first arguments are the same for all examples.

    Returns:
      A function of the same signature, for batches of any size. Keep it: it holds what is compiled.
    """
    devices = jax.local_devices()
    on_one = jax.jit(function)

    @functools.cache
    def on_many(count: int, num_arguments: int) -> Callable[..., Any]:
        axes = (None,) * num_shared + (0,) * (num_arguments - num_shared)
        return jax.pmap(function, in_axes=axes, devices=devices[:count])

    def run(*arguments: Any) -> Any:
        shared, batched = arguments[:num_shared], arguments[num_shared:]
        size = jax.tree.leaves(batched)[0].shape[0]
        count = min(size, len(devices))
        if count == 1:
            return on_one(*arguments)
        share = -(-size // count)

        def split(leaf: Any) -> Any:
            if share * count > size:
                leaf = jnp.pad(
                    leaf, [(0, share * count - size)] + [(0, 0)] * (leaf.ndim - 1), mode="edge"
                )
            return leaf.reshape(count, share, *leaf.shape[1:])

        outputs = on_many(count, len(arguments))(*shared, *jax.tree.map(split, batched))
        # Not -1: an array without entries has every size.
        return jax.tree.map(
            lambda leaf: leaf.reshape(share * count, *leaf.shape[2:])[:size], outputs
        )

    return run


def is_primary_process() -> bool:
    """Whether this process writes the logs (always true when there is only one)."""
    return jax.process_index() == 0


def process_index() -> int:
    """This process's number among those that train together; 0 when there is only one."""
    return jax.process_index()


def process_count() -> int:
    """How many processes train together."""
    return jax.process_count()


def describe_devices() -> str:
    """The devices of all processes, for messages: ``1 cpu (cpu)``, ``8 gpu (NVIDIA ...)``."""
    devices = jax.devices()
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    return f"{len(devices)} {devices[0].platform} ({kinds})"


COMPILATION_CACHE = Path.home() / ".cache" / "twodasl_jax" / "compiled"
"""Compiled steps are shared by all runs of a user: a second run starts in seconds."""


def enable_compilation_cache(folder: str | Path = COMPILATION_CACHE) -> None:
    """Keeps compiled steps in ``folder``, so that a second run starts in seconds.

    Call it before anything is compiled. Safe to share between runs and versions: the key
    holds the program, the compiler's version and the devices.
    """
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Short compilations are not worth a file; the many small ones together would be.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
