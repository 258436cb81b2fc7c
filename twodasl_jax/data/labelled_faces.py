"""Faces with 2D labels and nothing else: what `--mode=annotate` starts from.

Two layouts:

- a *crops folder*, as `CropSource` reads it: ``crops.tar`` or ``crops/`` with 120x120 pictures
  and ``annotations.npz``; its pictures are used as they are;
- a folder of photographs of any size, and a landmark file, ``.npz``: ``file_name (n,)``
  relative to the folder, and ``landmarks68_px (n, 68, 2)`` or ``landmarks21_px (n, 21, 2)``
  (AFLW's order) in image pixels, NaN where not known.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, image_to_crop
from twodasl_jax.data.crop_files import CHECKSUMS, decode_crop, read_crop_annotations, read_encoded
from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.data.face_selection import FEWEST_POINTS, select_faces
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.label_checks import require_not_black
from twodasl_jax.data.original.files import encode_crop, in_either_case
from twodasl_jax.data.picture_size import picture_size
from twodasl_jax.data.sources import OCCLUDED_WEIGHT
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21
from twodasl_jax.user_files.arrays import numbers_of, read_npz, texts_of
from twodasl_jax.user_files.picture import decode_picture, read_picture_bytes

FARTHEST_OUTSIDE_PX = 40.0
"""A label farther outside the (provisional) crop than this is not of this face."""


@dataclasses.dataclass(frozen=True)
class LabelledFaces:
    """Faces of which some 2D points are known.

    Attributes:
      names: ``(n,)`` file names, as text that can be printed and stored.
      landmark_set: 68, 18 for labels in AFLW's order, or 86: a face has either, the 68 first.
      landmarks: ``(n, m, 2)`` pixels of the box's 120x120 crop, 0 where unknown.
      weights: ``(n, m)``, 0 where unknown.
      roi_box: ``(n, 4)`` provisional boxes in image pixels, from the known points; None where
        the pictures are crops already.
      visibility: ``(n, 68)`` of `CropSource`; None where the labels have none.
      landmarks21: ``(n, 21, 2)`` crop pixels, NaN where unknown, or None.
      read_encoded: face number and final box -> the 120x120 crop as an encoded picture, and its
        file ending; raises ValueError for an unreadable or black one.
      read_picture: face number -> the whole picture, RGB; None where it is unreadable.
      picture_size: ``(n, 2)`` its width and height, NaN where it is unreadable.
      left_out: name and reason of faces that are none of the n: with too few known points, or
        labels that can be no face's of their picture.
    """

    names: np.ndarray
    landmark_set: int
    landmarks: np.ndarray
    weights: np.ndarray
    roi_box: np.ndarray | None
    visibility: np.ndarray | None
    landmarks21: np.ndarray | None
    read_encoded: Callable[[int, np.ndarray | None], tuple[bytes, str]]
    read_picture: Callable[[int], np.ndarray | None]
    picture_size: np.ndarray
    left_out: tuple[tuple[str, str], ...]

    @property
    def labels_px(self) -> np.ndarray:
        """``(n, m, 2)`` the labels in pixels of the pictures, NaN where unknown."""
        boxes = self.roi_box
        points = self.landmarks if boxes is None else crop_to_image(self.landmarks, boxes)
        return np.where(self.weights[..., None] > 0, points, np.nan)


def read_labelled_faces(
    images: str | Path, landmarks: str | Path | None, *, either: bool = False
) -> LabelledFaces:
    """Reads labels, and finds the pictures.

    Args:
      images: a crops folder, or a folder of photographs.
      landmarks: the landmark file; None for a crops folder's own.
      either: of a crops folder with 68 labels, the faces that have 21 alone count too.

    Raises:
      FileNotFoundError: naming what is absent.
      ValueError: where arrays are missing or misshapen, or no face has enough points.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; give --images a folder of pictures")
    if landmarks is not None:
        return faces_from_photographs(folder, *_read_landmark_file(Path(landmarks)))
    if not (folder / "annotations.npz").exists():
        raise FileNotFoundError(
            f"{folder} has no annotations.npz of its own; give --landmarks=FILE.npz (docs/data.md) "
            "or --detector=NAME"
        )
    return _faces_from_crops(folder, either=either)


