"""Configs as fixtures: loaded by name, and shrunk to two steps of eight rendered faces."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import pytest
from ml_collections import ConfigDict

from configs import base
from twodasl_jax.jobs.train import train


def _load(name: str, *variant: str) -> ConfigDict:
    return importlib.import_module(f"configs.{name}").get_config(*variant)


def _shrunk(config: ConfigDict) -> ConfigDict:
    config.face_model.path = ""
    config.models.backbone = "resnet_tiny"
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    if config.data.in_the_wild:
        config.data.in_the_wild = (
            base.rendered("in_the_wild", num_faces=8, seed=2, supersample=1),
        )
    config.data.annotated_batch_size = config.data.in_the_wild_batch_size = 8
    config.evaluation.sets = (base.rendered("held_out", num_faces=8, seed=3, supersample=1),)
    config.evaluation.batch_size = 8
    config.init_from = ""
    if config.data.validation.source:
        config.data.validation = {"source": "annotated", "every": 4}
        config.training.evaluate_every = 1
    config.training.log_every = config.training.checkpoint_every = 1
    for stage in config.stages:
        stage.num_steps = 2
        for optimizer in stage.optimizers.values():
            if "warmup_steps" in optimizer:
                optimizer.warmup_steps = 1
            if set(stage.loss_weights) == {"vertex"} and optimizer.name == "sgd":
                # Stage 2 starts from a trained network; a fresh one's px² would throw it far off.
                optimizer.learning_rate = 1e-9
    return config


class CoarseRegressor(nn.Module):
    """In the backbone's place: what fits together is asked here, and it compiles in no time."""

    @nn.compact
    def __call__(self, x, *, train):
        coarse = x.reshape(x.shape[0], 8, 15, 8, 15, x.shape[-1]).mean((2, 4))
        coarse = nn.BatchNorm(use_running_average=not train)(coarse)
        return nn.Dense(62, kernel_init=nn.initializers.normal(1e-3))(
            coarse.reshape(x.shape[0], -1)
        )


class CoarseEncoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(256)(x.mean((1, 2)))


@pytest.fixture
def coarse_networks(monkeypatch):
    """Small networks, and no photograph at the end."""
    setup, job = "twodasl_jax.methods.twodasl_setup", "twodasl_jax.jobs.train"
    monkeypatch.setattr(f"{setup}.make_regressor", lambda *_, **__: CoarseRegressor())
    monkeypatch.setattr(f"{setup}.make_encoder", lambda **_: CoarseEncoder())
    monkeypatch.setattr(f"{job}.reconstruct_photo", lambda *_, **__: None)


@pytest.fixture(scope="session")
def load() -> Callable[..., ConfigDict]:
    """``load(name, *variant)``: the config of that file."""
    return _load


@pytest.fixture(scope="session")
def shrunk() -> Callable[[ConfigDict], ConfigDict]:
    """``shrunk(config)``: the same experiment on eight rendered faces, two steps per stage."""
    return _shrunk


@pytest.fixture(scope="session")
def train_shrunk() -> Callable[..., dict[str, Any]]:
    """``train_shrunk(workdir, name, *variant)`` trains, scores, predicts; gives results.json."""

    def trained(workdir: Path, name: str, *variant: str) -> dict[str, Any]:
        train(_shrunk(_load(name, *variant)), workdir=str(workdir), image=None, box=None)
        results = json.loads((workdir / "results.json").read_text())
        stages = [stage.name for stage in _load(name, *variant).stages]
        assert list(results["evaluations"]) == ["before", *stages]
        for moment in results["evaluations"].values():
            assert moment["held_out"]["metrics"]["true"]["mean_of_images"] > 0
        for made in ("prediction/astronaut.glb", "prediction/astronaut_strip.jpg"):
            assert (workdir / made).stat().st_size > 1000
        assert (workdir / "loss_curves.png").stat().st_size > 1000
        return results

    return trained
