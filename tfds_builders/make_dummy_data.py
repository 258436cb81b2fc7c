"""Makes the dummy data of the builders: rendered faces in the data sets' own layouts.

    python tfds_builders/make_dummy_data.py

Photographs come from the package's renderer and its open face model, labels from the same
coefficients: projecting them reproduces the landmarks. No third-party image is involved. Shape and
expression parameters are the open face model's, in the first 40 and 10 entries; the flipped
folders hold other faces, not mirrored ones.
"""

import csv
import shutil
from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np
import scipy.io

from twodasl_jax.coefficient_layout import (
    CAMERA,
    EXPRESSION,
    NUM_EXPRESSION,
    NUM_SHAPE,
    SHAPE,
    TRANSLATION_X,
    TRANSLATION_Y,
)
from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, depth_to_image
from twodasl_jax.data.original import aflw_lfpa, umdfaces, umdfaces_table, w300_lp
from twodasl_jax.data.sources import RENDER_TO_CROP_PX
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE
from twodasl_jax.geometry.camera import pose_para_from_camera
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68
from twodasl_jax.rendering.backgrounds import photo_like_backgrounds
from twodasl_jax.rendering.face_renderer import render_faces
from twodasl_jax.rendering.rasterizer import default_capacity

FOLDER = Path(__file__).parent
PHOTO_SIZE = 180
SUPERSAMPLE = 2
NUM_AFLW2000 = 4
NUM_PER_BATCH = 2
NUM_LFPA = 4
CHIN_68, CHIN_21 = 8, 20


