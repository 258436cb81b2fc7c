"""`configs/photos.py`: labels of fits supervise a network of RGB alone."""

import pytest

from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.start.experiment_checks import check_experiment


@pytest.mark.parametrize(
    ("variant", "backbone", "part"),
    [
        ("wide", "mobilenet_v1", "all"),
        ("small", "mobilenet_v1_half", "all"),
        ("open", "mobilenet_v1", "backbone"),
    ],
)
def test_its_variants_can_be_trained(variant, backbone, part, load):
    config = load("photos", variant)
    settings = experiment_settings(config)
    (stage,) = check_experiment(settings)
    assert settings.models.backbone == backbone
    assert settings.init_part == part
    assert stage.method.reads == ("annotated",)
    assert not stage.method.use_landmark_map
    assert stage.method.upright_pass
    assert (settings.face_model.path == "photo_face") == (variant == "open")


def test_the_best_checkpoint_is_chosen_by_faces_that_are_not_trained_on(load):
    config = load("photos")
    (validation,) = config.evaluation.sets
    assert config.training.best.metric.startswith(validation.name)
    assert validation.path != config.data.annotated[0].images


def test_an_unknown_variant_lists_the_known_ones(load):
    with pytest.raises(ValueError, match="wide, small, open"):
        load("photos", "large")
