"""Imports the Basel Face Model from the forms its owners and users keep it in.

::

    python -m twodasl_jax.face_model.import_bfm --source=FILE_OR_FOLDER --output=bfm.npz

BFM asks for registration and non-commercial use; nothing of it comes with this package. The
source is an interleaved ``.npz`` or the folder of 3DDFA files; `import_3ddfa` documents both.
"""

import argparse
from pathlib import Path

import numpy as np

from twodasl_jax.face_model.import_3ddfa import (
    arrays_from_3ddfa_folder,
    arrays_from_interleaved,
    is_interleaved,
)
from twodasl_jax.face_model.model import (
    FaceModel,
    face_model_from_arrays,
    load_face_model,
    save_face_model,
)


def arrays_from_source(source: str | Path) -> dict[str, np.ndarray]:
    """Reads any supported source into the arrays of the package's own file format.

    Args:
      source: a ``.npz`` file or a folder.

    Raises:
      FileNotFoundError: where nothing is there, or a file of the set is missing.
      ValueError: where it is of no known layout.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"no face model at {source}")
    if source.is_dir():
        return arrays_from_3ddfa_folder(source)
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{source} is not a readable .npz face model: {error}") from error
    if "mean" in arrays and is_interleaved(set(arrays), arrays["mean"].shape):
        return arrays_from_interleaved(arrays)
    return arrays


def face_model_from_file(path: str | Path) -> FaceModel:
    """Loads a face model a configuration points at: the package's own file, or any source above.

    Raises:
      FileNotFoundError: where nothing is there.
      ValueError: where it is of no known layout, or an array is wrong.
    """
    path = Path(path)
    if not path.exists():
        # Its message tells how to import one.
        return load_face_model(path)
    return face_model_from_arrays(arrays_from_source(path), path.stem)


def main(arguments: list[str] | None = None) -> None:
    """The command line: reads, converts, validates, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m twodasl_jax.face_model.import_bfm", description=__doc__
    )
    parser.add_argument("--source", required=True, help="a .npz file, or a folder")
    parser.add_argument("--output", required=True, help="the face model file to write, a .npz")
    options = parser.parse_args(arguments)
    arrays = arrays_from_source(options.source)
    save_face_model(options.output, arrays)
    print(
        f"{options.output}: {arrays['mean'].shape[1]} vertices, {len(arrays['triangles'])} "
        f"triangles, {'with' if 'coefficient_std' in arrays else 'without'} whitening statistics"
    )


if __name__ == "__main__":
    main()