def _crop_labels(
    annotations: Mapping[str, np.ndarray], *, either: bool
) -> tuple[np.ndarray, np.ndarray]:
    """``(n, m, 2)`` points, NaN where unknown, and ``(n, m)`` what each is worth."""
    eighteen = annotations["landmarks21_crop_px"][:, LANDMARKS_18_FROM_21].astype(np.float64)
    if "landmarks68_crop_px" not in annotations:
        return eighteen, np.ones(eighteen.shape[:2])
    visibility = annotations["landmarks68_visibility"]
    weights = np.select([visibility == 2, visibility == 1], [1.0, OCCLUDED_WEIGHT])
    points = np.where(weights[..., None] > 0, annotations["landmarks68_crop_px"], np.nan)
    points = points.astype(np.float64)
    if not either:
        return points, weights
    enough = np.isfinite(points).all(axis=-1).sum(axis=1) >= FEWEST_POINTS
    both = np.concatenate([points, eighteen], axis=1)
    worth = np.concatenate([weights, np.ones(eighteen.shape[:2])], axis=1)
    unused = np.concatenate([~enough[:, None].repeat(68, 1), enough[:, None].repeat(18, 1)], axis=1)
    return np.where(unused[..., None], np.nan, both), worth


def _faces_from_crops(folder: Path, *, either: bool) -> LabelledFaces:
    annotations = read_crop_annotations(folder / "annotations.npz")
    landmarks21 = annotations["landmarks21_crop_px"]
    visibility = annotations.get("landmarks68_visibility")
    given, weights = _crop_labels(annotations, either=either)
    names = annotations["file_name"]
    labelled = np.isfinite(given).all(axis=-1).sum(axis=1) >= FEWEST_POINTS
    encoded = read_encoded(folder, {str(name) for name in names[labelled]})

    checksums = annotations.get(CHECKSUMS)

    def decoded(row: int) -> np.ndarray:
        crc32 = None if checksums is None else int(checksums[row])
        return decode_crop(encoded[str(names[row])], str(names[row]), crc32=crc32)

    def picture(row: int) -> np.ndarray | None:
        try:
            return decoded(row)
        except ValueError:
            return None

    selection = select_faces(
        names,
        given,
        where=str(folder),
        sizes_of=lambda rows: np.full((len(rows), 2), float(CROP_SIZE)),
        read_picture=picture,
        reach=_in_reach,
    )
    kept = selection.kept
    points, weights = _known(given, weights)

    def read(index: int, _: np.ndarray | None) -> tuple[bytes, str]:
        name = str(names[kept[index]])
        require_not_black(decoded(int(kept[index])), name)
        return encoded[name], Path(name).suffix

    return LabelledFaces(
        names=names[kept],
        landmark_set=points.shape[1],
        landmarks=points[kept],
        weights=weights[kept],
        roi_box=None,
        visibility=None if visibility is None else visibility[kept],
        landmarks21=landmarks21[kept],
        read_encoded=read,
        read_picture=lambda index: picture(int(kept[index])),
        picture_size=selection.picture_size,
        left_out=selection.left_out,
    )


def _read_landmark_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """File names, and ``(n, 68 or 21, 2)`` image pixels."""
    expected = "expected an .npz with file_name and landmarks68_px or landmarks21_px (docs/data.md)"
    arrays = read_npz(path, expected=expected)
    sets = {"landmarks68_px": 68, "landmarks21_px": 21}
    given = [key for key in sets if key in arrays]
    if "file_name" not in arrays or len(given) != 1:
        raise ValueError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected file_name and one of "
            f"{', '.join(sets)}"
        )
    names = np.array(texts_of(path, arrays, "file_name"))
    for name in names:
        if Path(str(name)).is_absolute():
            raise ValueError(f"{path} names {name}; expected names relative to the folder --images")
    return names, numbers_of(path, arrays, given[0], (len(names), sets[given[0]], 2))


