"""The finer mesh that the rasteriser's benchmark draws."""

import numpy as np

from benchmarks.rasterizer import subdivided


def test_a_subdivided_mesh_is_the_same_surface_of_four_times_the_triangles():
    vertices = np.array([[0.0, 4.0, 4.0, 0.0], [0.0, 0.0, 2.0, 2.0], [1.0, 2.0, 3.0, 2.0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    finer, parts = subdivided(vertices, triangles)
    # 4 corners and 5 edges: the shared edge has one midpoint.
    assert finer.shape == (3, 9)
    assert parts.shape == (8, 3)

    def normals(vertices, triangles):
        a, b, c = (vertices[:, triangles[:, corner]].T for corner in range(3))
        return np.cross(b - a, c - a)

    # Each part has a quarter of the area and the winding of its triangle.
    expected = np.repeat(normals(vertices, triangles)[None] / 4, 4, axis=0).reshape(8, 3)
    np.testing.assert_allclose(normals(finer, parts), expected)
