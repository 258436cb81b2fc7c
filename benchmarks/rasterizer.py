"""Milliseconds per rendered image: batching, pixels, triangles, forward and with gradient.

    python benchmarks/rasterizer.py                       # the embedded open face model
    python benchmarks/rasterizer.py --face_model=bfm.npz  # a model of your own
    python benchmarks/rasterizer.py --cases 224-map 224-vmap --rounds 15

A case draws a batch of the model's mean face, turned from 0 to 90 degrees of yaw, four fifths as
high as the picture: rasterise, interpolate colours, composite. "gradient" is forward and
backward to vertices and colours. Its name says the side of the picture, how the batch is gone
through (``map``, ``vmap``, or ``pmap`` over as many forced host devices as there are cores, each
with ``map``), and, with ``x``, how many times the model's triangles it has: a quarter of them
(every fourth: a mesh with holes) or four times (each split at its edges' midpoints).

Every case is a process of its own; the cases take turns, round after round, so that a busy
moment of the machine falls on all of them. Printed are the median and (the least) of the rounds,
the processor time of all threads, which other people's processes disturb least, and the resident
memory at its peak. The least on two shared x86-64 cores with BFM: 120-map 5.8 ms forward and 7.9
with gradient, 224-map 8.3 and 24.4. docs/architecture.md has the whole table, and which ways to
draw faster were tried and kept.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from machine import describe_machine  # noqa: E402  found by the line above

CASES = (
    "120-map",
    "120-vmap",
    "120-pmap",
    "224-map",
    "224-vmap",
    "224-pmap",
    "60-map",
    "448-map",
    "224-map-x0.25",
    "224-map-x4",
)


def subdivided(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle as four: the mesh with the midpoints of its edges.

    Args:
      vertices: (3, n).
      triangles: (t, 3).
    """
    edges = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1)
    unique, number = np.unique(np.sort(edges.reshape(-1, 2), axis=1), axis=0, return_inverse=True)
    midpoints = 0.5 * (vertices[:, unique[:, 0]] + vertices[:, unique[:, 1]])
    middle = vertices.shape[1] + number.reshape(-1, 3)
    (a, b, c), (ab, bc, ca) = triangles.T, middle.T
    parts = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    return (
        np.concatenate([vertices, midpoints], axis=1).astype(np.float32),
        np.concatenate([np.stack(part, axis=1) for part in parts]).astype(np.int32),
    )


def make_scene(face_model_file: str, size: int, share: float, batch: int) -> tuple[Any, ...]:
    """``(triangles, vertices (b, 3, n), colours, background)`` of a case."""
    import jax.numpy as jnp

    from twodasl_jax.face_model.import_bfm import face_model_from_file
    from twodasl_jax.geometry.rotation import rotation_from_euler

    face_model = face_model_from_file(face_model_file)
    points, triangles = np.asarray(face_model.linear.mean), np.asarray(face_model.triangles)
    if share < 1:
        triangles = triangles[:: round(1 / share)]
    elif share > 1:
        points, triangles = subdivided(points, triangles)
    points = (points - points.mean(axis=1, keepdims=True)) * (0.8 * size / np.ptp(points[1]))
    yaw = jnp.linspace(0, np.pi / 2, batch, dtype=jnp.float32)
    view = rotation_from_euler(jnp.zeros(batch), yaw, jnp.zeros(batch)) @ points
    middle = 0.5 * size
    vertices = jnp.stack([middle + view[:, 0], middle - view[:, 1], view[:, 2]], axis=1)
    colours = jnp.asarray(np.random.default_rng(0).uniform(size=vertices.shape), jnp.float32)
    return jnp.asarray(triangles), vertices, colours, jnp.zeros((batch, size, size, 3))


