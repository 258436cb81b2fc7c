"""The files of a prepared TFDS data set, opened and read; damaged ones are named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twodasl_jax.user_files.json_file import read_json

AGAIN = "copy the data set again, or prepare it again: python run.py --mode=prepare"
_DESCRIPTIONS = ("dataset_info.json", "features.json")


def open_prepared(folder: Path) -> Any:
    """TFDS's builder of a prepared version folder.

    Raises:
      FileNotFoundError: where one of its descriptions is absent.
      ValueError: where one is damaged.
    """
    import tensorflow_datasets as tfds  # two seconds, and only prepared data sets need it

    for name in _DESCRIPTIONS:
        read_json(folder / name, expected=f"expected a description by TFDS: {AGAIN}")
    try:
        return tfds.builder_from_directory(str(folder))
    except Exception as error:  # TFDS and protobuf have errors of their own
        raise ValueError(
            f"{folder} is no readable data set of TFDS ({_first_line(error)}); {AGAIN}"
        ) from error


class PreparedRecords:
    """Random access to the records of a split; a damaged file is told with its folder."""

    def __init__(
        self, builder: Any, split: str, *, decoders: Mapping[str, Any] | None = None
    ) -> None:
        """Opens the records.

        Args:
          builder: of `open_prepared`.
          split: of the data set; sums and parts are splits.
          decoders: as TFDS's ``as_data_source`` takes them.

        Raises:
          ValueError: where the files of the split cannot be opened.
        """
        self._folder, self._split = builder.data_path, split
        try:
            self._data: Any = builder.as_data_source(split, decoders=decoders)
            self._length = len(self._data)
        except Exception as error:  # array_record's are RuntimeErrors without the file's name
            raise ValueError(self._told("cannot be opened", error)) from error

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        """The record's fields.

        Raises:
          ValueError: where it cannot be read.
        """
        try:
            return self._data[index]
        except AttributeError:  # OpenCV gave no picture: whoever reads on knows its name
            raise
        except Exception as error:  # as above
            raise ValueError(self._told(f"record {index} cannot be read", error)) from error

    def _told(self, what: str, error: Exception) -> str:
        return f"{self._folder}, split '{self._split}': {what} ({_first_line(error)}); {AGAIN}"


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
