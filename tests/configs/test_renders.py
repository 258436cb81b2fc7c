"""The network of renders alone reads no photograph and no restricted face model."""

from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.start.experiment_checks import check_experiment


def test_it_reads_renders_of_the_open_face_model_alone(load):
    settings = experiment_settings(load("renders"))
    assert settings.face_model.path == ""
    assert settings.init_from == ""
    assert {source.kind for source in settings.faces} == {"rendered"}
    (stage,) = check_experiment(settings)
    assert stage.method.reads == ("annotated",)
