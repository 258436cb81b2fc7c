"""Trains, evaluates and applies 2DASL: 3D face reconstruction from one photograph.

  Train (and evaluate, and predict) on rendered faces, no downloads, about 10 minutes:
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart

  Evaluate a trained run again:
    python run.py --mode=evaluate --config=configs/quickstart.py --workdir=runs/quickstart

  Reconstruct the face of a photograph with a trained run (--box frames the face):
    python run.py --mode=predict --workdir=runs/quickstart --image=me.jpg --box=168,65,276,195

  Show what is here and what is missing, and how to get it:
    python run.py --mode=doctor

Any setting of a config is a flag: --config.seed=1, --config.models.backbone=resnet18.
A run that was stopped goes on when the same command is given again.
"""

import sys

from absl import app, flags, logging
from ml_collections import config_flags

from twodasl_jax.jobs import MODES, NEEDS_WORKDIR
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


def main(argv: list[str]) -> None:
    """Runs one mode; a wrong input ends with one sentence and exit status 1."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}; every option starts with --")
    if _MODE.value in NEEDS_WORKDIR and not _WORKDIR.value:
        raise app.UsageError(f"--mode={_MODE.value} needs --workdir, the folder of the run")
    logging.set_verbosity(logging.WARNING)
    keep_freed_memory()  # before JAX starts its threads
    try:
        MODES[_MODE.value](
            _CONFIG.value, workdir=_WORKDIR.value, image=_IMAGE.value, box=_BOX.value
        )
    except (ValueError, OSError, ArithmeticError) as error:
        sys.exit(f"{_MODE.value}: {error}")


if __name__ == "__main__":
    app.run(main)
