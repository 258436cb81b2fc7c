"""Packs the networks of a trained run into one file that predicts by itself."""

from pathlib import Path

import numpy as np
from rich.console import Console

from twodasl_jax.data.crop_files import decode_crop, read_crop_annotations, read_encoded
from twodasl_jax.data.crop_resize import resized_element
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection
from twodasl_jax.experiment.run.packing import packed
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.jobs.predict import ASTRONAUT_BOX
from twodasl_jax.pretrained.network_file import require_new, write_network_file
from twodasl_jax.training.parallel import enable_compilation_cache
from twodasl_jax.user_files.opening import read_bytes

NUM_CROPS = 256
"""Of a crops folder, spread over it."""

_NUM_ASTRONAUTS = 32
_LARGEST_CARD_BYTES = 2**20


def pack(
    config: ExperimentSettings | None,
    *,
    checkpoint: str,
    output: str,
    licence: str,
    card: str,
    images: str | None = None,
    face_model: str | None = None,
) -> None:
    """Writes the networks that prediction reads, in half precision, with what they are.

    Args:
      config: as for `predict.predict`.
      checkpoint: folder of a trained run.
      output: file to write, not there yet.
      licence: what may be done with the network, and why: one line, shown to whoever uses it.
      card: file of text that goes along: data, command, figures, limits.
      images: crops folder, on whose faces predictions before and after are compared; None is
        scikit-image's astronaut, cut in several ways.
      face_model: where the run's face model lies now; None looks for it.

    Raises:
      FileNotFoundError, ValueError, OSError: one sentence; nothing is written then.
    """
    path, console = Path(output), Console(markup=False, emoji=False, highlight=False)
    require_new(path)
    licence = licence.strip()
    if "\n" in licence:
        raise ValueError("--licence has several lines; give one, and the whole text in --card")
    text = _read_card(card)
    workdir = Workdir(checkpoint)
    enable_compilation_cache()
    wanted = None if config is None else config.run_choice
    trained = load_trained_run(workdir, wanted, face_model=face_model)
    size = trained.method.crop_size
    crops = _astronaut_crops(size) if images is None else _crops_of_folder(Path(images), size)
    network = packed(trained, workdir, crops, licence=licence, card=text)
    write_network_file(path, network)
    rounding = network.rounding
    console.print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, stage {network.stage}, step "
        f"{network.step:,}; half precision moves the landmarks of {rounding['faces']} crops by "
        f"{rounding['mean_px']:.3f} px on average, by {rounding['largest_px']:.2f} px at most",
        soft_wrap=True,
    )


def _read_card(path: str) -> str:
    expected = "expected the network's card, --card, as text: data, command, figures, limits"
    content = read_bytes(path, expected=expected, at_most=_LARGEST_CARD_BYTES)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8; {expected}") from error


def _astronaut_crops(size: int) -> np.ndarray:
    """Her face, framed a little differently each time."""
    from skimage.data import astronaut

    photo, random = astronaut(), np.random.default_rng(0)
    side = ASTRONAUT_BOX[2] - ASTRONAUT_BOX[0]
    corners = ASTRONAUT_BOX + side * random.uniform(-0.15, 0.15, (_NUM_ASTRONAUTS, 4))
    return np.stack(
        [crop_image(photo, roi_box_from_detection(box), crop_size=size) for box in corners]
    )


def _crops_of_folder(folder: Path, size: int) -> np.ndarray:
    names = [str(name) for name in read_crop_annotations(folder / "annotations.npz")["file_name"]]
    chosen = names[:: max(len(names) // NUM_CROPS, 1)][:NUM_CROPS]
    encoded = read_encoded(folder, set(chosen))
    crops = [decode_crop(encoded[name], name) for name in chosen]
    return np.stack([resized_element({"image": crop}, crop_size=size)["image"] for crop in crops])
