"""Images per second and memory of preparing a data set of 300W-LP's layout.

Makes a folder of that layout, a few distinct 450x450 photographs under as many names as asked
(hard links, so that it costs no disk), and prepares it as ``--mode=prepare`` does.

    python benchmarks/prepare.py --images 50000
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import scipy.io

# The builders are part of the checkout, not of the installed package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from twodasl_jax.data.original import w300_lp
from twodasl_jax.data.original.reading import num_processes
from twodasl_jax.jobs.prepare import prepare

SIZE = 450
NUM_DISTINCT = 16


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000, help="over the eight folders")
    parser.add_argument("--folder", default=None, help="where the temporary folder is made")
    return parser.parse_args()


def write_distinct(folder: Path, number: int, generator: np.random.Generator) -> tuple[Path, Path]:
    """One photograph with as much detail as 300W-LP's (about 40 kB), and its annotation."""
    noise = [
        cv2.resize(generator.normal(size=(side, side, 3)), (SIZE, SIZE)) * 30 * 0.6**octave
        for octave, side in enumerate((4, 9, 18, 37, 75, 150, 300))
    ]
    photo = np.clip(128 + sum(noise), 0, 255).astype(np.uint8)
    image = folder / f"{number}.jpg"
    cv2.imwrite(str(image), photo, [cv2.IMWRITE_JPEG_QUALITY, 90])
    centre = SIZE / 2 + generator.uniform(-20, 20, (2, 1))
    fields = {
        "pt2d": centre + generator.uniform(-75, 75, (2, 68)),
        "roi": np.array([[100, 100, 350, 350]], np.int16),
        "Illum_Para": generator.normal(size=(1, 10)),
        "Color_Para": generator.normal(size=(1, 7)).astype(np.float32),
        "Tex_Para": generator.normal(size=(199, 1)),
        "Shape_Para": generator.normal(size=(199, 1)),
        "Exp_Para": generator.normal(size=(29, 1)),
        "Pose_Para": np.array([[0.1, 0.2, 0.1, 225, 225, 0, 1e-3]], np.float32),
    }
    annotation = image.with_suffix(".mat")
    scipy.io.savemat(annotation, fields, do_compression=True)
    return image, annotation


def write_layout(folder: Path, count: int) -> float:
    """Fills ``folder/300W_LP``; returns the photographs' mean size in bytes."""
    generator = np.random.default_rng(0)
    distinct = folder / "distinct"
    distinct.mkdir()
    originals = [write_distinct(distinct, number, generator) for number in range(NUM_DISTINCT)]
    for group in w300_lp.FOLDERS:
        (folder / w300_lp.ROOT / group).mkdir(parents=True)
    for number in range(count):
        group = w300_lp.FOLDERS[number % len(w300_lp.FOLDERS)]
        for original in originals[number % NUM_DISTINCT]:
            link = folder / w300_lp.ROOT / group / f"{group}_{number:06d}{original.suffix}"
            os.link(original, link)
    return float(np.mean([image.stat().st_size for image, _ in originals]))


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        size = write_layout(folder, arguments.images)
        print(f"{arguments.images:,} photographs of {SIZE}x{SIZE}, {size / 1e3:.0f} kB each")
        before, start = processor_seconds(), time.perf_counter()
        prepare(dataset="w300_lp", manual_dir=name, data_dir=str(folder / "prepared"))
        seconds, processor = time.perf_counter() - start, processor_seconds() - before
    processes = num_processes(arguments.images)
    own, largest = (
        resource.getrusage(whose).ru_maxrss / 2**20
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    readers = f" and {processes} reading processes of {largest:.2f} GiB" if processes > 1 else ""
    print(
        f"{arguments.images / seconds:,.0f} images/s with checks and start-up, "
        f"{1e3 * processor / arguments.images:.2f} ms of processor time each, in all processes; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; at most {own:.2f} GiB of memory"
        f"{readers}, shared pages counted in each"
    )


def processor_seconds() -> float:
    """Of this process and of those it started that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
