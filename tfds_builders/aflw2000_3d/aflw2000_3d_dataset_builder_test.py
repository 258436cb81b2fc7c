"""TFDS's own checks of the builder, on the made-up data; they need TensorFlow."""

import pytest
import tensorflow_datasets as tfds

from tfds_builders.aflw2000_3d.aflw2000_3d_dataset_builder import Builder

pytest.importorskip("tensorflow", reason="left out: needs TensorFlow, of the extra 'test'")


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """Builds the dummy data, and compares splits, features and counts."""

    DATASET_CLASS = Builder
    SPLITS = {"test": 4}  # noqa: RUF012
