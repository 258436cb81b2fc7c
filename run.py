"""Trains, evaluates and applies 2DASL: 3D face reconstruction from one photograph.

  Train (and evaluate, and predict) on rendered faces, no downloads, about 10 minutes:
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart

  Evaluate a trained run again:
    python run.py --mode=evaluate --config=configs/quickstart.py --workdir=runs/quickstart

  Reconstruct the face of a photograph with a trained run (--box frames the face):
    python run.py --mode=predict --workdir=runs/quickstart --image=me.jpg --box=168,65,276,195

  Prepare a data set from its owners' files, for configs that train or score on it:
    python run.py --mode=prepare --dataset=w300_lp --manual_dir=FOLDER_THAT_HOLDS_300W_LP

Any setting of a config is a flag: --config.seed=1, --config.models.backbone=resnet18.
A run that was stopped goes on when the same command is given again.
"""

import sys

from absl import app, flags, logging
from ml_collections import config_flags

from twodasl_jax.jobs import MODES, run_mode
from twodasl_jax.training.host_memory import keep_freed_memory

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "An experiment, configs/<name>.py; without it, the one saved in --workdir."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, tables, pictures.")
_MODE = flags.DEFINE_enum("mode", "train", sorted(MODES), "What to do.")
_IMAGE = flags.DEFINE_string("image", None, "Photograph to reconstruct, with --mode=predict.")
_BOX = flags.DEFINE_list(
    "box", None, "The face in it, x1,y1,x2,y2 in pixels; without it, found from the whole image."
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "With --mode=prepare: w300_lp, umdfaces, aflw2000_3d or aflw_lfpa."
)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "With --mode=prepare: its owners' files.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where prepared data sets lie, by default ~/tensorflow_datasets."
)
_OPTIONS = (_WORKDIR, _IMAGE, _BOX, _DATASET, _MANUAL_DIR, _DATA_DIR)


def main(argv: list[str]) -> None:
    """Runs one mode; a wrong input ends with one sentence and exit status 1."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}; every option starts with --")
    logging.set_verbosity(logging.WARNING)
    keep_freed_memory()  # before JAX starts its threads
    try:
        options = {option.name: option.value for option in _OPTIONS}
        run_mode(_MODE.value, _CONFIG.value, options)
    except (ValueError, OSError, ArithmeticError) as error:
        sys.exit(f"{_MODE.value}: {error}")


if __name__ == "__main__":
    app.run(main)
