"""``<photograph>.json``: a photograph's faces in numbers, and the names of the files written.

Vertices are not in it: a mesh has them, and coefficients with their face model give them.

Schema ``twodasl_jax.prediction``, version 2 (in version 1 no crop was turned, and there was no
``fit_confidence``). Lengths are image pixels, angles degrees. The image frame is x right, y down, z
towards the viewer; ``(0, 0)`` is the upper left corner of the picture and ``(0.5, 0.5)`` the centre
of its first pixel::

    schema               "twodasl_jax.prediction"
    version              2; changes when a key changes its meaning or goes, not when one comes
    image                {width, height}
    face_model           {name, crc32, identity, num_vertices}: the coefficients belong to this
                         one; crc32 is that of its shape basis, identity a checksum of all arrays
                         that give coefficients a meaning (`face_model.model_identity`)
    files                output -> names of the files that show all faces, beside this one
    depth                null without that output, else {background: 0, step_px}: a value v of the
                         16-bit picture is z = depth_far_px + (v - 1)·step_px of the image frame
    faces                a list, detected faces from the largest to the smallest, given boxes in
                         their order, of
      box                [x1, y1, x2, y2] where the face was first looked for
      score              the detector's confidence in the box, 0 to 1; null where none gave it. It
                         says nothing of the fit
      fit_confidence     0 to 1: estimated probability that the landmarks' NME is under 10 %; null
                         where nothing was estimated. Below 0.3 do not trust the fit
      roi_box            [x1, y1, x2, y2] of the crop that the coefficients belong to; there its
                         side is `size` pixels (2DASL: 120)
      turn_degrees       the network saw that crop with the photograph turned counterclockwise by so
                         much about its middle; all numbers here are of the photograph as it is
      coefficients       camera 12, then the method's code (2DASL: shape 40, expression 10); raw, of
                         that crop. The first 12, row by row, are the 3 x 4 matrix [A | t] that
                         takes a point of the model to crop pixels: (x, y, z) = A·point + t, y up,
                         y_crop = size + 1 - y
      landmarks_2d       [68][2] iBUG-68, image pixels
      landmarks_3d       [68][3] the same in the image frame
      head_pose_degrees  {pitch, yaw, roll}, signs of 300W-LP's Pose_Para
      camera             {scale, rotation [3][3], translation [3]}: the nearest similarity to that
                         matrix, scale·rotation for A; equal to it only where A is one
      depth_far_px       z of the face's farthest vertex; null without the output depth
      files              output -> names of the files of this face alone
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity, short_identity
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.maps import DepthScale

SCHEMA = "twodasl_jax.prediction"
VERSION = 2

Files = Mapping[str, Sequence[str]]
"""Output -> names of its files."""


def prediction_record(
    faces: Sequence[Reconstruction],
    face_model: FaceModel,
    *,
    width: int,
    height: int,
    files: Files,
    face_files: Sequence[Files],
    depth: DepthScale | None = None,
) -> dict[str, Any]:
    """One photograph as plain lists, numbers and strings: the schema at the head of this module.

    Args:
      faces: of the photograph.
      face_model: they belong to.
      width: of the photograph.
      height: of the photograph.
      files: that show all faces.
      face_files: for each face, those of its own.
      depth: scale of the depth picture, where one was written.
    """
    far = (None,) * len(faces) if depth is None else depth.far_px
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "image": {"width": width, "height": height},
        "face_model": {
            "name": face_model.name,
            "crc32": face_model_crc(face_model),
            "identity": short_identity(face_model_identity(face_model)),
            "num_vertices": face_model.num_vertices,
        },
        "files": _listed(files),
        "depth": None if depth is None else {"background": 0, "step_px": depth.step_px},
        "faces": [
            {**_face_record(face), "depth_far_px": far_px, "files": _listed(own)}
            for face, far_px, own in zip(faces, far, face_files, strict=True)
        ],
    }


def prediction_json(record: Mapping[str, Any]) -> bytes:
    """A record as the text of a file."""
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    # A file's name that is no UTF-8 becomes an escape, which JSON has too.
    return (text + "\n").encode(errors="backslashreplace")


def _face_record(face: Reconstruction) -> dict[str, Any]:
    pose, camera = face.head_pose, face.camera
    return {
        "box": _numbers(face.box),
        "score": face.score,
        "fit_confidence": _rounded(face.fit_confidence),
        "roi_box": _numbers(face.roi_box),
        "turn_degrees": round(face.turn_degrees, 2),
        "coefficients": _numbers(face.coefficients),
        "landmarks_2d": _numbers(face.landmarks_px),
        "landmarks_3d": _numbers(face.landmarks),
        "head_pose_degrees": {"pitch": pose.pitch, "yaw": pose.yaw, "roll": pose.roll},
        "camera": {
            "scale": _numbers(np.asarray(camera.scale)),
            "rotation": _numbers(np.asarray(camera.rotation)),
            "translation": _numbers(np.asarray(camera.translation)),
        },
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _numbers(values: np.ndarray) -> Any:
    """A float32 array as lists of the shortest decimals that read back as the same float32."""
    return np.asarray(values, np.float32).astype(str).astype(np.float64).tolist()


def _listed(files: Files) -> dict[str, list[str]]:
    return {output: list(names) for output, names in files.items()}
