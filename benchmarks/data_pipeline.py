"""Images per second that the data pipeline gives, beside what the fastest training step eats.

    python benchmarks/data_pipeline.py
    python benchmarks/data_pipeline.py --crops=FOLDER   # real crops instead of drawn ones

Half of the images come from a rendered set with coefficients, half from encoded crops with 68
landmarks; all augmentation is on. The step is resnet_tiny's, one pass over 32 + 32 images, in a
process of its own. Pipeline and step take turns, round after round, each with the machine to
itself; on a busy machine the best rounds tell more than the medians. The goal is twice the step's
consumption: then the step does not wait, though in training both share the processor.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import describe_machine
from train_step import answer, start_worker

from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.data.pipeline import make_pipeline
from twodasl_jax.data.sources import CropSource, RenderedSource, write_rendered
from twodasl_jax.rendering.backgrounds import photo_like_backgrounds

BATCH_SIZE = 32
"""Of each half; what `train_step`'s cases are made for."""


def write_crops(folder: Path, pictures: np.ndarray, generator: np.random.Generator) -> None:
    """A folder of WebP crops with 68 visible landmarks each."""
    (folder / "crops").mkdir(parents=True)
    names = [f"{number}.webp" for number in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        _, encoded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 90])
        (folder / "crops" / name).write_bytes(encoded.tobytes())
    count = len(pictures)
    np.savez(
        folder / "annotations.npz",
        file_name=np.array(names),
        landmarks21_crop_px=generator.uniform(20, 100, (count, 21, 2)).astype(np.float32),
        landmarks68_crop_px=generator.uniform(20, 100, (count, 68, 2)).astype(np.float32),
        landmarks68_visibility=np.full((count, 68), 2, np.int8),
    )


def make_sources(folder: Path, crops: str, count: int) -> tuple[RenderedSource, CropSource]:
    """A rendered set and crops, made in a folder that is thrown away."""
    generator = np.random.default_rng(0)
    pictures = photo_like_backgrounds(generator, count)
    write_rendered(
        folder / "rendered",
        images=pictures,
        coefficients=generator.normal(size=(count, 62)).astype(np.float32),
        landmarks=generator.uniform(20, 100, (count, 68, 2)).astype(np.float32),
        yaw_degrees=np.zeros(count, np.float32),
        settings={},
    )
    if not crops:
        write_crops(folder / "crops", pictures, generator)
    return RenderedSource(folder / "rendered"), CropSource(crops or folder / "crops")


def start_pipeline(rendered: RenderedSource, crops: CropSource, num_threads: int) -> Any:
    """The training pipeline with everything on."""
    return make_pipeline(
        [(rendered, 1.0)],
        [(crops, 1.0)],
        annotated_batch_size=BATCH_SIZE,
        in_the_wild_batch_size=BATCH_SIZE,
        augment_options=AugmentOptions(),
        seed=0,
        coefficient_mirror=CoefficientMirror(np.eye(50), np.zeros(50), 0.0),
        num_threads=num_threads,
    )


def time_pipeline(batches: Any, count: int) -> tuple[float, float]:
    """Images per second and processor milliseconds per image over some batches."""
    start, processor = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(batches)
    images = 2 * BATCH_SIZE * count
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    return images / seconds, 1e3 * processor / images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=15, help="timed per setting and round")
    parser.add_argument("--faces", type=int, default=1000, help="drawn for the benchmark")
    parser.add_argument("--crops", default="", help="a folder of crops to read instead")
    given = parser.parse_args()
    print(describe_machine(("numpy", "opencv-python-headless", "grain", "jax")))
    with tempfile.TemporaryDirectory() as name:
        rendered, crops = make_sources(Path(name), given.crops, given.faces)
        worker = start_worker("tiny", "", str(Path(name) / "compiled"))
        answer(worker)
        results: dict[int, list[tuple[float, float]]] = {number: [] for number in given.threads}
        steps = []
        for _ in range(given.rounds):
            for number in given.threads:
                # A new one each time: threads that read ahead would take the step's turn.
                batches = start_pipeline(rendered, crops, number)
                next(batches)
                results[number].append(time_pipeline(batches, given.batches))
                batches.close()
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            steps.append(2 * BATCH_SIZE / float(answer(worker)[0]))
        worker.communicate()
    print("images/s, the median of the rounds and (the best one); goal for both: 2 x the step")
    median, best = statistics.median(steps), max(steps)
    print(f"training step (resnet_tiny, one pass, 32 + 32): {median:.0f} ({best:.0f})")
    for number, rows in results.items():
        speeds, processor = zip(*rows, strict=True)
        speed, fastest = statistics.median(speeds), max(speeds)
        print(
            f"pipeline, {number} threads: {speed:.0f} ({fastest:.0f}), {speed / median:.2f} "
            f"({fastest / best:.2f}) x the step; "
            f"{statistics.median(processor):.2f} ms of processor time per image"
        )


if __name__ == "__main__":
    main()
