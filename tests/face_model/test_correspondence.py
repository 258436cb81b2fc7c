"""The stored correspondence: points of triangles, on the meshes that it is of."""

import numpy as np
import pytest

from twodasl_jax.face_model.correspondence import ON_BFM_FILE, correspondence
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.geometry.alignment import similarity_alignment


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def stored():
    with np.load(ON_BFM_FILE) as file:
        return {key: file[key] for key in file.files}


def test_it_holds_vertex_numbers_and_weights_alone(stored, open_face):
    assert stored.keys() == {"vertices", "weights", "known", "open_face_triangles", "bfm_triangles"}
    assert stored["vertices"].shape == stored["weights"].shape == (open_face.num_vertices, 3)
    known = stored["known"]
    assert known.mean() > 0.85
    assert (stored["weights"][known] >= 0).all()
    np.testing.assert_allclose(stored["weights"][known].sum(axis=1), 1, atol=1e-5)
    assert stored["vertices"].max() < 53_215


def test_it_is_of_the_embedded_open_face_model(stored, open_face):
    identity = face_model_identity(open_face)["arrays"]
    assert str(stored["open_face_triangles"]) == identity["triangles"]


def test_another_mesh_than_bfms_is_refused(open_face, small_face_model):
    with pytest.raises(ValueError, match=r"x\.npz is 'small' .*53,215 vertices; give that model"):
        correspondence(open_face, small_face_model, given="x.npz")


@pytest.mark.shared_data
def test_corresponding_points_lie_in_the_same_places_of_both_means(shared_data, open_face, stored):
    path = shared_data / "bfm" / "bfm2009_53215.npz"
    bfm = face_model_from_file(path)
    assert (bfm.triangles[:, None] < 53_215).all()
    common = correspondence(open_face, bfm, given=path)
    count = int(stored["known"].sum())
    assert common.bfm.mean.shape == common.open_face.mean.shape == (3, count + 68)
    similarity = similarity_alignment(common.open_face.mean.T, common.bfm.mean.T)
    scale, rotation, translation = (np.asarray(part) for part in similarity)
    moved = scale * np.asarray(common.open_face.mean).T @ rotation.T + translation
    apart = np.linalg.norm(moved - np.asarray(common.bfm.mean).T, axis=1)
    # Two faces of other people; the right places of a face of 150 mm.
    assert np.median(apart) < 7.0
    # Vertices that are landmarks lie near BFM's landmarks: 2.0 mm on the jaw, 0.2 elsewhere.
    rows = {int(vertex): row for row, vertex in enumerate(np.flatnonzero(stored["known"]))}
    for number in (30, 36, 45, 8):
        vertex = int(open_face.landmark_vertices[number])
        here = common.bfm.mean[:, rows[vertex]]
        assert np.linalg.norm(here - common.bfm.mean[:, count + number]) < 4.0
