"""A damaged config.json is told by the setting that is missing or of another type."""

import copy
import json
from pathlib import Path

import pytest

from configs.quickstart import get_config
from twodasl_jax.experiment.assembly import plain
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.run_settings import require_run_settings

PATH = Path("run") / "config.json"
GOOD = json.loads(json.dumps(plain(get_config())))


def changed(change):
    config = copy.deepcopy(GOOD)
    change(config)
    return config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.clear(), "lacks face_model, models"),
        (lambda c: c.pop("models"), "lacks models; restore it"),
        (lambda c: c.update(data=[]), "data is a list; expected an object"),
        (lambda c: c["models"].pop("backbone"), "lacks models.backbone"),
        (lambda c: c["models"].update(encoder_width_divisor="8"), "divisor is a text"),
        (lambda c: c["losses"].update(num_vertices=None), "losses.num_vertices is null"),
        (lambda c: c["face_model"].update(path=3), "face_model.path is a whole number"),
        (lambda c: c.update(stages=[]), "no list of named stages"),
        (lambda c: c.update(stages={"a": 1}), "stages is an object; expected a list"),
        (lambda c: c.update(stages=[3]), "no list of named stages"),
        (lambda c: c["stages"][0].pop("name"), "no list of named stages"),
        (lambda c: c["stages"][0].pop("loss_weights"), "lacks stage stage1, loss_weights"),
        (lambda c: c["stages"][0]["loss_weights"].update(cycle="x"), "cycle is a text"),
    ],
)
def test_damaged_settings_are_named(tmp_path, change, message):
    require_run_settings(PATH, GOOD)
    with pytest.raises(ValueError, match=message) as refused:
        require_run_settings(PATH, changed(change))
    assert str(PATH) in str(refused.value)
    (tmp_path / "config.json").write_text(json.dumps(changed(change)))
    with pytest.raises(ValueError, match=r"config\.json"):
        Workdir(tmp_path).read_run_config()
