"""Files of torch.save are read without torch, and run nothing."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from twodasl_jax.user_files import torch_file
from twodasl_jax.user_files.torch_file import read_torch_file

WRITTEN = Path(__file__).parents[1] / "interop"
"""Where files lie that PyTorch itself wrote (`torch_peer.py`)."""


def read(path):
    return read_torch_file(path, expected="expected weights")


def write_archive(path, pickled, storages=(), **members):
    with zipfile.ZipFile(path, "w", members.pop("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("x/data.pkl", pickled)
        for key, content in dict(storages).items():
            archive.writestr(f"x/data/{key}", content)
        for name, content in members.items():
            archive.writestr(f"x/{name}", content)


class _Global:
    """Pickles as a bare name of torch, which is not here."""


def tensor_pickle(*, shape=(2, 3), strides=(3, 1), offset=0, elements=6, kind="FloatStorage"):
    """``{"a": tensor}`` as torch's zip archives have it, opcode by opcode."""

    class Pickler(pickle._Pickler):  # the one in Python: its opcodes can be written by hand
        def save(self, obj, *arguments, **options):
            if obj is not STAND_IN:
                return super().save(obj, *arguments, **options)
            self.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
            super().save("storage")
            self.write(f"ctorch\n{kind}\n".encode())
            for part in ("0", "cpu", elements):
                super().save(part)
            self.write(b"tQ")
            for part in (offset, shape, strides, False):
                super().save(part)
            self.write(b"ccollections\nOrderedDict\n)R")
            return self.write(b"tR")

    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump({"a": STAND_IN})
    return stream.getvalue()


STAND_IN = _Global()
NUMBERS = np.arange(6, dtype="<f4").tobytes()


@pytest.mark.parametrize("name", ["zip", "legacy"])
def test_what_pytorch_wrote_in_either_layout(name):
    saved = read(WRITTEN / f"{name}.pth")
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert (saved["epoch"], saved["lr"], saved["arch"]) == (3, 0.5, "x")
    assert saved["sizes"] == [(2, 3, 4)]
    state = saved["state_dict"]
    np.testing.assert_array_equal(state["module.view"], base[:, 1:].transpose(2, 1, 0))
    np.testing.assert_array_equal(state["module.shared"], base.ravel()[3:9])
    for kind, dtype in (("half", "f2"), ("double", "f8"), ("bfloat16", "f4")):
        np.testing.assert_array_equal(state[kind], base.astype(dtype), strict=True)
    np.testing.assert_array_equal(state["bool"], base > 5)
    np.testing.assert_array_equal(state["channels_last"], base.reshape(1, 2, 3, 4))
    np.testing.assert_array_equal(state["parameter"], base[0])
    assert state["empty"].shape == (0, 3)
    assert state["scalar"] == 2.5
    assert state["num_batches_tracked"].dtype == np.int64


def test_an_archive_written_by_hand(tmp_path):
    """So that those below are refused for what is wrong in them alone."""
    write_archive(tmp_path / "x.pth", tensor_pickle(), {"0": NUMBERS})
    np.testing.assert_array_equal(read(tmp_path / "x.pth")["a"], [[0, 1, 2], [3, 4, 5]])


class Dangerous:
    def __reduce__(self):
        return os.mkdir, ("must-not-be-made",)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, layout):
    monkeypatch.chdir(tmp_path)
    path, pickled = tmp_path / "x.pth", pickle.dumps({"a": Dangerous()}, protocol=2)
    if layout == "zip":
        write_archive(path, pickled)
    else:
        head = [pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001)]
        head.append(pickle.dumps({"little_endian": True}, protocol=2))
        path.write_bytes(b"".join([*head, pickled, pickle.dumps([], protocol=2)]))
    with pytest.raises(ValueError, match=r"asks for posix\.mkdir.*torch\.save\(network\.state_di"):
        read(path)
    assert not (tmp_path / "must-not-be-made").exists()


def test_a_pickle_cannot_change_what_reads_it(tmp_path):
    """BUILD sets attributes: of a function here it would change how the next file is read."""
    build = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00xK\x01sb."
    write_archive(tmp_path / "x.pth", build)
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "x.pth")
    assert not hasattr(torch_file._RebuildTensor(), "x")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shape": (2, 4), "strides": (4, 1)}, "over 6 elements"),
        ({"shape": (2, 3), "strides": (6, 1)}, "reaches beyond its storage"),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, "over 6 elements"),
        ({"offset": 1}, "reaches beyond its storage"),
        ({"offset": -1}, "over 6 elements"),
        ({"strides": (-3, 1)}, "over 6 elements"),
        ({"elements": 7}, "cut short: of a storage 24 of 28 bytes"),
        ({"elements": -1}, "a storage of -1 elements"),
        ({"kind": "QInt8Storage"}, r"asks for torch\.QInt8Storage"),
    ],
)
def test_tensors_that_are_not_what_their_storage_holds(tmp_path, wrong, told):
    write_archive(tmp_path / "x.pth", tensor_pickle(**wrong), {"0": NUMBERS})
    with pytest.raises(ValueError, match=rf"x\.pth cannot be read .*{told}.*; expected weights"):
        read(tmp_path / "x.pth")


def test_archives_of_other_kinds(tmp_path):
    path, whole = tmp_path / "x.pth", tensor_pickle()
    write_archive(path, whole, {"0": NUMBERS}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed, as torch never does"):
        read(path)
    write_archive(path, whole, {"0": NUMBERS}, byteorder="big")
    with pytest.raises(ValueError, match="not little-endian"):
        read(path)
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"without the one data\.pkl"):
        read(tmp_path / "x.npz")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    write_archive(tmp_path / "x.pth", tensor_pickle(), {"0": NUMBERS})
    monkeypatch.setattr(torch_file, "LARGEST_TORCH_BYTES", 100)
    with pytest.raises(ValueError, match="more than 100; expected weights"):
        read(tmp_path / "x.pth")


def test_a_plain_dictionary_is_no_file_of_torch(tmp_path):
    (tmp_path / "x.pth").write_bytes(pickle.dumps(OrderedDict(a=1), protocol=2))
    with pytest.raises(ValueError, match="a pickle that torch did not write"):
        read(tmp_path / "x.pth")
