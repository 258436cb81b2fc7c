"""The JSON follows the schema that its module documents."""

import dataclasses
import json

import chex
import numpy as np

from twodasl_jax.face_model.model import face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity, short_identity
from twodasl_jax.predict.files import prediction_json as module
from twodasl_jax.predict.files.prediction_json import prediction_json, prediction_record
from twodasl_jax.predict.pictures.maps import DepthScale

NUMBER = float
FILES = {str: [str]}
FACE = {
    "box": [NUMBER] * 4,
    "score": (NUMBER, type(None)),
    "fit_confidence": (NUMBER, type(None)),
    "turn_degrees": NUMBER,
    "roi_box": [NUMBER] * 4,
    "coefficients": [NUMBER] * 62,
    "landmarks_2d": [[NUMBER] * 2] * 68,
    "landmarks_3d": [[NUMBER] * 3] * 68,
    "head_pose_degrees": {"pitch": NUMBER, "yaw": NUMBER, "roll": NUMBER},
    "camera": {"scale": NUMBER, "rotation": [[NUMBER] * 3] * 3, "translation": [NUMBER] * 3},
    "depth_far_px": (NUMBER, type(None)),
    "files": FILES,
}
SCHEMA = {
    "schema": str,
    "version": int,
    "image": {"width": int, "height": int},
    "face_model": {"name": str, "crc32": int, "identity": str, "num_vertices": int},
    "files": FILES,
    "depth": ({"background": int, "step_px": NUMBER}, type(None)),
    "faces": list,
}


def check(value, wanted, place="record"):
    """Every key is there, none besides, and every value is of its type and length."""
    if wanted is FILES:
        for output, names in value.items():
            assert isinstance(output, str), place
            assert all(isinstance(name, str) for name in names), place
    elif isinstance(wanted, dict):
        assert set(value) == set(wanted), place
        for key, inner in wanted.items():
            check(value[key], inner, f"{place}.{key}")
    elif isinstance(wanted, list):
        assert len(value) == len(wanted), place
        for inner, kind in zip(value, wanted, strict=True):
            check(inner, kind, place)
    elif isinstance(wanted, tuple):
        check(value, wanted[1 if value is None else 0], place)
    else:
        assert isinstance(value, wanted), f"{place} is {value!r}"


def made(frontal, dome_face, **changes):
    given = {
        "width": 200,
        "height": 160,
        "files": {"depth": ["Größe 1_depth.png"]},
        "face_files": [{"mesh": ["a_0.glb", "a_0.obj"]}, {"mesh": ["a_1.glb"]}],
        "depth": DepthScale(0.25, (-3.0, 2.0)),
    }
    faces = [
        dataclasses.replace(frontal, score=0.75, fit_confidence=0.5, turn_degrees=90.0),
        frontal,
    ]
    return prediction_record(faces, dome_face, **(given | changes))


def test_a_record_follows_the_schema(frontal, dome_face):
    text = prediction_json(made(frontal, dome_face))
    assert text.endswith(b"}\n")
    record = json.loads(text)
    check(record, SCHEMA)
    for face in record["faces"]:
        check(face, FACE)
    assert (record["schema"], record["version"]) == ("twodasl_jax.prediction", 2)
    assert record["face_model"]["crc32"] == face_model_crc(dome_face)
    own = face_model_identity(dome_face)
    assert record["face_model"]["identity"] == short_identity(own)
    assert record["files"] == {"depth": ["Größe 1_depth.png"]}
    assert record["depth"] == {"background": 0, "step_px": 0.25}
    assert [face["depth_far_px"] for face in record["faces"]] == [-3.0, 2.0]
    assert [face["score"] for face in record["faces"]] == [0.75, None]


def test_the_schema_in_words_names_every_key():
    words = module.__doc__ or ""
    assert all(f"\n    {key} " in words for key in SCHEMA)
    assert all(f"\n      {key} " in words for key in FACE)


def test_without_a_depth_picture_there_is_no_scale(frontal, dome_face):
    record = made(frontal, dome_face, depth=None)
    assert record["depth"] is None
    assert all(face["depth_far_px"] is None for face in record["faces"])


def test_numbers_read_back_as_the_same_float32(frontal, dome_face):
    face = json.loads(prediction_json(made(frontal, dome_face)))["faces"][0]
    for key, array in (
        ("coefficients", frontal.coefficients),
        ("landmarks_3d", frontal.landmarks),
        ("landmarks_2d", frontal.landmarks_px),
        ("roi_box", frontal.roi_box),
    ):
        chex.assert_trees_all_equal(np.array(face[key], np.float32), np.asarray(array, np.float32))
    chex.assert_trees_all_equal(
        np.array(face["camera"]["rotation"], np.float32), np.asarray(frontal.camera.rotation)
    )
    # Whole numbers of pixels stay short: no 40.0000001.
    assert face["roi_box"] == [40.0, 20.0, 160.0, 140.0]
