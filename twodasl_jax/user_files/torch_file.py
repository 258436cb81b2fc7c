"""Files of ``torch.save``, read without torch and without running anything that they say.

Such a file is a pickle beside the bytes of its storages, and a pickle can run any code. What is
admitted here is what a state dict needs: containers, numbers, texts, and tensors, which become
numpy arrays. Two layouts are read: the zip archive that PyTorch has written since 1.6 (a member
``data.pkl``, and one member per storage), and the file before that (five pickles, then the
storages one after another).
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.user_files.opening import kind_of, read_bytes

LARGEST_TORCH_BYTES = 2**31
"""A ResNet-50 takes 0.1 GB; with encoder, critic and two optimizers' states not 1 GB."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
"""What the file before the zip archive begins with."""

_DTYPES: Mapping[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<b1",
}
"""Class in the module ``torch`` -> its elements; bfloat16 is the upper half of a float32."""


class _Name:
    """Stands for a class or function of torch; holds no state, so that a pickle can change none."""

    __slots__ = ()


class _StorageType(_Name):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage(NamedTuple):
    """Elements of one kind that tensors are views of.

    Attributes:
      kind: key of `_DTYPES`.
      key: under which the file keeps its bytes.
      num_elements: how many.
    """

    kind: str
    key: str
    num_elements: int


