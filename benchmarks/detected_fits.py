"""What fits are worth from each face detector's boxes: NME by roll and yaw.

    python benchmarks/detected_fits.py --workdir=RUN --photographs=FOLDER

A whole `FaceReconstructor` looks at photographs made of labelled crops (`face_scenes.py`), other
ways up included; a face is *found* where the middle of a fit's landmarks is near its crop's. The
NME is over visible points, in % of the crop's side/√2, as a mean over the found. "perfect box"
starts from the crop itself, upright. `--photographs` adds AFLW2000-3D's: 68 points, by √(w·h).
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from face_detectors import ROLLED_SIDE
from face_scenes import YAW_BINS, LabelledCrops, PlacedFace, read_bins, single

from twodasl_jax.data.face_crop import detection_from_roi_box, roi_box_from_landmarks
from twodasl_jax.face_reconstructor import NUM_REFINEMENTS, FaceReconstructor
from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.fit_confidence import UNSURE
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.faces.recrop import reconstruct_each
from twodasl_jax.predict.faces.upright import turn_about_centre
from twodasl_jax.training.parallel import enable_compilation_cache

ROLLS = (0, 30, 60, 90, 135, 180)
LEAST_TURN = 20.0
"""Heads are cut upright from here on."""

Fits = Callable[[np.ndarray, PlacedFace], list[Reconstruction]]
"""A picture and the face in it to what was fitted."""


def from_perfect_boxes(reconstructor: FaceReconstructor) -> Fits:
    """Fits that start from the crop itself."""

    def fits(picture: np.ndarray, face: PlacedFace) -> list[Reconstruction]:
        start = FaceBox(detection_from_roi_box(face.roi_box), 1.0)
        if abs(face.turn_degrees) >= LEAST_TURN:
            start = FaceBox(turned_detection(face), 1.0, face.turn_degrees)
        kept = reconstruct_each(
            picture,
            [start],
            reconstructor._network,
            reconstructor.face_model,
            num_refinements=NUM_REFINEMENTS,
        )
        return [fit for fit in kept if fit is not None]

    return fits


def turned_detection(face: PlacedFace) -> np.ndarray:
    """The detection that gives the crop's own box after the turn."""
    upright = detection_from_roi_box(face.roi_box)
    up = (upright[:2] + upright[2:]) / 2 - (face.roi_box[:2] + face.roi_box[2:]) / 2
    moved = turn_about_centre(face.turn_degrees)[:, :2].T @ up - up
    return upright + np.tile(moved, 2)


def print_by_roll(name: str, fits: Fits, bins: list[LabelledCrops]) -> None:
    """A line for each roll."""
    for roll in ROLLS:
        columns, failed, trusted = [], 0, 0
        for faces in bins:
            errors = []
            for index in range(len(faces.crops)):
                picture, (face,) = single(faces, index, ROLLED_SIDE, roll * (-1) ** index)
                middle = (face.roi_box[:2] + face.roi_box[2:]) / 2
                near = [
                    fit
                    for fit in fits(picture, face)
                    if np.linalg.norm(fit.landmarks_px.mean(axis=0) - middle) < ROLLED_SIDE / 3
                ]
                if not near:
                    continue
                distance = np.linalg.norm(near[0].landmarks_px - face.points, axis=1)
                errors.append(100 * float(np.nanmean(distance)) * np.sqrt(2) / ROLLED_SIDE)
                failed += errors[-1] >= 10
                trusted += errors[-1] >= 20 and (near[0].fit_confidence or 0) >= UNSURE
            columns.append(f"{np.mean(errors):.2f} ({len(errors)} of {len(faces.crops)})")
        print(f"| {roll}° | {name} | {' | '.join(columns)} | {failed} | {trusted} |", flush=True)


def print_photographs(name: str, fits: Fits, folder: Path) -> None:
    """NME on genuine AFLW2000-3D photographs, by yaw bin."""
    labels = np.load(folder / "annotations.npz")
    errors = [[] for _ in YAW_BINS]
    for file_name, points, yaw in zip(
        labels["file_name"], labels["landmarks_px"], labels["yaw_degrees"], strict=True
    ):
        truth = points[:, :2]
        sides = np.ptp(truth, axis=0)
        face = PlacedFace(truth, roi_box_from_landmarks(truth), 0.0, float(yaw))
        near = [
            100 * np.linalg.norm(fit.landmarks_px - truth, axis=1).mean() / np.sqrt(sides.prod())
            for fit in fits(load_image(folder / "AFLW2000" / str(file_name)), face)
            if np.linalg.norm((fit.landmarks_px - truth).mean(axis=0)) < sides.mean() / 2
        ]
        if near:
            errors[int(np.searchsorted([30, 60], abs(yaw)))].append(near[0])
    columns = " | ".join(f"{np.mean(part):.2f} ({len(part)})" for part in errors)
    together = np.concatenate(errors)
    print(
        f"| AFLW2000-3D | {name} | {columns} | {(together >= 10).sum()} | "
        f"all {len(together)}: {together.mean():.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", required=True, help="a run or a network file")
    parser.add_argument("--crops", type=Path, default=Path("../shared/data/aflw_validation"))
    parser.add_argument("--faces", type=int, default=40, help="of each yaw bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", action="append", help="centerface and mtcnn")
    parser.add_argument("--photographs", type=Path, help="AFLW2000-3D with annotations.npz")
    given = parser.parse_args()
    enable_compilation_cache()
    bins = read_bins(given.crops, given.faces, given.seed)
    systems = {"perfect box": from_perfect_boxes(FaceReconstructor.from_checkpoint(given.workdir))}
    for name in given.detector or ["centerface", "mtcnn"]:
        reconstructor = FaceReconstructor.from_checkpoint(given.workdir, detector=name)
        systems[name] = lambda picture, _, network=reconstructor: network(picture)
    print("| roll | boxes | 0 to 30° | 30 to 60° | above | 10 % and more | 20 %, called sure |")
    for name, fits in systems.items():
        if given.photographs:
            print_photographs(name, fits, given.photographs)
        print_by_roll(name, fits, bins)


if __name__ == "__main__":
    main()
