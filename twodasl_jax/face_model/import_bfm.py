"""Imports the Basel Face Model from the forms its owners and users keep it in.

::

    python -m twodasl_jax.face_model.import_bfm --source=FILE_OR_FOLDER --output=bfm.npz

BFM asks for registration and non-commercial use; nothing of it comes with this package. The
source is one of (the modules document the layouts):

- an interleaved ``.npz``, or the folder of 3DDFA files: `twodasl_jax.face_model.import_3ddfa`;
- the folder of ``01_MorphableModel.mat`` and ``Exp_Pca.bin``, with ``--landmarks``:
  `twodasl_jax.face_model.import_basel`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twodasl_jax.face_model.import_3ddfa import (
    arrays_from_3ddfa_folder,
    arrays_from_interleaved,
    is_interleaved,
)
from twodasl_jax.face_model.import_basel import (
    SHAPE_FILE,
    arrays_from_basel_folder,
    load_landmark_vertices,
)
from twodasl_jax.face_model.model import (
    FaceModel,
    face_model_from_arrays,
    face_model_path,
    load_face_model,
    read_model_file,
    save_face_model,
)
from twodasl_jax.face_model.validation import validate_arrays
from twodasl_jax.standard_streams import make_standard_streams_safe


def arrays_from_source(
    source: str | Path, *, landmarks: str | Path | None = None
) -> dict[str, np.ndarray]:
    """Reads any supported source into the arrays of the package's own file format.

    Args:
      source: a ``.npz`` file or a folder.
      landmarks: file of the 68 landmarks' vertex indices, for the one source that lacks them
        (``01_MorphableModel.mat``).

    Raises:
      FileNotFoundError: where nothing is there, or a file of the set is missing.
      ValueError: where it is of no known layout, or an array that others are computed from is
        wrong.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"no face model at {source}")
    if source.is_dir() and (source / SHAPE_FILE).exists():
        if landmarks is None:
            raise ValueError(
                f"{source / SHAPE_FILE} names no landmarks; give a file of 68 vertex indices, "
                "counted from 0, with --landmarks"
            )
        return arrays_from_basel_folder(source, load_landmark_vertices(landmarks))
    if landmarks is not None:
        raise ValueError(f"{source} brings its own landmarks; leave --landmarks out")
    if source.is_dir():
        return arrays_from_3ddfa_folder(source)
    arrays = read_model_file(source)
    if "mean" in arrays and is_interleaved(set(arrays), arrays["mean"].shape):
        return arrays_from_interleaved(arrays, str(source))
    return arrays


def face_model_from_file(path: str | Path) -> FaceModel:
    """Loads a face model a configuration points at: one of the package's, or any source above.

    Args:
      path: as `face_model_path` reads it.

    Raises:
      FileNotFoundError: where nothing is there.
      ValueError: where it is of no known layout, or an array is wrong.
    """
    path = face_model_path(path)
    if not path.exists():
        # Its message tells how to import one.
        return load_face_model(path)
    return face_model_from_arrays(arrays_from_source(path), path.stem, source=path)


def main(arguments: list[str] | None = None) -> None:
    """The command line: reads, converts, validates, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m twodasl_jax.face_model.import_bfm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", required=True, help="a .npz file, or a folder")
    parser.add_argument("--output", required=True, help="the face model file to write, a .npz")
    parser.add_argument(
        "--landmarks",
        help="for 01_MorphableModel.mat: a .npy or text file of 68 vertex indices from 0",
    )
    options = parser.parse_args(arguments)
    try:
        _require_apart(Path(options.output), [options.source, options.landmarks])
        arrays = arrays_from_source(options.source, landmarks=options.landmarks)
        validate_arrays(arrays, options.source)
        save_face_model(options.output, arrays)
    except (ValueError, OSError) as error:
        sys.exit(f"import_bfm: {error}")
    print(
        f"{options.output}: {arrays['mean'].shape[1]} vertices, {len(arrays['triangles'])} "
        f"triangles, {'with' if 'coefficient_std' in arrays else 'without'} whitening statistics"
    )


def _require_apart(output: Path, sources: Sequence[str | None]) -> None:
    """Refuses to write over what is read: the owners' file would be lost."""
    for source in (Path(name) for name in sources if name is not None and output.exists()):
        read = source.iterdir() if source.is_dir() else [source]
        if any(path.exists() and path.samefile(output) for path in read):
            raise ValueError(f"--output={output} is an input as well; choose another file")


if __name__ == "__main__":
    make_standard_streams_safe()
    main()
