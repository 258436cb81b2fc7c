"""Where the same points of a face lie on the open face model and on the Basel Face Model.

Stored in the package (``tools/open_face/on_bfm.py`` made it): for each vertex of the open face the
three vertices of a triangle of BFM's mesh, and barycentric weights. It holds no shape of either.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from twodasl_jax.face_model.linear import LinearModel, select_points
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel
from twodasl_jax.face_model.model_identity import describe_identity, face_model_identity
from twodasl_jax.user_files.arrays import read_npz

ON_BFM_FILE = OPEN_FACE_FILE.parent / "on_bfm.npz"


class Correspondence(NamedTuple):
    """Points of a face on two face models, in millimetres.

    Attributes:
      open_face: ``p`` points of the open face model: vertices that BFM has too, then the 68
        landmarks.
      bfm: the same points of BFM.
    """

    open_face: LinearModel
    bfm: LinearModel


def correspondence(open_face: FaceModel, bfm: FaceModel, *, given: str | Path) -> Correspondence:
    """The points that both models have.

    Args:
      open_face: the embedded model.
      bfm: of the mesh of 53,215 vertices.
      given: its file, for messages.

    Raises:
      ValueError: where the stored correspondence is of another mesh.
    """
    stored = read_npz(ON_BFM_FILE, expected="expected what tools/open_face/on_bfm.py writes")
    identity = face_model_identity(bfm)
    if identity["arrays"]["triangles"] != str(stored["bfm_triangles"]):
        raise ValueError(
            f"{given} is {describe_identity(identity)}, and the stored correspondence is of BFM's "
            "mesh with 53,215 vertices; give that model"
        )
    known = np.flatnonzero(stored["known"])
    vertices = jnp.asarray(stored["vertices"][known].ravel())
    weights = jnp.asarray(stored["weights"][known], jnp.float32)
    corners = select_points(bfm.linear, vertices)
    surface = LinearModel(
        *(
            jnp.einsum("...ni,ni->...n", array.reshape(*array.shape[:-1], -1, 3), weights)
            for array in corners
        )
    )
    return Correspondence(
        _with_landmarks(open_face, select_points(open_face.linear, jnp.asarray(known))),
        _with_landmarks(bfm, surface),
    )


def _with_landmarks(face_model: FaceModel, surface: LinearModel) -> LinearModel:
    landmarks = select_points(face_model.linear, face_model.landmark_vertices)
    joined = (
        jnp.concatenate([points, own], axis=-1) / face_model.units_per_millimetre
        for points, own in zip(surface, landmarks, strict=True)
    )
    return LinearModel(*joined)