def make_calls(case: str, face_model_file: str, batch: int) -> tuple[list[Callable], int, int]:
    """Forward and gradient call of a case, its triangles and its batch."""
    import jax

    from twodasl_jax.rendering.rasterizer import default_capacity
    from twodasl_jax.rendering.render import (
        render_batch,
        render_with_enough_capacity,
    )
    from twodasl_jax.training.parallel import over_local_devices

    side, batching, share = (*case.split("-"), "x1")[:3]
    size = int(side)
    scene = make_scene(face_model_file, size, float(share[1:]), batch)

    def spread(function: Callable) -> Callable:
        if batching == "pmap":
            return over_local_devices(function, num_shared=1)
        return jax.jit(function)

    def draw(triangles: Any, vertices: Any, colours: Any, background: Any, capacity: int) -> Any:
        return render_batch(
            vertices,
            triangles,
            colours,
            background,
            capacity=capacity,
            batching="vmap" if batching == "vmap" else "map",
        )

    def forward_with(capacity: int) -> Callable:
        return spread(lambda *scene: draw(*scene, capacity=capacity))

    _, capacity = render_with_enough_capacity(
        lambda capacity: forward_with(capacity)(*scene),
        default_capacity(size, size, len(scene[0])),
    )

    def gradient(triangles: Any, vertices: Any, colours: Any, background: Any) -> Any:
        def cost(vertices: Any, colours: Any) -> Any:
            return (draw(triangles, vertices, colours, background, capacity).image ** 2).sum()

        return jax.grad(cost, argnums=(0, 1))(vertices, colours)

    calls = [
        lambda function=function: jax.block_until_ready(function(*scene))
        for function in (forward_with(capacity), spread(gradient))
    ]
    return calls, len(scene[0]), batch


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def work(case: str, face_model: str, batch: int) -> None:
    """A worker process: times forward and gradient once per line on standard input."""
    from twodasl_jax.training.host_memory import keep_freed_memory

    keep_freed_memory()
    calls, triangles, images = make_calls(case, face_model, batch)
    start = time.process_time()
    peaks = []
    for call in calls:
        call()
        peaks.append(peak_gib())
    compiling = time.process_time() - start
    print(triangles, *peaks, compiling, flush=True)
    for _ in sys.stdin:
        times = []
        for call in calls:
            begin, processor = time.perf_counter(), time.process_time()
            call()
            times += [time.perf_counter() - begin, time.process_time() - processor]
        print(*(1e3 * seconds / images for seconds in times), flush=True)


def start_worker(case: str, face_model: str, batch: int) -> "subprocess.Popen[str]":
    """Starts a case in a process of its own, with its own devices."""
    environment = dict(os.environ)
    if "pmap" in case:
        flag = f"--xla_force_host_platform_device_count={os.cpu_count()}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flag}"
    command = [sys.executable, __file__, "--worker", case, "--batch", str(batch)]
    return subprocess.Popen(
        [*command, "--face_model", face_model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def measure(given: argparse.Namespace) -> None:
    """Runs the cases in turns and prints the table."""
    from train_step import answer

    workers, heads = {}, {}
    for case in given.cases:  # one after the other: each compiles on all cores
        workers[case] = start_worker(case, given.face_model, given.batch)
        heads[case] = [float(value) for value in answer(workers[case])]
    rounds: dict[str, list[list[float]]] = {case: [] for case in workers}
    for _ in range(given.rounds):
        for case, worker in workers.items():
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            rounds[case].append([float(value) for value in answer(worker)])
    for worker in workers.values():
        worker.communicate()
    print(f"{'':14s}{'':>10s}{'forward, ms/image':>27s}{'gradient, ms/image':>27s}")
    wall = f"{'median (least)':>15s}{'cpu':>6s}{'GiB':>6s}"
    print(f"{'case':14s}{'triangles':>10s}{wall}{wall}")
    for case, rows in rounds.items():
        triangles, *peaks, _ = heads[case]
        columns = list(zip(*rows, strict=True))
        cells = ""
        for number, peak in enumerate(peaks):
            times, processor = columns[2 * number], columns[2 * number + 1]
            least = f"({min(times):.1f})"
            cells += f"{statistics.median(times):7.1f} {least:>7s}"
            cells += f"{statistics.median(processor):6.1f}{peak:6.2f}"
        print(f"{case:14s}{triangles:10,.0f}{cells}")
    first = next(iter(rounds))
    print(f"compilation of {first}, both calls: {heads[first][-1]:.1f} s of processor time")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=4, help="images per call")
    parser.add_argument("--face_model", default="", help="a face model file; '' is the open one")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.face_model:
        from twodasl_jax.face_model.model import OPEN_FACE_FILE

        given.face_model = str(OPEN_FACE_FILE)
    if given.worker:
        return work(given.worker, given.face_model, given.batch)
    print(describe_machine(("jax", "numpy")))
    print(f"{Path(given.face_model).stem}, {given.batch} images a call, {given.rounds} rounds")
    return measure(given)


if __name__ == "__main__":
    main()
