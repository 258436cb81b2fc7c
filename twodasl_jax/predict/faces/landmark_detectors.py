"""Detectors of the 68 landmarks in photographs: optional packages behind one interface.

A detector takes an RGB photograph and gives the 68 points of each of its faces. Its package is
imported when the detector is made, and a missing one is named with its command.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.data.folder_listing import describe_hidden, list_files, printable
from twodasl_jax.predict.faces.one_at_a_time import one_at_a_time
from twodasl_jax.predict.faces.optional_package import require_package
from twodasl_jax.predict.faces.photo import IMAGE_ENDINGS, load_image

Detector = Callable[[np.ndarray], np.ndarray]
"""``(h, w, 3)`` uint8 RGB to ``(faces, 68, 2)`` image pixels, largest first; from any thread."""


def make_dlib_detector() -> Detector:
    """Frontal face detector and 68-point predictor of dlib; the weights come inside a package.

    Good on frontal faces, poor beyond 45 degrees of yaw (NME 3.6 / 7.3 / 14.5 % by yaw bin on
    AFLW2000-3D).
    """
    dlib: Any = require_package("dlib", extra="dlib")
    require_package("face_recognition_models", extra="dlib", load=False)
    spec: Any = importlib.util.find_spec("face_recognition_models")
    # By path: importing the package needs pkg_resources, which setuptools no longer has.
    weights = Path(spec.submodule_search_locations[0]) / "models"
    find_faces = dlib.get_frontal_face_detector()
    predict = dlib.shape_predictor(str(weights / "shape_predictor_68_face_landmarks.dat"))

    @one_at_a_time
    def detect(image: np.ndarray) -> np.ndarray:
        # Enlarged once where nothing is found: the detector misses faces under 80 pixels.
        found = find_faces(image, 0) or find_faces(image, 1)
        faces = [[(point.x, point.y) for point in predict(image, box).parts()] for box in found]
        return _largest_first(faces)

    return detect


def make_fan_detector() -> Detector:
    """FAN of the package face-alignment, the detector of the paper; downloads weights once."""
    face_alignment: Any = require_package("face_alignment", extra="fan")
    network = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device="cpu", flip_input=False
    )

    @one_at_a_time
    def detect(image: np.ndarray) -> np.ndarray:
        return _largest_first(network.get_landmarks_from_image(image) or [])

    return detect


def _largest_first(faces: Sequence[Any]) -> np.ndarray:
    # Their pixel c has its centre at c; ours spans c to c + 1.
    points = np.asarray(faces, np.float64).reshape(-1, 68, 2) + 0.5
    return points[np.argsort(-np.ptp(points, axis=1).prod(axis=1), kind="stable")]


LANDMARK_DETECTORS: dict[str, Callable[[], Detector]] = {
    "dlib": make_dlib_detector,
    "fan": make_fan_detector,
}
"""``--detector`` -> how it is made."""


def make_landmark_detector(name: str) -> Detector:
    """Makes a detector by its name.

    Raises:
      ValueError: for an unknown name, or where its package is not installed.
    """
    if name not in LANDMARK_DETECTORS:
        raise ValueError(
            f"no landmark detector is called '{name}'; choose one of "
            f"{', '.join(LANDMARK_DETECTORS)}"
        )
    return LANDMARK_DETECTORS[name]()


def detect_in_folder(name: str, folder: Path, console: Console) -> tuple[np.ndarray, np.ndarray]:
    """Detects the largest face of each photograph of a folder.

    Args:
      name: key of `LANDMARK_DETECTORS`.
      folder: its images are looked at, those of subfolders too.
      console: where progress and the number of images without a face are shown.

    Returns:
      ``(n,)`` file names relative to the folder, and ``(n, 68, 2)`` image pixels.

    Raises:
      FileNotFoundError: where there is no image.
      ValueError: for an unknown detector, or where no image has a face.
    """
    detect = make_landmark_detector(name)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}; expected one that holds photographs")
    listing = list_files(folder, IMAGE_ENDINGS, recursive=True)
    told = describe_hidden(folder, listing.hidden)
    if told is not None:
        console.print(told, markup=False, highlight=False)
    paths = listing.files
    if not paths:
        raise FileNotFoundError(
            f"no image at {folder}; expected photographs ({', '.join(IMAGE_ENDINGS)})"
        )
    names, points, without = [], [], []
    for path in track(paths, f"detecting landmarks ({name})", console=console):
        try:
            faces = detect(load_image(path))
        except ValueError as error:
            console.print(f"left out: {printable(str(error))}", markup=False, highlight=False)
            continue
        if not len(faces):
            without.append(printable(path.name))
            continue
        names.append(path.relative_to(folder).as_posix())
        points.append(faces[0])
    if without:
        console.print(f"no face found in {len(without)} of {len(paths)} images, first {without[0]}")
    if not names:
        raise ValueError(f"{name} found no face in the {len(paths)} images of {folder}")
    return np.array(names), np.stack(points)
