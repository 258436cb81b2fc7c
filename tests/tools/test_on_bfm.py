"""The parts of a registration against literal searches."""

import numpy as np

from tools.open_face.on_bfm import Mesh, Surface, nearest_in_triangles, normals, registered


def ball(side, *, radius=50.0):
    """A cap of a sphere that looks to +z, with 68 of its vertices as landmarks."""
    rows, columns = np.divmod(np.arange(side * side), side)
    x, y = (columns / (side - 1) - 0.5) * radius, (0.5 - rows / (side - 1)) * radius
    points = np.stack([x, y, np.sqrt(radius**2 - x**2 - y**2)], axis=1)
    corner = np.flatnonzero((rows < side - 1) & (columns < side - 1))
    below, right = corner + side, corner + 1
    triangles = np.concatenate(
        [np.stack([corner, below, right], 1), np.stack([right, below, below + 1], 1)]
    )
    return Mesh(points, triangles, np.zeros(68, int))


def test_nearest_points_of_triangles_are_found():
    generator = np.random.default_rng(0)
    corners = generator.normal(size=(30, 3, 3))
    for point in generator.normal(size=(5, 3)) * 2:
        weights, distance = nearest_in_triangles(point, corners)
        tried = generator.dirichlet([0.5, 0.5, 0.5], size=20_000)
        literal = np.linalg.norm(np.einsum("ki,tid->tkd", tried, corners) - point, axis=-1).min(1)
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
        np.testing.assert_allclose(
            np.linalg.norm(np.einsum("ti,tid->td", weights, corners) - point, axis=1), distance
        )
        assert (distance <= literal + 1e-9).all()
        np.testing.assert_allclose(distance, literal, atol=0.03)  # as fine as was tried


def test_normals_look_outwards():
    mesh = ball(9)
    found = normals(mesh.points, mesh.triangles)
    wanted = mesh.points / np.linalg.norm(mesh.points, axis=1, keepdims=True)
    assert (found * wanted).sum(axis=1).min() > 0.95


def test_only_what_faces_the_same_way_is_nearest():
    mesh = ball(9)
    surface, directions = Surface(mesh), normals(mesh.points, mesh.triangles)
    found = surface.nearest(mesh.points * 1.02, directions)
    assert found.distance.max() < 1.6
    assert np.isinf(surface.nearest(mesh.points, -directions).distance).all()


def test_a_coarse_mesh_comes_to_lie_on_a_fine_one_of_another_shape():
    target, source = ball(21), ball(11)
    rows = np.arange(121).reshape(11, 11)
    chosen = rows[1:10, 1:10].ravel()[:68]
    fine = 2 * (chosen // 11) * 21 + 2 * (chosen % 11)
    flat = source.points * [0.8, 0.9, 0.7] + 5.0
    target = target._replace(landmarks=fine)
    points = registered(source._replace(points=flat, landmarks=chosen), target)
    distance = Surface(target).nearest(points, normals(points, source.triangles)).distance
    inner = rows[1:10, 1:10].ravel()  # the rim has nothing beyond it
    assert distance[inner].max() < 0.5
    assert np.linalg.norm(points[chosen] - target.points[fine], axis=1).max() < 2.0
