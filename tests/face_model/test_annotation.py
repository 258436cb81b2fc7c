import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.evaluation.coded_faces import landmarks_in_image
from twodasl_jax.face_model.annotation import coefficients_from_annotation, coefficients_of_face
from twodasl_jax.face_model.landmarks import landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.geometry.camera import camera_from_pose_para


def random_landmark_model() -> LinearModel:
    random = np.random.default_rng(0)
    return LinearModel(
        jnp.asarray(random.normal(size=(3, 68)) * 60, jnp.float32),
        jnp.asarray(random.normal(size=(40, 3, 68)), jnp.float32),
        jnp.asarray(random.normal(size=(10, 3, 68)), jnp.float32),
    )


def test_an_oblong_box_gives_the_same_landmarks_in_the_image_as_a_square_one():
    random = np.random.default_rng(1)
    pose = np.array([[0.1, -0.4, 0.2, 150.0, 160.0, -30.0, 0.9]])
    shape, expression = random.normal(size=(1, 199)), random.normal(size=(1, 29))
    model, height = random_landmark_model(), np.array([300.0])
    in_image = []
    for box in ([[60.0, 70.0, 240.0, 250.0]], [[60.0, 90.0, 240.0, 230.0]]):
        coefficients = coefficients_from_annotation(pose, shape, expression, box, height)
        landmarks = np.asarray(landmarks_from_coefficients(model, jnp.asarray(coefficients)))
        in_image.append(landmarks_in_image(landmarks, np.array(box), crop_size=120))
    # Float32 coordinates of some hundred px. Depth included: both carry it by the mean scale.
    np.testing.assert_allclose(in_image[0], in_image[1], atol=1e-3)


def random_annotations(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {
        "pose_para": random.normal(size=(count, 7)) * [0.3, 0.5, 0.2, 50, 50, 50, 1e-3] + [0] * 7,
        "shape_para": random.normal(size=(count, 199)),
        "exp_para": random.normal(size=(count, 29)),
        "roi_box": np.array([10.0, 20, 210, 220]) + random.integers(0, 9, (count, 4)),
        "image_height": np.full(count, 450.0),
    }


def test_one_face_at_a_time_is_the_batch():
    annotations = random_annotations(3)
    together = coefficients_from_annotation(*annotations.values())
    assert together.shape == (3, 62)
    assert together.dtype == np.float32
    for row in range(3):
        face = {name: array[row] for name, array in annotations.items()}
        # The same float32 sums, fused differently; numbers of some hundred.
        np.testing.assert_allclose(coefficients_of_face(face), together[row], rtol=1e-5, atol=1e-4)


def test_a_square_box_leaves_camera_and_parameters_as_they_are():
    annotations = random_annotations(2)
    box = np.array([[10.0, 20, 210, 220]] * 2)
    coefficients = coefficients_from_annotation(*(annotations | {"roi_box": box}).values())
    camera = camera_from_pose_para(
        *(jnp.asarray(array, jnp.float32) for array in (annotations["pose_para"], box, [450, 450]))
    )
    # 121 - (121 - y) in float32.
    np.testing.assert_allclose(coefficients[:, :12].reshape(2, 3, 4), camera, atol=1e-4)
    np.testing.assert_array_equal(
        coefficients[:, 12:52], annotations["shape_para"][:, :40].astype(np.float32)
    )
    np.testing.assert_array_equal(
        coefficients[:, 52:], annotations["exp_para"][:, :10].astype(np.float32)
    )


def test_too_few_parameters_are_refused():
    annotations = random_annotations(2)
    annotations["shape_para"] = annotations["shape_para"][:, :39]
    with pytest.raises(ValueError, match=r"\(2, 39\) and \(2, 29\); expected at least 40"):
        coefficients_from_annotation(*annotations.values())
