"""Every reader of a user's file against every kind of damage: one sentence with the file's name."""

import dataclasses
import json
import os
import pickle
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import scipy.io

from configs import quickstart
from twodasl_jax.data.crop_files import read_crop_annotations
from twodasl_jax.data.fitted_source import FittedSource
from twodasl_jax.data.labelled_faces import read_labelled_faces
from twodasl_jax.data.original.aflw2000_3d_lists import find_lists
from twodasl_jax.data.original.files import read_mat
from twodasl_jax.data.original.umdfaces_table import read_table
from twodasl_jax.data.prepared_files import open_prepared
from twodasl_jax.data.sources import is_rendered_with
from twodasl_jax.evaluation.benchmark_layouts import _skipped
from twodasl_jax.evaluation.network_input import read_detections
from twodasl_jax.evaluation.result_files import read_benchmark_results, read_per_image
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores.benchmark_checks import read_landmark_vertices
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.face_model.import_basel import load_landmark_vertices, read_expression_file
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.whitening_file import read_whitening
from twodasl_jax.pretrained.network_file import (
    NetworkFile,
    read_network_file,
    write_network_file,
)
from twodasl_jax.training.writers import read_metrics
from twodasl_jax.user_files.array_pickle import load_array_pickle
from twodasl_jax.user_files.arrays import read_npy, read_npz
from twodasl_jax.user_files.json_file import read_json
from twodasl_jax.user_files.mat_file import read_variables
from twodasl_jax.user_files.picture import decode_picture, read_picture_bytes
from twodasl_jax.user_files.record_file import RecordFile
from twodasl_jax.user_files.table_file import read_rows
from twodasl_jax.user_files.tar_file import read_members
from twodasl_jax.user_files.torch_file import read_torch_file

NAMES = np.array(["a.jpg", "b.jpg"])
EXPECTED = "expected something else"
TORCH = Path(__file__).parents[1] / "interop"
"""Where files lie that PyTorch wrote."""


class Reader(NamedTuple):
    """One reader.

    Attributes:
      name: of the file, relative to a folder.
      write: makes a good one.
      read: reads it, given its path.
      tells_cuts: whether a file cut anywhere is no file of the kind any more. Of text tables a
        part is a smaller table.
    """

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    tells_cuts: bool = True


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez_compressed(path, **arrays)