class _Tensor(NamedTuple):
    """A tensor before the bytes of its storage are there; element numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor(_Name):
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(type(n) is int for n in numbers):
            raise ValueError("it describes a tensor in no way that torch does")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _RebuildParameter(_Name):
    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> Any:
        return tensor


def read_torch_file(path: str | Path, *, expected: str) -> Any:
    """What ``torch.save`` wrote, with tensors as numpy arrays; bfloat16 as float32.

    Args:
      path: the file; its bytes decide what it is, not its name.
      expected: a clause, ``expected …``, for messages.

    Returns:
      Dictionaries, lists, tuples, numbers, texts and arrays, nested as they were saved.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `opening.open_file`.
      ValueError: where it is no such file, is damaged, too large, or holds anything else.
    """
    content = read_bytes(path, expected=expected, at_most=LARGEST_TORCH_BYTES)
    try:
        read = _read_archive if content.startswith(b"PK") else _read_before_archives
        return read(content)
    except Exception as error:  # an unpickler calls what the bytes say: it raises anything
        reason = str(error).split("\n")[0] or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as a file of torch.save ({reason[:300]}); {expected}"
        ) from error


def _read_archive(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if len(members) != len(archive.infolist()):
            raise ValueError("it names a member more than once")
        packed = [m.filename for m in members.values() if m.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"its member {packed[0]} is compressed, as torch never does")
        pickles = [name for name in members if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise ValueError("it is a zip archive without the one data.pkl that torch writes")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in members else b"little"
        if order != b"little":
            raise ValueError("its numbers are not little-endian")
        tree, _ = _unpickled(archive.read(pickles[0]), 0)
        return _resolved(tree, lambda storage: archive.read(f"{folder}data/{storage.key}"))


def _read_before_archives(content: bytes) -> Any:
    if content[:2] != b"\x80\x02":
        raise ValueError(f"it is {kind_of(content[:512])}")
    magic, position = _unpickled(content, 0)
    if magic != _MAGIC:
        raise ValueError("it is a pickle that torch did not write")
    protocol, position = _unpickled(content, position)
    system, position = _unpickled(content, position)
    if protocol != _PROTOCOL or not isinstance(system, dict) or not system.get("little_endian"):
        raise ValueError("it is of another protocol, or not little-endian")
    tree, position = _unpickled(content, position)
    keys, position = _unpickled(content, position)
    storages = _storages_of(tree)
    where: dict[str, bytes] = {}
    for key in keys:
        if key not in storages:
            raise ValueError(f"it lists a storage {key!r} that no tensor is a view of")
        count = int.from_bytes(content[position : position + 8], "little", signed=True)
        announced = storages[key].num_elements
        if count != announced:
            raise ValueError(f"a storage has {count:,} elements, announced {announced:,}")
        size = count * _dtype(storages[key]).itemsize
        where[key] = content[position + 8 : position + 8 + size]
        position += 8 + size
    return _resolved(tree, lambda storage: where[storage.key])


def _unpickled(content: bytes, start: int) -> tuple[Any, int]:
    """The object that is pickled from `start` on, and where its pickle ends."""
    stream = io.BytesIO(content)
    stream.seek(start)
    for operation, argument, _ in pickletools.genops(stream):
        # Room is made for all numbers of remembered objects below.
        number = argument if isinstance(argument, int | str) else 0
        if operation.name.endswith("PUT") and int(number) > len(content):
            raise ValueError(f"it remembers an object under the number {argument}")
    end = stream.tell()
    return _StateUnpickler(io.BytesIO(content[start:end])).load(), end


class _StateUnpickler(pickle.Unpickler):
    """Unpickles state dicts and nothing else."""

    def __init__(self, stream: io.BytesIO) -> None:
        # latin1: files that Python 2 wrote keep their texts in byte strings.
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _StorageType(name)
        if (module, name) in {("torch._utils", f"_rebuild_tensor{v}") for v in ("", "_v2")}:
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        if (module, name) == ("torch", "Size"):
            return tuple
        raise ValueError(
            f"it asks for {module}.{name}, and a state dict has tensors, dictionaries, numbers and "
            "texts only; save that alone, torch.save(network.state_dict(), FILE)"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        word, kind, key, _, count, *view = pid
        if word != "storage" or not isinstance(kind, _StorageType) or view not in ([], [None]):
            raise ValueError("it refers to storages in no way that torch does")
        if type(count) is not int or count < 0 or not isinstance(key, str):
            raise ValueError(f"it has a storage of {count} elements")
        return _Storage(kind.name, key, count)


def _storages_of(tree: Any) -> dict[str, _Storage]:
    found: dict[str, _Storage] = {}

    def note(tensor: _Tensor) -> None:
        if found.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise ValueError(f"its storage {tensor.storage.key!r} is of two kinds")

    _mapped(tree, note)
    return found


def _resolved(tree: Any, bytes_of: Callable[[_Storage], bytes]) -> Any:
    """The tree with arrays in place of tensors."""
    read: dict[_Storage, np.ndarray] = {}

    def array_of(tensor: _Tensor) -> np.ndarray:
        storage = tensor.storage
        if storage not in read:
            content, dtype = bytes_of(storage), _dtype(storage)
            wanted = storage.num_elements * dtype.itemsize
            if len(content) != wanted:
                raise ValueError(
                    f"it is cut short: of a storage {len(content):,} of {wanted:,} bytes are there"
                )
            read[storage] = np.frombuffer(content, dtype)
        return _view(read[storage], tensor)

    return _mapped(tree, array_of)


def _view(elements: np.ndarray, tensor: _Tensor) -> np.ndarray:
    shape, strides, offset = tensor.shape, tensor.strides, tensor.offset
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    count = math.prod(shape)
    # A view may not repeat elements: of a few it could make any number.
    if min((*shape, *strides, offset), default=0) < 0 or count > len(elements):
        raise ValueError(f"it has a tensor {shape} over {len(elements):,} elements")
    if count and offset + last >= len(elements):
        raise ValueError(f"it has a tensor {shape} that reaches beyond its storage")
    steps = [step * elements.itemsize for step in strides]
    viewed = np.lib.stride_tricks.as_strided(
        elements[offset:] if count else elements[:0], shape, steps
    )
    if tensor.storage.kind == "BFloat16Storage":
        return (viewed.astype(np.uint32) << 16).view(np.float32)
    return viewed.astype(viewed.dtype.newbyteorder("="))


def _mapped(tree: Any, change: Callable[[_Tensor], Any]) -> Any:
    if isinstance(tree, _Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, change) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(_mapped(value, change) for value in tree)
    return tree


def _dtype(storage: _Storage) -> np.dtype:
    return np.dtype(_DTYPES[storage.kind])
