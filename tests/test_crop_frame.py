"""The crop frame: literal values, and inverses."""

import jax.numpy as jnp
import numpy as np

from twodasl_jax.crop_frame import crop_to_image, depth_to_image, flip_y, image_to_crop

BOX = np.array([30.0, 50.0, 270.0, 350.0])


def test_y_flips_about_121():
    assert flip_y(1) == 120
    assert flip_y(flip_y(37.5)) == 37.5


def test_corners_of_the_crop_are_corners_of_the_box():
    corners = np.array([[0.0, 0.0], [120.0, 120.0]])
    np.testing.assert_array_equal(crop_to_image(corners, BOX), BOX.reshape(2, 2))


def test_image_to_crop_undoes_crop_to_image_on_numpy_and_jax():
    points = np.random.default_rng(0).uniform(-20, 140, (3, 7, 2))
    boxes = np.tile(BOX, (3, 1)) + np.arange(3)[:, None]
    np.testing.assert_allclose(
        image_to_crop(crop_to_image(points, boxes), boxes), points, atol=1e-9
    )
    on_device = crop_to_image(jnp.asarray(points), jnp.asarray(boxes))
    # float32 of hundreds of pixels.
    np.testing.assert_allclose(on_device, crop_to_image(points, boxes), rtol=1e-5, atol=1e-4)


def test_depth_takes_the_mean_scale():
    np.testing.assert_allclose(depth_to_image(np.array([12.0]), BOX), [12 * 270 / 120])


def test_depth_of_a_batch_goes_by_each_faces_own_box():
    boxes = np.array([[0.0, 0.0, 120.0, 360.0], [10.0, 20.0, 250.0, 260.0]])
    depth = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(depth_to_image(depth, boxes), 2.0 * depth)
