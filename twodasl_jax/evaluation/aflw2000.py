"""The AFLW2000-3D benchmark: reads it, and scores 68 landmarks under both label sets.

Folder layout: ``AFLW2000/image00002.jpg`` … with their ``.mat`` (300W-LP's fields and
``pt3d_68``), and ``annotations.npz`` joined by file name: ``file_name (n,)``,
``roi_box (n, 4)``, ``yaw_degrees (n,)``, ``landmarks_px (n, 68, 3)``, and optionally
``reannotated_landmarks_px (n, 68, 2)`` and ``detected_landmarks_crop_px (n, 68, 2)``.

The published boxes come from the ground-truth landmarks, as in every table of the 3DDFA
family (it is a leak; a report must say so), are clipped to the image, and are resized to
120x120 with unequal scales where the clipping made them oblong. The landmarks never reach
the network's landmark map.
"""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from twodasl_jax.crop_frame import crop_to_image, depth_to_image
from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.original.files import in_either_case, read_mat_fields
from twodasl_jax.data.original.incomplete import IncompleteFaces
from twodasl_jax.face_model.annotation import coefficients_from_annotation
from twodasl_jax.face_model.landmarks import landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.metrics.nme import labelled_error, nme_summary
from twodasl_jax.user_files.arrays import names_of, numbers_of, read_npz
from twodasl_jax.user_files.picture import read_picture

_logger = logging.getLogger(__name__)

IMAGE_FOLDER = "AFLW2000"
PARAMETERS = {"Pose_Para": (7,), "Shape_Para": (199,), "Exp_Para": (29,)}
SHAPES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "roi_box": ((4,),),
    "yaw_degrees": ((),),
    "landmarks_px": ((68, 3), (68, 2)),
    "reannotated_landmarks_px": ((68, 2), (68, 3)),
    "detected_landmarks_crop_px": ((68, 2),),
}
REQUIRED_ANNOTATIONS = ("file_name", "roi_box", "yaw_degrees", "landmarks_px")

CONVENTIONS = {
    "crop": "published boxes, from ground-truth landmarks (a leak, shared with every such table)",
    "yaw": "Pose_Para",
    "coordinates": "crop x, y = 121 - V_y, mapped to the image by the box",
    "normaliser": "sqrt(w*h) of the ground truth's 68-point box",
    "images_left_out": "none",
}
"""What `evaluate_landmarks68`'s numbers mean, for the report."""


@dataclasses.dataclass(frozen=True)
class Aflw2000:
    """The benchmark in memory, or a sample of it.

    Attributes:
      image: ``(n, 120, 120, 3)`` uint8 RGB crops.
      roi_box: ``(n, 4)`` ``(sx, sy, ex, ey)`` image pixels.
      yaw_degrees: ``(n,)`` from ``Pose_Para``; chooses the bins.
      file_names: ``image00002.jpg``, ….
      landmarks: label set -> image pixels: ``original`` ``(n, 68, 3)`` and, where given,
        ``reannotated`` ``(n, 68, 2)``.
      detected_landmarks: ``(n, 68, 2)`` crop pixels, a detector's, or None.
      coefficients: ``(n, 62)`` annotated, raw, of each crop (`coefficients_from_annotation`).
      pose_para: ``(n, 7)`` annotated pose. Of all labels, NaN where a face has none.
    """

    image: np.ndarray
    roi_box: np.ndarray
    yaw_degrees: np.ndarray
    file_names: tuple[str, ...]
    landmarks: Mapping[str, np.ndarray]
    detected_landmarks: np.ndarray | None
    coefficients: np.ndarray
    pose_para: np.ndarray


