"""What the TFDS builders of ``tfds_builders/`` share: order, bounded memory, skipped faces.

TFDS's usual builder sorts all examples of a split before it writes them: in memory up to 1 GB,
beyond that in files for which it imports TensorFlow, and with a fixed order all in one of them.
A builder by shards writes as it reads: the order is the faces' own, and a shard is all that is in
memory.

Reading (decoding, cutting, encoding: nine tenths of the work) is done by several processes where a
data set is large enough; this one serialises and writes.
"""

import abc
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils.py_utils import add_sys_path

from twodasl_jax.data.original.files import encode_crop
from twodasl_jax.data.original.incomplete import LACKING, IncompleteFaces
from twodasl_jax.data.original.reading import (
    Readers,
    SkippedFaces,
    num_processes,
    read_in_order,
    start_readers,
)

FACES_PER_SHARD = 4096
"""About 50 MB of crops; TFDS holds a shard's examples until it is written."""

NAME = "name of the face"
"""Key of a read example beside its features, none of which is called so."""

SKIPPED_FILE = "skipped.csv"
"""In the prepared folder: the faces that were left out, and why."""


class FaceBuilder(tfds.core.ShardBasedBuilder, abc.ABC, skip_registration=True):
    """A data set of faces in their original files, one example per face, in a fixed order.

    A subclass names its features and reads its files with `twodasl_jax.data.original`.
    """

    VERSION = tfds.core.Version("1.0.0")

    CROP_ENCODING = "jpeg"
    """Of the feature ``image``: ``jpeg`` for training sets, ``png`` (lossless) for test sets."""

    faces: Mapping[str, Sequence[Any]] | None = None
    """What `find_faces` gave, for a caller that looked already; else it is called."""

    on_face: Callable[[], None] = staticmethod(lambda: None)
    """Called after every face that was written, for a progress bar."""

    skipped = SkippedFaces(0)
    """The faces that could not be read; filled while the data set is built."""

    incomplete = IncompleteFaces()
    """The faces that are kept and lack a field; filled while the data set is built."""

    _readers: Readers

    @staticmethod
    @abc.abstractmethod
    def find_faces(manual_dir: Path) -> Mapping[str, Sequence[Any]]:
        """Checks the folder's layout and lists its faces per split.

        Raises:
          FileNotFoundError, ValueError: naming the first thing that is missing or wrong.
        """

    @staticmethod
    @abc.abstractmethod
    def read_face(face: Any) -> dict[str, Any]:
        """Reads one face: its features and more, ``image`` as a ``(120, 120, 3)`` RGB array.

        Under `LACKING`, where it is there, the fields that the face's files lack.

        Raises:
          ValueError, OSError: where the face cannot be read; it is skipped.
        """

    def _download_and_prepare(self, dl_manager: Any, *args: Any, **kwargs: Any) -> None:
        self.faces = self.faces or self.find_faces(Path(dl_manager.manual_dir))
        num_faces = sum(len(faces) for faces in self.faces.values())
        self.skipped, self.incomplete = SkippedFaces(num_faces), IncompleteFaces()
        # Processes get this one's search path; `tfds build` has this builder's folder in it only
        # while it imports the builder.
        module = type(self).__module__
        root = Path(inspect.getfile(type(self))).parents[module.count(".")]
        readers = start_readers(num_processes(num_faces))
        with add_sys_path(root), readers as self._readers:
            super()._download_and_prepare(dl_manager, *args, **kwargs)
        # Into the unfinished folder, which TFDS renames when all is written.
        self.skipped.write_csv(Path(self.data_path) / SKIPPED_FILE)

    def _shard_iterators_per_split(
        self, dl_manager: Any
    ) -> dict[str, list[Callable[[], Iterator[tuple[int, dict[str, Any]]]]]]:
        assert self.faces is not None, "_download_and_prepare looks for them first"
        # Once: asking a builder for its features costs as much as reading a `.mat`.
        features: Any = self.info.features
        # TFDS refuses a number of another precision; texts and pictures are not its arrays.
        dtypes = {
            name: feature.np_dtype
            if type(feature) in (tfds.features.Tensor, tfds.features.Scalar)
            else None
            for name, feature in features.items()
        }
        read = functools.partial(
            _encoded_example, read_face=self.read_face, encoding=self.CROP_ENCODING, dtypes=dtypes
        )
        return {
            split: [
                functools.partial(self._examples, faces, start, read)
                for start in range(0, len(faces), FACES_PER_SHARD)
            ]
            for split, faces in self.faces.items()
        }

    def _examples(
        self, faces: Sequence[Any], start: int, read: Callable[[Any], dict[str, Any]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """One shard's examples; their keys are places in the list of faces."""
        shard = faces[start : start + FACES_PER_SHARD]
        examples = read_in_order(shard, read, self.skipped, self._readers)
        for key, example in enumerate(examples, start=start):
            self.incomplete.add(example.pop(NAME), example.pop(LACKING))
            self.on_face()
            yield key, example


def _encoded_example(
    face: Any,
    *,
    read_face: Callable[[Any], dict[str, Any]],
    encoding: str,
    dtypes: Mapping[str, np.dtype | None],
) -> dict[str, Any]:
    """Reads one face, in another process perhaps; of its fields, those of `dtypes`.

    Beside them `NAME` and `LACKING`, which are no features.
    """
    example = read_face(face)
    # As encoded bytes: TFDS would encode an array with TensorFlow.
    example["image"] = encode_crop(example["image"], encoding)
    features = {
        name: example[name] if dtype is None else np.asarray(example[name], dtype)
        for name, dtype in dtypes.items()
    }
    return features | {NAME: face.file_name, LACKING: example.get(LACKING, {})}


def array_feature(*shape: int, doc: str) -> tfds.features.Tensor:
    """A float32 feature of a fixed shape."""
    return tfds.features.Tensor(shape=shape, dtype=np.float32, doc=doc)
