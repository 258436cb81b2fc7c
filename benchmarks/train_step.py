"""One training step against its peers: seconds, ratios, memory, compilations.

    python benchmarks/train_step.py                        # everything, about 10 minutes
    python benchmarks/train_step.py --cases resnet50 torch # only these
    python benchmarks/train_step.py --face_model=bfm.npz   # also renders 224² of that model

Every case is a process of its own (memory settings and thread pools do not mix); the cases
take turns, round after round, so that a busy moment of the machine falls on all of them.
Medians over the rounds are printed, with ratios. PyTorch needs the ``bench`` extra.

"First step" is the wait from calling the first step to its result: tracing, lowering, compiling
(or loading what the cache holds) and running it once. "Set-up" is what comes before, imports
and fresh networks included, and has compilations of its own. Random data: reading is not counted.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from machine import describe_machine  # noqa: E402  found by the line above

CASES = {
    "resnet50": "ResNet-50, one pass, batch 32, coefficient loss (JAX)",
    "torch": "the same network and batch in PyTorch eager, 2 threads",
    "one_pass": "ResNet-50, one pass over 32 + 32 images (JAX)",
    "full": "ResNet-50, the full 2DASL step on 32 + 32 images (JAX)",
    "narrow": "resnet_narrow, one pass over 32 + 32 images (JAX)",
    "tiny": "resnet_tiny, one pass over 32 + 32 images (JAX)",
    "narrow_full": "resnet_narrow, the full step on 32 + 32 images, encoder / 4 (JAX)",
    "tiny_full": "the quickstart's: resnet_tiny, the full step, encoder / 8 (JAX)",
    "render": "one 224 x 224 render, lighting included (JAX)",
}
RATIOS = [
    ("resnet50", "torch", "ResNet-50 step / PyTorch eager", 1.2),
    ("full", "one_pass", "full 2DASL step / one pass", 2.1),
]


def random_batch() -> Any:
    """32 annotated and 32 in-the-wild images of noise, with random labels."""
    import numpy as np

    from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch

    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (32, 120, 120, 3)).astype(np.uint8)
    points = generator.uniform(20, 100, (32, 68, 2)).astype(np.float32)
    weights = np.ones((32, 68), np.float32)
    return Batch(
        AnnotatedBatch(image, generator.normal(size=(32, 62)).astype("f4"), points[:, :18]),
        InTheWildBatch(image, points, weights, points[:, :18], weights[:, :18], points[:, :18]),
    )


def make_method(case: str) -> Any:
    """2DASL with the networks and losses of a case."""
    from twodasl_jax.methods.twodasl_losses import PAPER_WEIGHTS
    from twodasl_jax.methods.twodasl_settings import TwoDASL
    from twodasl_jax.models.coefficient_regressor import make_regressor
    from twodasl_jax.models.critic import Critic
    from twodasl_jax.models.image_encoder import make_encoder

    full = case.endswith("full")
    backbone, encoder_width_divisor = {
        "narrow": ("resnet_narrow", 4),
        "tiny": ("resnet_tiny", 8),
    }.get(case.split("_")[0], ("resnet50", 1))
    one_pass = (
        {"coefficient": 1.0} if case == "resnet50" else {"coefficient": 1.0, "landmark_2d": 1}
    )
    return TwoDASL(
        make_regressor(backbone),
        make_encoder(width_divisor=encoder_width_divisor),
        Critic(),
        PAPER_WEIGHTS if full else one_pass,
    )


def jax_step(case: str) -> Callable[[], None]:
    """One compiled training step of a case on fixed random data."""
    import functools

    import jax
    import numpy as np

    from twodasl_jax.coefficients import Whitening
    from twodasl_jax.face_model.landmarks import landmark_model
    from twodasl_jax.face_model.model import load_face_model
    from twodasl_jax.losses.vertex import vertex_gram
    from twodasl_jax.methods import twodasl
    from twodasl_jax.methods.twodasl_passes import Constants
    from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
    from twodasl_jax.training.parallel import compile_step, make_mesh, replicate, shard_batch
    from twodasl_jax.training.state import create_state

    method = make_method(case)
    rules = {
        "regressor": OptimizerOptions(name="sgd", learning_rate=5e-5, weight_decay=5e-4),
        "encoder": OptimizerOptions(name="adam", learning_rate=1e-4),
        "critic": OptimizerOptions(name="adam", learning_rate=1e-4),
    }
    optimizer = make_optimizer(rules)
    landmarks = landmark_model(load_face_model())
    whitening = Whitening(np.zeros(62, "f4"), np.ones(62, "f4"))
    constants = Constants(landmarks, np.asarray(vertex_gram(landmarks), "f4"), whitening)
    mesh = make_mesh(num_devices=1)
    step = compile_step(
        functools.partial(twodasl.train_step, method=method, optimizer=optimizer), mesh
    )
    key = jax.random.key(0, impl="rbg")
    state = create_state(*twodasl.init_networks(method, key), optimizer)
    state, constants = replicate((state, constants), mesh)
    batch = jax.block_until_ready(shard_batch(random_batch(), mesh))

    def run() -> None:
        nonlocal state
        state, _ = step(state, batch, constants)
        jax.block_until_ready(state)
        if step._cache_size() != 1:  # pyright: ignore[reportFunctionMemberAccess]
            raise RuntimeError("the step was compiled again after the first call")

    return run


def render_step(face_model_file: str) -> Callable[[], None]:
    """One compiled 224 x 224 render of a face model's mean face at 30 degrees of yaw."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from twodasl_jax.face_model.import_bfm import face_model_from_file
    from twodasl_jax.face_model.linear import vertices_from_coefficients
    from twodasl_jax.geometry.mesh import vertex_normals
    from twodasl_jax.geometry.rotation import rotation_from_euler
    from twodasl_jax.rendering.rasterizer import default_capacity
    from twodasl_jax.rendering.render import render_face
    from twodasl_jax.rendering.shading import shade_headlight

    face_model = face_model_from_file(face_model_file)
    mean = face_model.linear.mean
    centre = mean.mean(axis=1, keepdims=True)
    scale = 180 / float(jnp.ptp(mean[1]))
    rotation = rotation_from_euler(jnp.float32(0), jnp.float32(np.deg2rad(30)), jnp.float32(0))
    capacity = default_capacity(224, 224, len(face_model.triangles))

    @jax.jit
    def render(shape: jax.Array) -> tuple[jax.Array, jax.Array]:
        points = vertices_from_coefficients(face_model.linear, shape, jnp.zeros(10))
        view = scale * rotation @ (points - centre)
        drawn = jnp.stack([view[0] + 112, 112 - view[1], view[2]])
        colours = shade_headlight(
            vertex_normals(view, face_model.triangles), jnp.full_like(view, 0.7)
        )
        picture = render_face(
            drawn, face_model.triangles, colours, jnp.zeros((224, 224, 3)), capacity=capacity
        )
        return picture.image, picture.overflow

    def run() -> None:
        _, overflow = jax.block_until_ready(render(jnp.zeros(40)))
        if int(overflow):
            raise RuntimeError(
                f"the capacity of {capacity} was too small: the render is incomplete"
            )

    return run


