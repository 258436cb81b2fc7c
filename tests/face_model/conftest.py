"""A face model's arrays, to be changed."""

import numpy as np
import pytest


@pytest.fixture
def arrays(small_face_model):
    model = small_face_model
    return {
        "mean": np.array(model.linear.mean),
        "shape_basis": np.array(model.linear.shape_basis),
        "expression_basis": np.array(model.linear.expression_basis),
        "triangles": np.array(model.triangles),
        "landmark_vertices": np.array(model.landmark_vertices),
        "mirror_vertices": np.array(model.mirror_vertices),
        "uv": np.array(model.uv),
    }
