"""How well `fit_confidence` holds, the weights of its formula, and the NME of turned heads.

    python benchmarks/fit_confidence.py --workdir=runs/aflw --workdir=runs/quickstart \
        --faces=400 --picture=docs/pictures/fit_confidence.png
    python benchmarks/fit_confidence.py --workdir=runs/aflw --by_roll=40

Faces are AFLW crops with visible-point labels (`--crops`, the layout of ``kind="crops"``) that no
network was trained on. Each lies in a picture of its own, turned in the plane: half within 50
degrees, half by any angle; a fifth is partly hidden, and the box that is looked at is moved and
scaled, a tenth of them far off. Every face is looked for twice: by a detector (`--detector`), in
the picture turned by a random quarter, and in a box without a detector's points. The weights are
those of a logistic regression for "NME under 10 %" on the odd faces of all runs together; the
tables and the curves are of the even ones, by the weights that stand in the package. The NME is
over visible points, in % of 120/√2 crop pixels.

After a larger change of the network or of the detector: run it, put the weights that it prints last
into `predict/faces/fit_confidence.py`, with the names of the runs, and run it again for the tables.
Keep them where no more wrong fits are called sure than before.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from face_scenes import LabelledCrops, read_crops
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import minimize

from twodasl_jax.data.augment import warp_points
from twodasl_jax.data.face_crop import detection_from_roi_box
from twodasl_jax.face_reconstructor import NUM_REFINEMENTS, FaceReconstructor
from twodasl_jax.predict.faces.face_detectors import (
    DEFAULT_DETECTOR,
    FACE_DETECTORS,
    FaceBox,
    FaceDetector,
)
from twodasl_jax.predict.faces.fit_confidence import UNSURE, fit_confidence, fit_signs, log_features
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.faces.recrop import reconstruct_each
from twodasl_jax.predict.faces.upright_search import find_in_turned
from twodasl_jax.training.parallel import enable_compilation_cache

TILE = 200
"""Side of a face's picture, pixels: a crop of 120 and what lies around it, mirrored at its edge."""

NORMALISER = 120 / np.sqrt(2)
GOOD = 10.0


def turned_picture(
    crop: np.ndarray, points: np.ndarray, degrees: float
) -> tuple[np.ndarray, np.ndarray]:
    """A face in a picture, turned counterclockwise, and its points there."""
    warp = cv2.getRotationMatrix2D((60, 60), degrees, 1.0)
    warp[:, 2] += TILE / 2 - 60
    raster = warp.copy()
    raster[:, 2] += warp[:, :2] @ (0.5, 0.5) - 0.5
    picture = cv2.warpAffine(crop, raster, (TILE, TILE), borderMode=cv2.BORDER_REFLECT)
    return picture, warp_points(points, warp).astype(np.float64)


def spoil(picture: np.ndarray, points: np.ndarray, generator: np.random.Generator) -> None:
    """Hides a part of every fifth face, in place."""
    if generator.random() < 0.2:
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        width, height = (generator.uniform(0.25, 0.7, 2) * (high - low).max()).astype(int)
        x, y = (low + generator.uniform(-0.1, 0.6, 2) * (high - low)).clip(0).astype(int)
        picture[y : y + height, x : x + width] = generator.integers(0, 256, 3)