def work(case: str, face_model_file: str, cache: str) -> None:
    """A worker process: times one step per line on standard input."""
    start = time.perf_counter()
    if case == "torch":
        from torch_peer import make_torch_step

        step: Callable[[], object] = make_torch_step("resnet50", 32)
    else:
        from twodasl_jax.training.host_memory import keep_freed_memory
        from twodasl_jax.training.parallel import enable_compilation_cache

        keep_freed_memory()
        enable_compilation_cache(cache)
        step = render_step(face_model_file) if case == "render" else jax_step(case)
    built = time.perf_counter()
    step()
    first = time.perf_counter()
    print(f"{built - start:.3f} {first - built:.3f} {peak_gib():.3f}", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        step()
        print(f"{time.perf_counter() - begin:.6f} {peak_gib():.3f}", flush=True)


def peak_gib() -> float:
    """The most memory that this process had in use, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def start_worker(case: str, face_model: str, cache: str) -> "subprocess.Popen[str]":
    """Starts a case in a process of its own."""
    command = [sys.executable, __file__, "--worker", case, "--cache", cache]
    return subprocess.Popen(
        [*command, "--face_model", face_model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(worker: "subprocess.Popen[str]") -> list[float]:
    """The next line of a worker; a worker that died ends the benchmark."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        sys.exit("a case died; its error is above")
    return [float(value) for value in line.split()]


def start_up(case: str, face_model: str, cache: str) -> tuple[str, float]:
    """Set-up and first step of a case that has the machine for itself; the peak in GiB."""
    worker = start_worker(case, face_model, cache)
    built, first, peak = answer(worker)
    worker.communicate()
    return f"set-up {built:5.1f} s, first step {first:5.1f} s", peak


def measure(cases: list[str], rounds: int, face_model: str) -> dict[str, list[list[float]]]:
    """Prints start-up times, then runs the cases in turns; gives seconds and GiB per round."""
    results: dict[str, list[list[float]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as cache:
        for case in cases:
            cold, peak = start_up(case, face_model, cache)
            print(f"{case:12s} {cold}", end="", flush=True)
            if case != "torch":
                warm, _ = start_up(case, face_model, cache)
                print(f", peak {peak:.2f} GiB; with a warm compilation cache: {warm}", end="")
            print(flush=True)
        workers = {case: start_worker(case, face_model, cache) for case in cases}
        for worker in workers.values():
            answer(worker)
        for _ in range(rounds):
            for case, worker in workers.items():
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
                results[case].append(answer(worker))
        for worker in workers.values():
            worker.communicate()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--face_model", default="", help="of the render case; '' is the open one")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        from twodasl_jax.face_model.model import OPEN_FACE_FILE

        return work(given.worker, given.face_model or str(OPEN_FACE_FILE), given.cache)
    packages = ["jax", "flax", *(["torch"] if "torch" in given.cases else [])]
    print(describe_machine(packages))
    results = measure(given.cases, given.rounds, given.face_model)
    medians = {case: statistics.median(row[0] for row in rows) for case, rows in results.items()}
    print(f"\n{'case':12s} {'median':>9s} {'least':>9s} {'peak GiB':>9s}")
    for case, rows in results.items():
        least, peak = min(row[0] for row in rows), max(row[1] for row in rows)
        times = f"{1e3 * medians[case]:7.1f}ms {1e3 * least:7.1f}ms"
        print(f"{case:12s} {times} {peak:9.2f}  {CASES[case]}")
    for first, second, name, goal in RATIOS:
        if first in medians and second in medians:
            print(f"{name}: {medians[first] / medians[second]:.2f} (goal: at most {goal})")
    return None


if __name__ == "__main__":
    main()
