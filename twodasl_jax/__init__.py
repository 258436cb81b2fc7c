"""2DASL in JAX: 3D face reconstruction and dense face alignment from one photograph.

::

    from twodasl_jax import FaceReconstructor

The names below are read when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twodasl_jax.face_model.import_bfm import face_model_from_file
    from twodasl_jax.face_reconstructor import FaceReconstructor
    from twodasl_jax.predict.faces.photo import load_image
    from twodasl_jax.predict.faces.reconstruct import Reconstruction

__version__ = "0.1.0"

__all__ = ["FaceReconstructor", "Reconstruction", "face_model_from_file", "load_image"]

_MODULES = {
    "FaceReconstructor": "face_reconstructor",
    "Reconstruction": "predict.faces.reconstruct",
    "face_model_from_file": "face_model.import_bfm",
    "load_image": "predict.faces.photo",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