def text(content: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(content)


def as_json(value: Any) -> Callable[[Path], Any]:
    return text(json.dumps(value, indent=1))


def picture(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


def archive(path: Path) -> None:
    (path.parent / "a.jpg").write_bytes(b"x" * 700)
    with tarfile.open(path, "w") as file:
        file.add(path.parent / "a.jpg", "a.jpg")


def photographs(path: Path) -> None:
    npz(file_name=NAMES, landmarks68_px=np.random.default_rng(0).uniform(5, 30, (2, 68, 2)))(path)
    for name in NAMES:
        picture(path.parent / name)


def prepared(path: Path) -> None:
    path.write_text("{}")
    (path.parent / "features.json").write_text("{}")


def network(path: Path) -> None:
    filled = {str: "x", int: 1}
    fields = {
        field.name: filled.get(field.type, {"x": 1}) for field in dataclasses.fields(NetworkFile)
    }
    kernel = np.random.default_rng(0).normal(size=(9, 9)).astype(np.float32)
    groups = {"params": {"net": {"kernel": kernel}}, "batch_stats": {}, "arrays": {"mean": POINTS}}
    write_network_file(path, NetworkFile(**fields | groups))


POINTS = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
SUMMARY = {"landmarks68_2d": {"original": {"count": 2, "mean_of_bins": 3.0}}}
RESULT = {"benchmark": "aflw2000_3d", "conventions": {}, "num_images": 2, "left_out": []}
UMD = "FILE,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT," + ",".join(
    f"P{i}X,P{i}Y,VIS{i}" for i in range(1, 22)
)

READERS = {
    "npz": Reader("x.npz", npz(a=POINTS), lambda p: read_npz(p, expected=EXPECTED)),
    "npy": Reader("x.npy", lambda p: np.save(p, POINTS), lambda p: read_npy(p, expected=EXPECTED)),
    "records": Reader(
        "image.npy", lambda p: np.save(p, POINTS), lambda p: RecordFile(p, expected=EXPECTED)
    ),
    "json": Reader("x.json", as_json({"a": 1}), lambda p: read_json(p, expected=EXPECTED)),
    "mat": Reader(
        "x.mat",
        lambda p: scipy.io.savemat(p, {"a": POINTS[0]}, do_compression=True),
        lambda p: read_variables(p, ["a"], expected=EXPECTED),
    ),
    "mat 4": Reader(
        "x.mat",
        lambda p: scipy.io.savemat(p, {"a": POINTS[0]}, format="4"),
        lambda p: read_variables(p, ["a"], expected=EXPECTED),
    ),
    "csv": Reader("x.csv", text("a,b\n1,2\n"), lambda p: read_rows(p, expected=EXPECTED), False),
    "picture": Reader("x.jpg", picture, lambda p: decode_picture(read_picture_bytes(p), str(p))),
    "tar": Reader(
        "crops.tar",
        archive,
        lambda p: read_members(p, ["a.jpg"], largest=10**4, expected=EXPECTED),
        False,  # the padding at its end holds nothing
    ),
    "annotations of a .mat": Reader(
        "a.mat",
        lambda p: scipy.io.savemat(p, {"Pose_Para": np.ones((1, 7))}),
        lambda p: read_mat(p, {"Pose_Para": (7,)}),
    ),
    "crop annotations": Reader(
        "annotations.npz",
        npz(file_name=NAMES, landmarks21_crop_px=np.zeros((2, 21, 2))),
        read_crop_annotations,
    ),
    "landmark file": Reader(
        "labels.npz", photographs, lambda p: read_labelled_faces(p.parent, p)
    ),
    "detections": Reader(
        "detections.npz",
        npz(file_name=NAMES, detected_landmarks_px=POINTS),
        lambda p: read_detections(p, tuple(NAMES), np.tile([0.0, 0, 120, 120], (2, 1))),
    ),
    "AFLW2000-3D's archive": Reader(
        "annotations.npz", npz(file_name=NAMES), lambda p: find_lists(p.parent, list(NAMES))
    ),
    "AFLW2000-3D's boxes": Reader(
        "AFLW2000-3D_crop.roi_box.npy",
        lambda p: np.save(p, np.tile([0.0, 0, 9, 9], (2, 1))),
        lambda p: find_lists(p.parent, list(NAMES)),
    ),
    "index table": Reader(
        "table.npy", lambda p: np.save(p, np.arange(34)), read_landmark_vertices
    ),
    "landmark vertices": Reader(
        "landmarks.txt", text(" ".join(map(str, range(68)))), load_landmark_vertices, False
    ),
    "landmark vertices, npy": Reader(
        "landmarks.npy", lambda p: np.save(p, np.arange(68)), load_landmark_vertices
    ),
    "whitening": Reader(
        "param_whitening.pkl",
        lambda p: p.write_bytes(pickle.dumps({"param_mean": np.zeros(62)}, protocol=2)),
        load_array_pickle,
    ),
    "whitening of a network": Reader(
        "statistics.pkl",
        lambda p: p.write_bytes(
            pickle.dumps({"mean": np.zeros(62), "std": np.ones(62)}, protocol=2)
        ),
        read_whitening,
    ),
    "whitening of a network, npz": Reader(
        "statistics.npz", npz(mean=np.zeros(62), std=np.ones(62)), read_whitening
    ),
    "weights of PyTorch": Reader(
        "x.pth",
        lambda p: p.write_bytes((TORCH / "zip.pth").read_bytes()),
        lambda p: read_torch_file(p, expected=EXPECTED),
    ),
    "weights of PyTorch before 1.6": Reader(
        "x.pth",
        lambda p: p.write_bytes((TORCH / "legacy.pth").read_bytes()),
        lambda p: read_torch_file(p, expected=EXPECTED),
    ),
    "expression basis": Reader(
        "Exp_Pca.bin",
        lambda p: p.write_bytes(np.int32(12).tobytes() + bytes(4 * 13 * 3 * 7)),
        read_expression_file,
    ),
    "face model": Reader("face.npz", npz(mean=np.zeros((3, 4))), face_model_from_file),
    "network": Reader("net.npz", network, read_network_file),
    "settings of fits": Reader(
        "annotation.json",
        as_json({"face_model_crc": 1, "face_model": "mine"}),
        lambda p: FittedSource(p.parent, face_model_crc=1),
    ),
    "rendered set's settings": Reader(
        "settings.json", as_json({"seed": 1}), lambda p: is_rendered_with(p.parent, {"seed": 1})
    ),
    "prepared set": Reader("dataset_info.json", prepared, lambda p: open_prepared(p.parent)),
    "skipped faces": Reader(
        "skipped.csv", text("file_name,reason\na,b\n"), lambda p: _skipped(p.parent), False
    ),
    "UMDFaces' table": Reader("u.csv", text(f"{UMD}\na.jpg{',1' * 67}\n"), read_table, False),
    "a benchmark's results": Reader(
        "results.json", as_json({**RESULT, "metrics": SUMMARY}), read_benchmark_results
    ),
    "errors per image": Reader(
        "per_image.csv", text("file_name,a_percent\nx.jpg,1.0\n"), read_per_image, False
    ),
    "a run's config": Reader(
        "config.json",
        as_json(plain(quickstart.get_config())),
        lambda p: Workdir(p.parent).read_config(),
    ),
    "a run's results": Reader(
        "results.json",
        as_json({"evaluations": {}, "stages": {}}),
        lambda p: Workdir(p.parent).read_results(),
    ),
    "a run's metrics": Reader(
        "metrics.csv", text("step,name,value\n1,loss,2.0\n2,loss,1.0\n"),
        lambda p: read_metrics(p.parent), False,
    ),
}  # fmt: skip

NOT_GOOD_ALONE = {
    *("face model", "prepared set", "AFLW2000-3D with annotations", "settings of fits"),
}
"""Refused even whole, here: what they need beside a readable file is tested elsewhere."""

MAY_BE_EMPTY = {"a run's metrics"}
"""A log that was opened and never written to."""

FOREIGN = {
    "nothing": b"",
    "random bytes": np.random.default_rng(1).bytes(3000),
    "zeros": bytes(2000),
    "a web page": b"<!DOCTYPE html><html><body>404 Not Found: \xc3\xbc</body></html>" * 20,
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "MATLAB 7.3": b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(600),
    "a zip": b"PK\x03\x04" + bytes(300),
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "a gzip": b"\x1f\x8b\x08\x00" + bytes(300),
    "a pickle": pickle.dumps([np.zeros(3)] * 4, protocol=4),
    "an array": b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8'".ljust(118),
    "Latin-1": "höchst,übel\n".encode("latin-1") * 50,
    "UTF-16": "a,b\n1,2\n".encode("utf-16") * 50,
}


def refusal(reader: Reader, path: Path) -> str | None:
    """The sentence that refuses the file; None where it is read."""
    try:
        reader.read(path)
    except (ValueError, OSError) as error:
        message = str(error)
    else:
        return None
    assert "\n" not in message, message
    assert len(message) < 900, message
    assert not re.search(r"\[Errno|Traceback|NoneType", message), message
    return message


def named_alike(message: str, reader: Reader, path: Path) -> bool:
    # What is read of a folder names the folder.
    return path.name in message or (reader.name in message and str(path.parent) in message)


every_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())


@pytest.fixture
def path(reader, tmp_path):
    path = tmp_path / reader.name
    reader.write(path)
    return path


@every_reader
def test_a_good_file_is_read(reader, path):
    good = next(name for name, each in READERS.items() if each is reader) not in NOT_GOOD_ALONE
    assert (refusal(reader, path) is None) == good


@every_reader
def test_other_kinds_of_files_are_refused_by_name(reader, path):
    name = next(name for name, each in READERS.items() if each is reader)
    for kind, content in FOREIGN.items():
        path.write_bytes(content)
        message = refusal(reader, path)
        # A few bytes may be a small table, or lines of no meaning at the end of a log.
        if message is None:
            harmless = name == "csv" and kind in ("a Git LFS pointer", "a web page")
            harmless |= name in MAY_BE_EMPTY and kind == "nothing"
            harmless |= kind == "an empty zip" and name == "npz"
            harmless |= name == "tar" and kind == "zeros"  # so an archive ends
            harmless |= name == "whitening" and kind == "a pickle"
            assert harmless, f"{name} took {kind}"
        else:
            assert named_alike(message, reader, path), (kind, message)


@every_reader
def test_a_file_cut_anywhere_is_refused_by_name(reader, path):
    content = path.read_bytes()
    last = len(content.rstrip()) - 1
    lengths = {1, 2, 5, 9, *np.linspace(1, last, 12).astype(int).tolist()}
    for length in sorted(length for length in lengths if length <= last):
        path.write_bytes(content[:length])
        message = refusal(reader, path)
        assert message is not None or not reader.tells_cuts, f"taken with {length} bytes"
        assert message is None or named_alike(message, reader, path), message


@every_reader
def test_flipped_bytes_never_end_in_another_kind_of_error(reader, path):
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(25):
        damaged = bytearray(content)
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        refusal(reader, path)


@every_reader
def test_what_is_no_ordinary_file_is_refused_at_once(reader, path):
    path.unlink()
    message = refusal(reader, path)
    assert message is None or named_alike(message, reader, path), message
    os.mkfifo(path)  # reading it would wait for ever
    message = refusal(reader, path)
    assert message is not None, "a named pipe was taken"
    assert named_alike(message, reader, path), message
    path.unlink()
    path.mkdir()
    message = refusal(reader, path)
    assert message is not None, "a folder was taken"
    assert path.name in message, message


@every_reader
def test_a_file_without_permission_is_refused_by_name(reader, path, monkeypatch):
    def refuse(self, *_arguments, **_options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read all
    message = refusal(reader, path)
    assert message is not None
    assert path.name in message, message
    assert "permission" in message, message
