"""The membrane around a turned head."""

import jax.numpy as jnp
import numpy as np

from twodasl_jax.rendering.surroundings import GRID, grid_triangles, membrane


def test_the_membrane_is_harmonic_between_what_is_held():
    column, row = np.meshgrid(np.arange(GRID), np.arange(GRID))
    linear = np.stack([2.0 * column - row, 0.5 * row]).astype(np.float32)
    held = np.zeros((GRID, GRID), bool)
    held[[0, -1]] = held[:, [0, -1]] = held[20:30, 25:40] = True
    found = membrane(jnp.where(held, linear, 7.0), jnp.asarray(held))
    # Conjugate gradients in float32 over values of up to 120.
    np.testing.assert_allclose(found, linear, atol=2e-2)


def test_what_is_not_held_does_not_count():
    held = np.zeros((GRID, GRID), bool)
    held[[0, -1]] = held[:, [0, -1]] = True
    noise = np.random.default_rng(0).normal(size=(1, GRID, GRID)).astype(np.float32)
    found = membrane(jnp.where(held, 3.0, noise), jnp.asarray(held))
    np.testing.assert_allclose(found, 3.0, atol=1e-3)


def test_the_grid_faces_the_viewer_and_covers_the_crop():
    """Clockwise in numbers with y down, as the rasteriser leaves out what looks away."""
    row, column = np.divmod(np.arange(GRID * GRID), GRID)
    corners = np.stack([column, row], axis=-1)[grid_triangles()]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    doubled = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    assert (doubled == -1).all()
    assert len(doubled) == 2 * (GRID - 1) ** 2