def load_aflw2000(folder: str | Path) -> Aflw2000:
    """Reads the benchmark from a folder (layout at the head of this module).

    Raises:
      FileNotFoundError: naming the first file that is missing.
      ValueError: where the annotations lack an array.
    """
    folder = Path(folder)
    annotations = _read_annotations(folder / "annotations.npz")
    file_names = tuple(names_of(folder / "annotations.npz", annotations, "file_name"))
    roi_box = annotations["roi_box"].astype(np.float64)
    paths = [in_either_case(folder / IMAGE_FOLDER / name) for name in file_names]
    absent = [path.name for path in paths if not path.exists()]
    if absent:
        raise FileNotFoundError(
            f"annotations.npz names {len(absent)} of {len(paths)} photographs that "
            f"{folder / IMAGE_FOLDER} does not hold, first {printable(absent[0])}; complete the "
            "folder, or score it by --mode=evaluate --config=configs/evaluation.py "
            "--config.allow_missing=True"
        )
    images, heights, fields, incomplete = [], [], [], IncompleteFaces()
    for name, path, box in zip(file_names, paths, roi_box, strict=True):
        photo = read_picture(path, upright=True)
        images.append(crop_image(photo, box))
        heights.append(photo.shape[0])
        # No landmark is scored by them: what is absent there costs the coefficients.
        found = read_mat_fields(in_either_case(path.with_suffix(".mat")), {}, PARAMETERS)
        fields.append(found.arrays)
        incomplete.add(name, found.lacking)
    for line in incomplete.lines():
        _logger.warning(line)
    pose_para, shape_para, expression_para = (
        np.stack([field[key] for field in fields]) for key in PARAMETERS
    )
    landmarks = {"original": annotations["landmarks_px"].astype(np.float64)}
    if "reannotated_landmarks_px" in annotations:
        landmarks["reannotated"] = annotations["reannotated_landmarks_px"].astype(np.float64)
    return Aflw2000(
        image=np.stack(images),
        roi_box=roi_box,
        yaw_degrees=annotations["yaw_degrees"].astype(np.float64),
        file_names=file_names,
        landmarks=landmarks,
        detected_landmarks=annotations.get("detected_landmarks_crop_px"),
        coefficients=coefficients_from_annotation(
            pose_para, shape_para, expression_para, roi_box, np.array(heights, np.float64)
        ),
        pose_para=pose_para,
    )


def _read_annotations(path: Path) -> dict[str, np.ndarray]:
    expected = f"expected {', '.join(REQUIRED_ANNOTATIONS)}, beside the folder {IMAGE_FOLDER}"
    annotations = read_npz(path, expected=expected, only=("file_name", *SHAPES))
    missing = [key for key in REQUIRED_ANNOTATIONS if key not in annotations]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(annotations)}")
    count = len(annotations["file_name"])
    for key, shape in SHAPES.items():
        try:
            numbers_of(path, annotations, key, *((count, *each) for each in shape))
        except ValueError as error:
            if key in REQUIRED_ANNOTATIONS:
                raise
            if annotations.pop(key, None) is not None:
                _logger.warning("%s: it is passed over", error)
    return annotations


def score_coefficients(
    landmark_model: LinearModel, coefficients: npt.ArrayLike, roi_box: npt.ArrayLike
) -> np.ndarray:
    """The 68 landmarks of predicted coefficients, carried to the images.

    Args:
      landmark_model: `twodasl_jax.face_model.landmarks.landmark_model` of the face model.
      coefficients: ``(n, 62)`` raw, not whitened.
      roi_box: ``(n, 4)`` image pixels.

    Returns:
      ``(n, 68, 3)`` float64 image pixels; depth is scaled by the box's mean scale.
    """
    box = np.asarray(roi_box, np.float64)
    points = landmarks_from_coefficients(landmark_model, jnp.asarray(coefficients, jnp.float32))
    points = np.asarray(points, np.float64)
    depth = depth_to_image(points[..., 2], box)
    return np.concatenate([crop_to_image(points[..., :2], box), depth[..., None]], axis=-1)


def evaluate_landmarks68(
    predicted_landmarks_px: npt.ArrayLike, benchmark: Aflw2000
) -> dict[str, dict[str, float]]:
    """Scores 68 landmarks in x and y under every label set of the benchmark.

    Args:
      predicted_landmarks_px: ``(n, 68, 2)`` or ``(n, 68, 3)`` image pixels, in the benchmark's
        order; depth is not looked at.
      benchmark: from `load_aflw2000`.

    Returns:
      Label set -> `twodasl_jax.metrics.nme.nme_summary`, in %.
    """
    predicted = np.asarray(predicted_landmarks_px)[..., :2]
    summaries = {}
    for label_set, landmarks in benchmark.landmarks.items():
        target = landmarks[..., :2]
        nme = labelled_error(predicted, target)
        known = np.isfinite(nme)
        summaries[label_set] = nme_summary(nme[known], benchmark.yaw_degrees[known])
    return summaries
