"""What a face costs: start-up, detector, network and pictures, for each face and in batches.

    python benchmarks/predict.py --workdir=runs/quickstart
    python benchmarks/predict.py --workdir=runs/quickstart --image=me.jpg --rounds=20

The photograph is scikit-image's astronaut unless another is given. Every part is run once
unmeasured (which compiles it) and then round after round, all parts in turn, so that a busy
machine slows all of them alike. Start-up is a new process's, from its first import to the first
face, with an empty and then with a filled compilation cache. The goal: landmarks, pose and mesh of
a photograph with one face within 150 ms, detector included, from a warm process and with the small
network.
"""

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import describe_machine
from skimage.data import astronaut

from twodasl_jax.face_reconstructor import BATCH_SIZES, FaceReconstructor
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR, FACE_DETECTORS
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.files.outputs import OUTPUTS, write_outputs
from twodasl_jax.training.host_memory import keep_freed_memory

GOAL_MS = 150

_START_UP = """
import sys, time
start = time.perf_counter()
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.training.parallel import enable_compilation_cache
imported = time.perf_counter()
enable_compilation_cache(sys.argv[1])
reconstructor = FaceReconstructor.from_checkpoint(sys.argv[2])
image = load_image(sys.argv[3])
loaded = time.perf_counter()
reconstructor(image)
print(imported - start, loaded - imported, time.perf_counter() - loaded)
"""


def time_start_up(workdir: str, image: np.ndarray) -> dict[str, list[float]]:
    """Seconds of importing, loading and the first face, without and with a compilation cache."""
    from PIL import Image

    times = {}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        Image.fromarray(image).save(photo)
        for name in ("empty cache", "filled cache"):
            command = [sys.executable, "-c", _START_UP, f"{folder}/cache", workdir, str(photo)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times[name] = [float(word) for word in output.split()]
    return times


def make_parts(
    reconstructor: FaceReconstructor, image: np.ndarray, folder: Path
) -> dict[str, Callable[[], object]]:
    """Name of each part and what to time."""
    detect = FACE_DETECTORS[DEFAULT_DETECTOR]()
    faces = reconstructor(image)
    if not faces:
        raise ValueError("no face was found in the photograph; choose another with --image")
    roi_boxes = [face.roi_box for face in faces]
    crops = {size: np.stack([faces[0].crop] * size) for size in BATCH_SIZES}
    parts: dict[str, Callable[[], object]] = {
        "photograph to landmarks, pose, mesh": lambda: reconstructor(image),
        "  of it the detector": lambda: detect(image),
        "  of it each crop and prediction": lambda: reconstructor.reconstruct_at(image, roi_boxes),
    }
    for size, batch in crops.items():
        parts[f"network, {size} crops"] = functools.partial(reconstructor.reconstruct_crops, batch)
    for name in OUTPUTS:
        parts[f"output {name}"] = functools.partial(
            write_outputs, [name], image, faces, reconstructor.face_model, folder, "photo"
        )
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", required=True, help="a trained run")
    parser.add_argument("--image", help="a photograph; else the astronaut")
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    print(describe_machine(("jax", "flax", "opencv-python-headless")))
    image = load_image(given.image) if given.image else astronaut()
    for name, seconds in time_start_up(given.workdir, image).items():
        told = "import {:.1f} s, load {:.1f} s, first photograph {:.1f} s".format(*seconds)
        print(f"start-up, {name}: {sum(seconds):.1f} s ({told})")
    keep_freed_memory()
    reconstructor = FaceReconstructor.from_checkpoint(given.workdir)
    with tempfile.TemporaryDirectory() as folder:
        parts = make_parts(reconstructor, image, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in parts}
        for part in parts.values():
            part()
        for _ in range(given.rounds):
            for name, part in parts.items():
                start = time.perf_counter()
                part()
                times[name].append(1e3 * (time.perf_counter() - start))
    print(f"\n{image.shape[1]} x {image.shape[0]} pixels{'':24s} {'median':>9s} {'least':>9s}")
    for name, rounds in times.items():
        size = int(name.split()[1]) if name.startswith("network") else 0
        median = statistics.median(rounds)
        speed = f"  {1e3 * size / median:7.0f} faces/s" if size else ""
        print(f"{name:36s} {median:7.1f}ms {min(rounds):7.1f}ms{speed}")
    whole = statistics.median(next(iter(times.values())))
    verdict = "met" if whole <= GOAL_MS else "not met"
    print(f"\ngoal: {GOAL_MS} ms for a photograph, detector included: {verdict} ({whole:.0f} ms)")


if __name__ == "__main__":
    main()
