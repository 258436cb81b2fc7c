"""Reconstructs the faces of photographs with a trained network."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from rich.console import Console
from rich.progress import track

from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.file_errors import is_out_of_space
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR, FACE_DETECTORS
from twodasl_jax.predict.faces.fit_confidence import unsure_warning
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.faces.upright_search import find_in_turned
from twodasl_jax.predict.files.outputs import check_outputs, known_outputs, write_outputs
from twodasl_jax.predict.files.photo_list import Photo, list_photos
from twodasl_jax.predict.video.reconstruct_video import predict_camera, predict_video
from twodasl_jax.pretrained.names import PRETRAINED
from twodasl_jax.training.parallel import enable_compilation_cache

ASTRONAUT_BOX = np.array([182.0, 63.0, 269.0, 174.0])
"""Her face in it, as MTCNN frames it."""

_NO_FACE = (
    "no face was found in {}, neither as it is nor turned by every 45 degrees (its EXIF "
    "orientation was followed); frame the face with --box=x1,y1,x2,y2, look for small ones with "
    "--detector=centerface_small, or take a portrait whole with --detector=whole_image; if the "
    "head is tilted, turn the photograph until it is upright"
)

DEFAULT_OUTPUTS = ("strip", "mesh", "json")


def predict(
    config: ExperimentSettings | None,
    *,
    workdir: str | None,
    checkpoint: str | None = None,
    image: Sequence[str] | None,
    video: str | None,
    camera: int | None,
    box: Sequence[str] | None,
    outputs: Sequence[str] | None,
    mesh_formats: Sequence[str] | None,
    output: str | None,
    detector: str | None,
    num_passes: int,
    max_frames: int | None,
    smooth: bool | None,
    face_model: str | None = None,
) -> None:
    """Reconstructs every face of photographs, of a video or of a camera's pictures.

    A photograph that cannot be read or shows no face does not stop the others.

    Args:
      config: its ``training.checkpoint`` is used (newest or best), or the run's where None; a
        ``face_model.path`` other than the run's says where that lies now.
      workdir: a trained run; with `checkpoint` only where the results go.
      checkpoint: see `open_trained`; None is the run in `workdir`, or else ``pretrained``.
      image: photographs, folders of them, glob patterns; None is scikit-image's astronaut.
      video: instead, a video.
      camera: or the number of a camera.
      box: ``x1, y1, x2, y2`` of the face in a single photograph; None asks the detector.
      outputs: what to write, names of `predict.files.outputs.OUTPUTS`; None is `DEFAULT_OUTPUTS`.
      mesh_formats: of the meshes, one or more of glb, obj and ply; None is glb.
      output: folder to write to; None is ``WORKDIR/prediction``, without a workdir ``prediction``.
      detector: what finds faces or their landmarks; None is the default.
      num_passes: of the network, 1 or 2.
      max_frames: of a video or camera; None is all.
      smooth: faces over the frames of a video or camera; None is yes.
      face_model: where the run's face model lies now; None looks for it.

    Raises:
      FileNotFoundError, ValueError, OSError: for wrong arguments; at the end, naming the
        photographs that gave no result.
    """
    of_photographs = {"image": image, "box": box, "outputs": outputs, "mesh_formats": mesh_formats}
    _refuse_together({"video": video}, {"camera": camera})
    _refuse_together({"video": video, "camera": camera}, of_photographs)
    _refuse_together({"box": box}, {"detector": detector})
    of_photos = video is None and camera is None
    if of_photos and (max_frames is not None or smooth is not None):
        raise ValueError("--max_frames and --smooth are for --video and --camera; give one of them")
    names = known_outputs(outputs or DEFAULT_OUTPUTS)
    folder = Path(output) if output else Path(workdir or "") / "prediction"
    corners = parse_box(box)
    console = Console(markup=False, emoji=False)
    photos = list_photos(image, results=folder, console=console) if of_photos else []
    if corners is not None and len(photos) > 1:
        raise ValueError(f"--box frames a face in one photograph, and there are {len(photos)}")
    if not image and photos:
        logging.warning("no --image was given: taking scikit-image's astronaut")
    enable_compilation_cache()
    reconstructor = FaceReconstructor.from_checkpoint(
        checkpoint or workdir or PRETRAINED,
        detector=detector or DEFAULT_DETECTOR,
        num_passes=num_passes,
        wanted=None if config is None else config.run_choice,
        face_model=face_model,
    )
    if reconstructor.about:
        console.print(reconstructor.about, highlight=False, soft_wrap=True)
    where: dict[str, Any] = {"folder": folder, "console": console}
    if photos:
        formats = mesh_formats or ("glb",)
        check_outputs(names, reconstructor.face_model, folder, mesh_formats=formats)
        write = functools.partial(write_outputs, names, mesh_formats=formats)
        reconstruct_photos(reconstructor, photos, corners, write, **where)
        return
    where |= {"max_frames": max_frames, "smooth": smooth is not False}
    if video is not None:
        predict_video(reconstructor, video=video, **where)
    elif camera is not None:
        predict_camera(reconstructor, camera=camera, **where)


def _refuse_together(these: Mapping[str, object], those: Mapping[str, object]) -> None:
    """Refuses flags that contradict each other or would be ignored."""
    first = [f"--{name}" for name, value in these.items() if value is not None]
    second = [f"--{name}" for name, value in those.items() if value is not None]
    if first and second:
        raise ValueError(
            f"{first[0]} and {second[0]} do not go together; leave one of them out "
            "(docs/predict.md)"
        )


def parse_box(box: Sequence[str] | None) -> np.ndarray | None:
    """``--box`` as four numbers.

    Raises:
      ValueError: if it is not four numbers that frame something.
    """
    if box is None:
        return None
    try:
        corners = np.array([float(value) for value in box])
    except ValueError:
        corners = np.zeros(0)
    if corners.shape != (4,) or not (corners[2:] > corners[:2]).all():
        raise ValueError(
            f"--box={','.join(box)} frames nothing; give four numbers x1,y1,x2,y2 in image "
            "pixels with x1 < x2 and y1 < y2"
        )
    return corners


def check_photo(images: Sequence[str] | None, box: Sequence[str] | None) -> None:
    """Looks now for what `reconstruct_photo` will need after a long training.

    Raises:
      FileNotFoundError, ValueError: as it would.
    """
    corners = parse_box(box)
    if images is None:
        return
    if len(images) > 1:
        raise ValueError(f"training reconstructs one photograph at its end; {len(images)} came")
    photo = load_image(images[0])
    if corners is not None:
        return
    detect = FACE_DETECTORS[DEFAULT_DETECTOR]()
    if not detect(photo) and not find_in_turned(photo, detect):
        raise ValueError(_NO_FACE.format(images[0]))


def reconstruct_photo(
    workdir: Workdir, *, image: Sequence[str] | None, box: Sequence[str] | None, console: Console
) -> None:
    """Reconstructs one photograph with the networks of a run: picture strip, mesh and JSON.

    Args:
      workdir: a trained run; results go to its folder ``prediction``.
      image: as for `predict`, one photograph.
      box: as for `predict`.
      console: where the pose is printed.
    """
    folder = workdir.folder / "prediction"
    reconstruct_photos(
        FaceReconstructor.from_checkpoint(workdir.folder),
        list_photos(image, results=folder, console=console),
        parse_box(box),
        functools.partial(write_outputs, DEFAULT_OUTPUTS),
        folder=folder,
        console=console,
    )


def reconstruct_photos(
    reconstructor: FaceReconstructor,
    photos: Sequence[Photo],
    box: np.ndarray | None,
    write: Callable[..., list[Path]],
    *,
    folder: Path,
    console: Console,
) -> None:
    """Reconstructs photographs one after another and tells what became of each.

    Args:
      reconstructor: the trained network.
      photos: to go through.
      box: of the face, where there is a single photograph.
      write: `write_outputs` with the names of the outputs.
      folder: where the results go.
      console: where progress and poses are shown.

    Raises:
      ValueError: after the last one, naming those without a result.
    """
    if box is None and any(photo.path is not None for photo in photos):
        reconstructor.prepare_detector()
    failures = []
    listed = photos if len(photos) == 1 else track(photos, "photographs", console=console)
    for photo in listed:
        try:
            image, faces = _reconstruct(reconstructor, photo, box)
            target = folder / photo.name
            written = write(
                image,
                faces,
                reconstructor.face_model,
                target.parent,
                target.name,
                code_statistics=reconstructor.code_statistics,
            )
        except Exception as error:  # whatever one photograph does to a library, the rest go on
            # On a full disk all the others would fail too.
            if len(photos) == 1 or is_out_of_space(error):
                raise
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            told = f"{photo.name}: {kind}{error}"
            console.print(told, style="red", markup=False, highlight=False)
            failures.append(photo)
        else:
            _tell(photo, faces, written, console)
    if len(photos) > 1:
        console.print(f"{len(photos) - len(failures)} of {len(photos)} photographs are in {folder}")
    if failures:
        raise ValueError(
            f"{len(failures)} of {len(photos)} photographs gave no result (reasons above): "
            f"{', '.join(str(photo.path) for photo in failures[:5])}"
            f"{', ...' if len(failures) > 5 else ''}"
        )


def _reconstruct(
    reconstructor: FaceReconstructor, photo: Photo, box: np.ndarray | None
) -> tuple[np.ndarray, list[Reconstruction]]:
    if photo.path is None:
        from skimage.data import astronaut

        image = astronaut()
        box = ASTRONAUT_BOX if box is None else box
    else:
        image = load_image(photo.path)
    faces = reconstructor(image, boxes=None if box is None else [box])
    if not faces:
        raise ValueError(_NO_FACE.format(photo.path))
    return image, faces


def _tell(
    photo: Photo, faces: Sequence[Reconstruction], written: Sequence[Path], console: Console
) -> None:
    for number, face in enumerate(faces):
        pose = face.head_pose
        which = f" face {number}" if len(faces) > 1 else ""
        console.print(
            f"{photo.name}{which}: yaw {_degrees(pose.yaw)}, pitch {_degrees(pose.pitch)}, roll "
            f"{_degrees(pose.roll)}{_confidence(face)}",
            markup=False,
            highlight=False,
        )
        warning = unsure_warning(face)
        if warning:
            console.print(
                f"{photo.name}{which}: {warning}", style="yellow", markup=False, highlight=False
            )
    names = ", ".join(path.name for path in written)
    console.print(f"  {written[0].parent}: {names}", markup=False, highlight=False)


def _confidence(face: Reconstruction) -> str:
    confidence = face.fit_confidence
    return "" if confidence is None else f", confidence of the fit {confidence:.2f}"


def _degrees(angle: float) -> str:
    return f"{round(angle, 1) + 0.0:.1f}°"  # + 0: never -0.0
