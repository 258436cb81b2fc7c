"""A run becomes a file that predicts what the run does; nothing is written where that fails."""

import json

import chex
import numpy as np
import pytest

from configs import base
from tests.pretrained.untrained import SETTINGS, untrained_network
from twodasl_jax.experiment.run import packing
from twodasl_jax.experiment.run.trained import load_trained_run, open_trained
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import experiment_settings, plain
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.jobs.pack import pack
from twodasl_jax.methods.method import crop_points
from twodasl_jax.pretrained.network_file import read_network_file
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import create_state

FACE = {"true": {"mean_of_images": 5.0}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose two stages are not trained; the critic's networks are in its checkpoint too."""
    folder, face_model = tmp_path_factory.mktemp("pack") / "run", load_face_model()
    config = base.get_config()
    config.models.update(SETTINGS)
    config.data.annotated = (base.rendered("faces", num_faces=8, seed=1),)
    config.data.in_the_wild = ()
    adam = {"name": "adam", "learning_rate": 1e-4}
    config.stages = tuple(
        base.stage(
            name,
            num_steps=9,
            loss_weights={"coefficient": 1.0},
            optimizers={"regressor": adam},
        )
        for name in ("stage1", "stage2")
    )
    config.seed, config.init_from = 7, "somewhere/else/mb05"
    settings, workdir = experiment_settings(config), Workdir(folder)
    workdir.save_config(settings)
    workdir.add_result("evaluations", "stage2", {"sample": {"metrics": FACE}})
    network = untrained_network(face_model)
    params = network.params | {"critic": {"bias": np.zeros(3, np.float32)}}
    optimizer = make_optimizer(
        dict.fromkeys(params, OptimizerOptions(name="adam", learning_rate=1.0))
    )
    with Checkpointer(
        workdir.checkpoints("stage2"),
        RunDescription(
            plain(settings),
            network.arrays,
            network.identity | {"face_model": face_model_identity(face_model)},
        ),
    ) as checkpointer:
        checkpointer.save(create_state(params, network.batch_stats, optimizer), {})
    return folder


@pytest.fixture
def flags(run, tmp_path):
    (tmp_path / "card.md").write_text("# A network\npython run.py --config=…\n", encoding="utf-8")
    return {
        "checkpoint": str(run),
        "output": str(tmp_path / "out" / "net.npz"),
        "licence": " mine alone ",
        "card": str(tmp_path / "card.md"),
    }


def test_the_file_is_the_run(run, flags, capsys):
    pack(None, **flags)
    told = capsys.readouterr().out
    assert "MB, stage stage2, step 0; half precision moves the landmarks of 32 crops by" in told
    read = read_network_file(flags["output"])
    assert (read.stage, read.step, read.licence, read.num_passes) == ("stage2", 0, "mine alone", 2)
    assert read.card.startswith("# A network\npython run.py")
    assert set(read.params) == {"regressor"}
    assert read.training["seed"] == 7
    assert read.training["init_from"] == "mb05"
    assert read.training["stages"] == {"stage1": 9, "stage2": 9}
    assert read.training["data"] == {"annotated": ["rendered: faces"], "in_the_wild": []}
    assert read.training["scores"] == {"sample": FACE}
    assert "somewhere" not in json.dumps(read.training)  # no folder of this machine
    assert 0 <= read.rounding["mean_px"] <= read.rounding["largest_px"] < 1
    whole, packed = load_trained_run(Workdir(run)), open_trained(flags["output"])
    crops = np.random.default_rng(0).integers(0, 256, (2, 120, 120, 3), np.uint8)
    points = [
        trained.predictor(batch_sizes=(2,), outputs=lambda faces: crop_points(faces, 120))(
            trained.networks, crops
        )
        for trained in (whole, packed)
    ]
    assert points[0].shape == (2, 2347, 3)
    # A hundred times what half precision moves: of crop pixels, and of depths as large.
    chex.assert_trees_all_close(*points, atol=0.1)


def test_the_crops_may_be_given(flags, repository, capsys):
    faces = repository / "tests" / "pretrained"
    with pytest.raises(FileNotFoundError, match=r"annotations\.npz"):
        pack(None, images=str(faces), **flags)


def test_what_half_precision_changes_too_much_is_not_packed(flags, monkeypatch, tmp_path):
    monkeypatch.setattr(packing, "LARGEST_MEAN_MOVE", -1.0)
    with pytest.raises(ValueError, match=r"half precision moves the landmarks by .* cannot be"):
        pack(None, **flags)
    assert not (tmp_path / "out").exists()


def test_wrong_flags_are_told_before_the_run_is_read(flags, tmp_path):
    with pytest.raises(ValueError, match="--licence has several lines; give one"):
        pack(None, **flags | {"licence": "a\nb"})
    with pytest.raises(FileNotFoundError, match=r"absent.*expected the network's card, --card"):
        pack(None, **flags | {"card": str(tmp_path / "absent.md")})
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bytes\.md is no text in UTF-8; expected the network's"):
        pack(None, **flags | {"card": str(tmp_path / "bytes.md")})
    with pytest.raises(ValueError, match="is there already, and no network is replaced"):
        pack(None, **flags | {"output": str(tmp_path), "checkpoint": "absent"})
    with pytest.raises(FileNotFoundError, match="holds no run"):
        pack(None, **flags | {"checkpoint": str(tmp_path / "absent")})
