"""Milliseconds per image of every backbone under every convolution, forward and training.

All settings are measured in turn, round after round, so that a busy moment of the machine
falls on all of them; medians over the rounds are printed. "train" is forward, backward and
batch statistics; "cpu" is processor time of the training call, over all threads.

    python benchmarks/backbones.py --backbones resnet_narrow resnet_tiny --batch_size 96
    python benchmarks/backbones.py --torch --backbones resnet50 --convolutions im2col
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from machine import describe_machine

from twodasl_jax.models.coefficient_regressor import BACKBONES, make_regressor
from twodasl_jax.models.convolution import IMPLEMENTATIONS
from twodasl_jax.training.host_memory import keep_freed_memory

REFERENCE = "resnet_narrow"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument(
        "--convolutions", nargs="+", default=list(IMPLEMENTATIONS), choices=IMPLEMENTATIONS
    )
    parser.add_argument("--batch_size", type=int, default=32, help="images per call")
    parser.add_argument("--rounds", type=int, default=7, help="timed calls of each setting")
    parser.add_argument("--torch", action="store_true", help="add the PyTorch peers")
    parser.add_argument(
        "--plain_malloc",
        action="store_true",
        help="leave malloc as it is (default: keep freed memory, as training does)",
    )
    return parser.parse_args()


def make_calls(
    backbone: str, convolution: str, batch_size: int
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """Forward call, training call (both compiled and warm) and the number of parameters."""
    model = make_regressor(backbone, convolution=convolution)
    image = jax.random.normal(jax.random.key(0), (batch_size, 120, 120, 4))
    target = jax.random.normal(jax.random.key(1), (batch_size, 62))
    variables = jax.jit(lambda key: model.init(key, image[:1], train=False))(jax.random.key(2))
    params, batch_stats = variables["params"], variables["batch_stats"]

    @jax.jit
    def forward(params):
        return model.apply({"params": params, "batch_stats": batch_stats}, image, train=False)

    @jax.jit
    def gradients(params):
        def cost(params):
            output, updated = model.apply(
                {"params": params, "batch_stats": batch_stats},
                image,
                train=True,
                mutable=["batch_stats"],
            )
            return jnp.mean((output - target) ** 2), updated

        return jax.grad(cost, has_aux=True)(params)

    calls = tuple(
        lambda function=function: jax.block_until_ready(function(params))
        for function in (forward, gradients)
    )
    for call in calls:
        call()
    return *calls, sum(leaf.size for leaf in jax.tree.leaves(params))


def make_torch_calls(
    backbone: str, batch_size: int
) -> tuple[Callable[[], object], Callable[[], object], int] | None:
    """The peer's calls, or None where a backbone has no peer."""
    from torch_peer import (  # only where asked for: torch is an extra
        TORCH_BACKBONES,
        make_torch_forward,
        make_torch_step,
    )

    if backbone not in TORCH_BACKBONES:
        return None
    threads = os.cpu_count() or 1
    forward = make_torch_forward(backbone, batch_size, threads=threads)
    step = make_torch_step(backbone, batch_size, threads=threads)
    forward(), step()
    return forward, step, sum(p.numel() for p in TORCH_BACKBONES[backbone]().parameters())


def measure(calls: dict, rounds: int) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Median seconds ``(forward, train, train's processor time)`` of every setting."""
    times: dict = {setting: ([], [], []) for setting in calls}
    for _ in range(rounds):
        for setting, (forward, train, _) in calls.items():
            start = time.perf_counter()
            forward()
            middle, processor = time.perf_counter(), time.process_time()
            train()
            times[setting][0].append(middle - start)
            times[setting][1].append(time.perf_counter() - middle)
            times[setting][2].append(time.process_time() - processor)
    return {
        setting: tuple(statistics.median(column) for column in columns)
        for setting, columns in times.items()
    }


def main() -> None:
    arguments = parse_arguments()
    if not arguments.plain_malloc:
        keep_freed_memory()
    calls: dict = {}
    for backbone in arguments.backbones:
        for convolution in arguments.convolutions:
            calls[backbone, convolution] = make_calls(backbone, convolution, arguments.batch_size)
        peer = make_torch_calls(backbone, arguments.batch_size) if arguments.torch else None
        if peer is not None:
            calls[backbone, "torch"] = peer
    seconds = measure(calls, arguments.rounds)
    print(describe_machine(("jax", "jaxlib", "flax")))
    print(
        f"batch {arguments.batch_size}, medians of {arguments.rounds} rounds, ms per image, "
        f"malloc {'plain' if arguments.plain_malloc else 'keeps freed memory'}"
    )
    references = [s[1] for (name, _), s in seconds.items() if name == REFERENCE]
    print(f"{'backbone':20}{'convolution':12}{'params':>9}{'forward':>9}{'train':>9}", end="")
    print(f"{'cpu':>9}{'/ ' + REFERENCE:>18}")
    for (backbone, convolution), times in seconds.items():
        forward, train, processor = (1e3 * t / arguments.batch_size for t in times)
        ratio = f"{times[1] / min(references):.2f}" if references else "-"
        print(
            f"{backbone:20}{convolution:12}{calls[backbone, convolution][2] / 1e6:8.2f}M"
            f"{forward:9.2f}{train:9.2f}{processor:9.2f}{ratio:>18}"
        )


if __name__ == "__main__":
    main()