def spoiled_box(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A box about a face, moved and scaled as detectors' are, or far off."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    side = np.sqrt(2) * float((high - low).max())
    middle, far = (low + high) / 2, generator.random() < 0.1
    middle = middle + side * (
        generator.uniform(-0.6, 0.6, 2) if far else generator.normal(0, 0.05, 2)
    )
    side *= np.exp(generator.uniform(-0.9, 0.9) if far else generator.normal(0, 0.1))
    return detection_from_roi_box(np.concatenate([middle - side / 2, middle + side / 2]))


def moved(face: FaceBox, offset: np.ndarray) -> FaceBox:
    points = None if face.points_px is None else face.points_px + offset
    return FaceBox(face.box + np.tile(offset, 2), face.score, face.turn_degrees, points)


def gather(
    reconstructor: FaceReconstructor, detect: FaceDetector, faces: LabelledCrops, seed: int
) -> list[tuple[Any, ...]]:
    """``(signs, NME, index of the face)`` of every fit; 32 pictures lie side by side at a time."""
    generator = np.random.default_rng(seed)
    network = reconstructor._network, reconstructor.face_model
    records = []
    for first in range(0, len(faces.crops), 32):
        board = np.zeros((4 * TILE, 8 * TILE, 3), np.uint8)
        starts, truths, owners = [], [], []
        for place, index in enumerate(range(first, min(first + 32, len(faces.crops)))):
            widest = 50 if generator.random() < 0.5 else 180
            picture, truth = turned_picture(
                faces.crops[index], faces.points[index], generator.uniform(-widest, widest)
            )
            spoil(picture, truth, generator)
            offset = TILE * np.array([place % 8, place // 8], np.float64)
            x, y = offset.astype(int)
            board[y : y + TILE, x : x + TILE] = picture
            looked_at = [FaceBox(spoiled_box(truth, generator), 1.0)]
            looked_at += find_in_turned(picture, detect, [90.0 * generator.integers(4)])[:1]
            starts += [moved(face, offset) for face in looked_at]
            truths += [truth + offset] * len(looked_at)
            owners += [index] * len(looked_at)
        fits = reconstruct_each(board, starts, *network, num_refinements=NUM_REFINEMENTS)
        kept = [k for k, fit in enumerate(fits) if fit is not None]
        points = [starts[k].points_px for k in kept]
        signs = fit_signs(board, [fits[k] for k in kept], *network, points_px=points)  # pyright: ignore
        for k, sign in zip(kept, signs, strict=True):
            error = np.linalg.norm(fits[k].landmarks_px - truths[k], axis=1)  # pyright: ignore
            records.append((sign, 100 * float(np.nanmean(error)) / NORMALISER, owners[k]))
    return records


def fitted_weights(records: Sequence[tuple[Any, ...]]) -> np.ndarray:
    """``(b, w₁, …)`` of the likeliest logistic regression of "NME under 10 %"."""
    features = np.array([log_features(sign) for sign, _, _ in records])
    inputs = np.column_stack([np.ones(len(features)), features])
    sides = np.array([1.0 if error < GOOD else -1.0 for _, error, _ in records])
    start = np.zeros(inputs.shape[1])
    return minimize(lambda w: np.logaddexp(0, -sides * (inputs @ w)).mean(), start).x


def reliability(records: Sequence[tuple[Any, ...]]) -> list[tuple[float, float, float, int]]:
    """By fifths of the confidence: its mean, shares of NME under 10 and 20 %, number."""
    said = np.array([fit_confidence(sign) for sign, _, _ in records])
    errors = np.array([error for _, error, _ in records])
    rows = []
    for low in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
        high = {0.0: 0.1, 0.9: 1.01}.get(low, low + 0.2)
        inside = (said >= low) & (said < high)
        if inside.any():
            part = errors[inside]
            row = said[inside].mean(), (part < GOOD).mean(), (part < 2 * GOOD).mean()
            rows.append((*map(float, row), int(inside.sum())))
    return rows


def draw(curves: dict[str, list[tuple[float, float, float, int]]], path: Path) -> None:
    """Said against found, a line for each run and kind of box."""
    figure = Figure(figsize=(5.2, 4.6), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, rows in curves.items():
        axes.plot([r[0] for r in rows], [r[1] for r in rows], marker="o", markersize=4, label=name)
    axes.set(xlabel="fit_confidence", ylabel="share of faces with NME under 10 %")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def _off_middle(face: Reconstruction) -> float:
    return float(np.linalg.norm(face.landmarks_px.mean(axis=0) - TILE / 2))


def print_by_roll(reconstructor: FaceReconstructor, faces: LabelledCrops) -> None:
    """What a user gets of pictures turned by every 15 degrees, alternately to both sides."""
    print("roll | found | mean NME | under 10 % | under 20 % | 20 % and more, called sure")
    for degrees in range(0, 181, 15):
        errors, sure = [], []
        for index, (crop, points) in enumerate(zip(faces.crops, faces.points, strict=True)):
            picture, truth = turned_picture(crop, points, degrees * (-1) ** index)
            found = reconstructor(picture)
            if found:
                # A picture has one face, in its middle; its mirrored edge may look like more.
                face = min(found, key=_off_middle)
                error = np.linalg.norm(face.landmarks_px - truth, axis=1)
                errors.append(100 * float(np.nanmean(error)) / NORMALISER)
                sure.append((face.fit_confidence or 0.0) >= UNSURE)
        e, s = np.array(errors), np.array(sure, bool)
        trusted = (s & (e >= 20)).sum()
        print(
            f"{degrees:4d} | {len(e)} of {len(faces.crops)} | {e.mean():.1f} | "
            f"{100 * (e < 10).mean():.0f} % | {100 * (e < 20).mean():.0f} % | {trusted}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", action="append", required=True, help="runs, network files")
    parser.add_argument("--crops", type=Path, default=Path("../shared/data/aflw_validation"))
    parser.add_argument("--faces", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR, help="whose points are taken")
    parser.add_argument("--picture", type=Path, help="where to draw the curves")
    parser.add_argument("--by_roll", type=int, help="instead: faces for each roll")
    given = parser.parse_args()
    enable_compilation_cache()
    detect = FACE_DETECTORS[given.detector]()
    curves, odd = {}, {}
    for workdir in given.workdir:
        reconstructor = FaceReconstructor.from_checkpoint(workdir, detector=given.detector)
        print(f"\n{workdir}", flush=True)
        if given.by_roll:
            print_by_roll(reconstructor, read_crops(given.crops, given.by_roll, given.seed))
            continue
        records = gather(
            reconstructor, detect, read_crops(given.crops, given.faces, given.seed), given.seed
        )
        for kind, has_points in (("boxes alone", False), (f"points of {given.detector}", True)):
            of_kind = [r for r in records if (r[0].miss is not None) == has_points]
            odd.setdefault(kind, []).extend(r for r in of_kind if r[2] % 2)
            rows = reliability([r for r in of_kind if not r[2] % 2])
            wrong = [fit_confidence(sign) for sign, error, _ in of_kind if error >= 2 * GOOD]
            print(
                f"{kind}: {len(of_kind)} fits; of {len(wrong)} with 20 % and more "
                f"{sum(said >= UNSURE for said in wrong)} are called sure"
            )
            for said, good, fair, count in rows:
                print(f"  said {said:.2f}: under 10 % {good:.2f}, under 20 % {fair:.2f} ({count})")
            curves[f"{Path(workdir).name}, {kind}"] = rows
    for kind, records in odd.items():
        weights = fitted_weights(records).round(2).tolist()
        print(f"\nweights of {kind}, fitted on {len(records)} odd fits of all runs: {weights}")
    if given.picture and curves:
        draw(curves, given.picture)


if __name__ == "__main__":
    main()