class Faces:
    """Rendered photographs with their labels, handed out one after the other."""

    def __init__(self, count: int, *, seed: int) -> None:
        face_model = face_model_from_file(OPEN_FACE_FILE)
        generator = np.random.default_rng(seed)
        faces = sample_model_faces(face_model, generator, count)
        background = np.stack(
            [
                cv2.resize(picture, (PHOTO_SIZE, PHOTO_SIZE)).astype(np.float32) / 255
                for picture in photo_like_backgrounds(generator, count)
            ]
        )
        side = SUPERSAMPLE * PHOTO_SIZE
        render = render_faces(
            face_model,
            *(jnp.asarray(array) for array in faces[:3]),
            jnp.asarray(background),
            capacity=4 * default_capacity(side, side, len(face_model.triangles)),
            supersample=SUPERSAMPLE,
        )
        assert not np.asarray(render.overflow).any(), "the rasteriser's capacity is too small"
        self.photos = np.clip(np.asarray(render.image) * 255 + 0.5, 0, 255).astype(np.uint8)
        # The photograph is the crop, enlarged; its labels count photographs' pixels.
        coefficients = faces.coefficients.copy()
        shift = RENDER_TO_CROP_PX * CROP_SIZE / PHOTO_SIZE
        coefficients[:, TRANSLATION_X] += shift
        coefficients[:, TRANSLATION_Y] -= shift
        box = np.tile(np.float32([0, 0, PHOTO_SIZE, PHOTO_SIZE]), (count, 1))
        points = np.asarray(
            landmarks_from_coefficients(landmark_model(face_model), jnp.asarray(coefficients))
        )
        depth = depth_to_image(points[..., 2], box)
        self.landmarks = np.concatenate(
            [crop_to_image(points[..., :2], box), depth[..., None]], axis=-1
        )
        height = np.full(count, PHOTO_SIZE, np.float32)
        camera = coefficients[:, CAMERA].reshape(-1, 3, 4)
        self.pose_para = np.asarray(
            pose_para_from_camera(jnp.asarray(camera), jnp.asarray(box), jnp.asarray(height))
        )
        self.coefficients, self.angles = coefficients, faces.angles
        self.next = 0

    def take(self, path: Path) -> int:
        """Writes the next photograph and gives its number."""
        index, self.next = self.next, self.next + 1
        path.parent.mkdir(parents=True, exist_ok=True)
        bgr = np.ascontiguousarray(self.photos[index][..., ::-1])
        cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        return index

    def parameters(self, index: int) -> dict[str, np.ndarray]:
        """The fields that 300W-LP and AFLW2000-3D share."""
        shape, expression = np.zeros((199, 1)), np.zeros((29, 1))
        shape[:NUM_SHAPE, 0] = self.coefficients[index, SHAPE]
        expression[:NUM_EXPRESSION, 0] = self.coefficients[index, EXPRESSION]
        x1, y1 = self.landmarks[index, :, :2].min(axis=0)
        x2, y2 = self.landmarks[index, :, :2].max(axis=0)
        return {
            "Pose_Para": self.pose_para[index][None],
            "Shape_Para": shape,
            "Exp_Para": expression,
            "Illum_Para": np.zeros((1, 10)),
            "Color_Para": np.array([[1, 1, 1, 0, 0, 0, 1.0]]),
            "Tex_Para": np.zeros((199, 1)),
            "roi": np.array([[x1, y1, x2, y2]]).astype(np.int16),
        }

    def landmarks21(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """``(21, 2)`` in AFLW's order and ``(21,)`` visibility; the ears are not visible."""
        points68 = self.landmarks[index, :, :2]
        points = np.zeros((21, 2))
        points[LANDMARKS_18_FROM_21] = points68[LANDMARKS_18_FROM_68].mean(axis=1)
        points[CHIN_21] = points68[CHIN_68]
        visible = np.zeros(21, bool)
        visible[[*LANDMARKS_18_FROM_21, CHIN_21]] = True
        return points, visible


def save_mat(path: Path, fields: dict[str, np.ndarray]) -> None:
    """Writes a MATLAB file; the same fields give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, fields, do_compression=True)
    with path.open("r+b") as file:
        # The header holds the time: without it the same faces are the same files.
        file.write(b"MATLAB 5.0 MAT-file, made-up data".ljust(116))


def write_w300_lp(faces: Faces, folder: Path) -> None:
    """One face in each of the eight folders, ``landmarks/`` for the four that have it."""
    for group in w300_lp.FOLDERS:
        root = folder / w300_lp.ROOT
        name = f"{group.removesuffix(w300_lp.FLIP)}_0001_0"
        index = faces.take(root / group / f"{name}.jpg")
        points = faces.landmarks[index, :, :2]
        save_mat(root / group / f"{name}.mat", faces.parameters(index) | {"pt2d": points.T})
        if group in w300_lp.SUBSETS:
            fitted = {"pts_2d": points, "pts_3d": points}
            save_mat(root / "landmarks" / group / f"{name}_pts.mat", fitted)


def write_aflw2000_3d(faces: Faces, folder: Path) -> None:
    """Faces with 68 points in 3D and AFLW's 21, of which the ears are not visible."""
    for number in range(NUM_AFLW2000):
        path = folder / "AFLW2000" / f"image{number + 2:05d}.jpg"
        index = faces.take(path)
        points, visible = faces.landmarks21(index)
        # As the published files mark it: x is -1, and y is what the flip makes of -1.
        points = np.where(visible[:, None], points, [-1, PHOTO_SIZE + 2])
        fields = faces.parameters(index) | {"pt3d_68": faces.landmarks[index].T, "pt2d": points.T}
        save_mat(path.with_suffix(".mat"), fields)


def write_umdfaces(faces: Faces, folder: Path) -> None:
    """Faces of three batches, each with its CSV file."""
    header = ["SUBJECT_ID", "FILE", "FRAME", "TRACK", *umdfaces_table.NUMBER_COLUMNS]
    for batch in umdfaces.BATCHES:
        root = folder / f"umdfaces_{batch}"
        rows = []
        for number in range(NUM_PER_BATCH):
            name = f"subject_{batch}/subject_{batch}_{number:04d}.jpg"
            index = faces.take(root / name)
            points, visible = faces.landmarks21(index)
            lowest, highest = points[visible].min(axis=0), points[visible].max(axis=0)
            side = (highest - lowest).max() + 10
            x, y = (lowest + highest - side) / 2
            pitch, yaw, roll = faces.angles[index]
            numbers = [x, y, side, side, yaw, pitch, roll]
            for point, seen in zip(points, visible, strict=True):
                numbers += [*point, float(seen)]
            rows.append([number, name, 0, 0, *(f"{value:.3f}" for value in numbers), 0.5, 0.5])
        with (root / f"umdfaces_{batch}_ultraface.csv").open("w", newline="") as file:
            csv.writer(file).writerows([[*header, "PR_MALE", "PR_FEMALE"], *rows])


def write_aflw_lfpa(faces: Faces, folder: Path) -> None:
    """Faces with 34 points, one more of them hidden from face to face."""
    chosen = np.linspace(0, 67, aflw_lfpa.NUM_POINTS).astype(int)
    boxes, rows = [], []
    for number in range(1, NUM_LFPA + 1):
        index = faces.take(folder / aflw_lfpa.IMAGES / f"{number}.jpg")
        points = faces.landmarks[index, chosen, :2]
        visible = np.ones(aflw_lfpa.NUM_POINTS)
        visible[:number] = 0
        boxes.append([*points.min(axis=0), *points.max(axis=0)])
        rows.append(np.concatenate([points[:, 0], points[:, 1], visible]))
    save_mat(folder / "BoundingBox.mat", {"bboxesT": np.stack(boxes)})
    save_mat(folder / "Landmark.mat", {"phisT": np.stack(rows)})


def main() -> None:
    """Replaces the dummy data of all four builders."""
    writers = {
        "w300_lp": write_w300_lp,
        "aflw2000_3d": write_aflw2000_3d,
        "umdfaces": write_umdfaces,
        "aflw_lfpa": write_aflw_lfpa,
    }
    count = len(w300_lp.FOLDERS) + NUM_AFLW2000 + 3 * NUM_PER_BATCH + NUM_LFPA
    faces = Faces(count, seed=0)
    for name, write in writers.items():
        folder = FOLDER / name / "dummy_data"
        shutil.rmtree(folder, ignore_errors=True)
        write(faces, folder)


if __name__ == "__main__":
    main()