class _Photographs:
    """The files of labelled photographs, by row."""

    def __init__(self, folder: Path, names: np.ndarray) -> None:
        self._folder, self._names = folder, names
        self._paths = [in_either_case(folder / str(name)) for name in names]

    def sizes_of(self, rows: np.ndarray) -> np.ndarray:
        absent = [self._names[row] for row in rows if not self._paths[row].exists()]
        if absent:
            raise FileNotFoundError(
                f"{len(absent)} of {len(rows)} labelled photographs are not in {self._folder}, "
                f"first {printable(str(absent[0]))}"
            )
        return np.array([picture_size(self._paths[row]) for row in rows])

    def read(self, row: int) -> np.ndarray:
        # By its bytes: OpenCV opens no file whose name is no UTF-8.
        try:
            encoded = read_picture_bytes(self._paths[row])
        except (ValueError, OSError) as error:
            raise ValueError(printable(str(error))) from error
        return decode_picture(encoded, printable(self._paths[row].name), upright=True)

    def readable(self, row: int) -> np.ndarray | None:
        try:
            return self.read(row)
        except ValueError:
            return None


def faces_from_photographs(folder: Path, names: np.ndarray, points: np.ndarray) -> LabelledFaces:
    """Faces of photographs, each framed by the box of its known points.

    Args:
      folder: of the photographs.
      names: ``(n,)`` file names in it.
      points: ``(n, 68, 2)`` or, in AFLW's order, ``(n, 21, 2)`` image pixels, NaN = unknown.

    Raises:
      FileNotFoundError: where photographs are absent; the first is named.
      ValueError: where no face can be fitted, or most labels share a mistake.
    """
    points, landmark_set = np.asarray(points, np.float64), 68 if points.shape[1] == 68 else 18
    if landmark_set == 18:
        points = points[:, LANDMARKS_18_FROM_21]
    photographs = _Photographs(folder, names)
    selection = select_faces(
        names,
        points,
        where=str(folder),
        sizes_of=photographs.sizes_of,
        read_picture=photographs.readable,
    )
    kept = selection.kept
    names, points = names[kept], points[kept]
    boxes = np.stack([roi_box_from_landmarks(face[np.isfinite(face).all(-1)]) for face in points])
    in_crop, weights = _known(image_to_crop(points, boxes), np.ones(points.shape[:2]))

    def read(index: int, box: np.ndarray | None) -> tuple[bytes, str]:
        crop = crop_image(photographs.read(int(kept[index])), boxes[index] if box is None else box)
        require_not_black(crop, printable(str(names[index])))
        return encode_crop(crop, "jpeg").getvalue(), ".jpg"

    return LabelledFaces(
        names=np.array([printable(str(name)) for name in names]),
        landmark_set=landmark_set,
        landmarks=in_crop,
        weights=weights,
        roi_box=boxes,
        visibility=None,
        landmarks21=None,
        read_encoded=read,
        read_picture=lambda index: photographs.readable(int(kept[index])),
        picture_size=selection.picture_size,
        left_out=selection.left_out,
    )


def _known(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unknown points, and those far outside the crop, become 0 with weight 0."""
    weights = np.where(np.isfinite(_in_reach(points)).all(axis=-1), weights, 0.0)
    points = np.where(weights[..., None] > 0, points, 0.0)
    return points.astype(np.float32), weights.astype(np.float32)


def _in_reach(points: np.ndarray) -> np.ndarray:
    outside = np.maximum(-points, points - CROP_SIZE).max(axis=-1)
    # NaN compares False.
    return np.where((outside <= FARTHEST_OUTSIDE_PX)[..., None], points, np.nan)
