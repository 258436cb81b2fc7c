"""Imports networks that were trained with PyTorch: a folder that is read as a trained run is."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from twodasl_jax.coefficients import Whitening
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.experiment.run.folder_lock import hold_output
from twodasl_jax.experiment.run.imported import imported_settings, write_imported_run
from twodasl_jax.experiment.run.provenance import sha256_of
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.start.run_identity import run_identity
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.whitening_file import read_whitening
from twodasl_jax.interop.imported_network import ImportedNetwork
from twodasl_jax.interop.kinds import KINDS, Kind
from twodasl_jax.interop.state_dict import state_dict_of
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training.state import Networks
from twodasl_jax.user_files.torch_file import read_torch_file

_EXPECTED = "expected the weights of a network, as torch.save writes them"

_FACE_SIDES = (CROP_SIZE / 4, CROP_SIZE)
"""How large the mean face's 68 points may be in the crop, the longer side, pixels; they fill two
thirds of the crops that these networks were trained on."""


def import_weights(
    *,
    torch: str,
    kind: str,
    workdir: str,
    whitening: str | None = None,
    face_model: str | None = None,
) -> None:
    """Converts a PyTorch network into a folder that is read as a trained run's.

    Args:
      torch: file of ``torch.save``: a state dict, or a dictionary that holds one.
      kind: key of `KINDS`.
      workdir: folder to write; absent or empty.
      whitening: mean and spread of the network's outputs; for 2DASL's the face model's own where
        None.
      face_model: file of the face model whose coefficients it predicts.

    Raises:
      FileNotFoundError, ValueError: one sentence; nothing is written then.
      OSError: where the folder cannot be written.
    """
    chosen, folder = KINDS[kind], Path(workdir)
    _require_flags(kind, chosen, whitening=whitening, face_model=face_model)
    with hold_output(folder, doing="imports networks there"):
        _require_free(folder)
        saved = read_torch_file(torch, expected=_EXPECTED)
        network = chosen.convert(state_dict_of(saved, source=torch))
        model = None if face_model is None else _with_whitening(face_model, whitening, kind)
        config = imported_settings(
            backbone=network.backbone,
            landmark_map=network.landmark_map,
            face_model=face_model or "",
        )
        family = family_of(config.method)
        arrays = {} if model is None else family.fit_arrays(model, np.empty((0, 62), np.float32))
        write_imported_run(
            folder,
            config,
            _networks(config, network),
            arrays=arrays,
            identity=run_identity(config.method, config.models, model),
            face_model_file=None if face_model is None else Path(face_model),
            provenance={"kind": kind, **_files(torch=torch, whitening=whitening)},
        )
    _tell(folder, chosen, network, Console(markup=False, emoji=False))


def _require_flags(
    kind: str, chosen: Kind, *, whitening: str | None, face_model: str | None
) -> None:
    given = {"whitening": whitening, "face_model": face_model}
    if not chosen.predicts:
        for flag, value in given.items():
            if value is not None:
                raise ValueError(
                    f"--kind={kind} predicts no coefficients, so --{flag} means nothing to it: the "
                    "run that starts from it brings its own; leave it out"
                )
    elif face_model is None:
        raise ValueError(
            f"--kind={kind} predicts coefficients of the Basel Face Model in 3DDFA's form, and no "
            "--face_model was given; give its file (docs/face_models.md)"
        )
    elif whitening is None and chosen.needs_whitening:
        raise ValueError(
            f"the outputs of --kind={kind} are whitened by statistics of its own, and no "
            "--whitening was given; give the file beside its weights (param_mean_std_….pkl)"
        )


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "holds files" if folder.is_dir() else "is a file"
        raise ValueError(f"--workdir={folder} {what}; choose a new folder")


def _with_whitening(face_model: str, whitening: str | None, kind: str) -> FaceModel:
    """The face model with the network's statistics in place of its own."""
    model = face_model_from_file(face_model)
    if whitening is not None:
        statistics = read_whitening(whitening)
        model = dataclasses.replace(model, whitening=statistics)
    if model.whitening is None:
        raise ValueError(
            f"{face_model} has no whitening statistics; give those of the network of "
            f"--kind={kind}, --whitening=FILE"
        )
    _require_a_face(model, model.whitening, face_model, whitening)
    return model


def _require_a_face(
    model: FaceModel, statistics: Whitening, face_model: str, whitening: str | None
) -> None:
    """The mean coefficients must be a face in the crop: of another face model they are none."""
    mean = jnp.asarray(statistics.mean, jnp.float32)
    points = np.asarray(landmarks_from_coefficients(landmark_model(model), mean))[:, :2]
    side = float(np.ptp(points, axis=0).max())
    inside = ((points >= 0) & (points <= CROP_SIZE)).all()
    if not (_FACE_SIDES[0] <= side <= _FACE_SIDES[1] and inside):
        raise ValueError(
            f"the mean coefficients of {whitening or face_model} are no face of {face_model}: its "
            f"68 points span {side:.3g} pixels of a crop of {CROP_SIZE}, expected them inside it "
            f"and {_FACE_SIDES[0]:.0f} to {_FACE_SIDES[1]:.0f}; give the face model that the "
            "network was trained with, and its own statistics"
        )


def _networks(config: ExperimentSettings, network: ImportedNetwork) -> Networks:
    """The regressor's variables; a head that was not imported is fresh."""
    method = family_of(config.method).make_predicting(config.models)
    (name,) = method.network_names
    params = network.params
    if "head" not in params:
        fresh = method.init(jax.random.key(config.seed, impl="rbg")).params[name]
        params = {**params, "head": jax.device_get(fresh["head"])}
    return Networks({name: params}, {name: network.batch_stats})


def _files(**paths: str | None) -> dict[str, Any]:
    return {
        flag: {"name": Path(path).name, "sha256": sha256_of(path)}
        for flag, path in paths.items()
        if path is not None
    }


def _tell(folder: Path, chosen: Kind, network: ImportedNetwork, console: Console) -> None:
    sizes = [leaf.size for leaf in jax.tree.leaves(network.params)]
    reads = "RGB and a landmark map" if network.landmark_map else "RGB"
    console.print(
        f"{folder}: {chosen.what}, {sum(sizes) / 1e6:.2f} million parameters, which reads {reads} "
        f"(models.backbone={network.backbone})",
        highlight=False,
    )
    if chosen.predicts:
        console.print(f"score it: --checkpoint={folder}; predict with it: --workdir={folder}")
    console.print(f"start a run from it: --config.init_from={folder}")
