"""Trains, evaluates and applies 2DASL: 3D face reconstruction from one photograph.

  Train (and evaluate, and predict) on rendered faces, no downloads, about 5 minutes:
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart

  Evaluate a trained run again: --mode=evaluate --workdir=runs/quickstart
  Score a trained run, or any system's predictions, on a benchmark:
    python run.py --mode=evaluate --config=configs/evaluation.py --config.benchmark=aflw2000_3d \
        --config.data_dir=FOLDER_THAT_HOLDS_AFLW2000 --checkpoint=runs/quickstart --workdir=OUT

  Reconstruct the faces of photographs, of a video or of a camera with a trained run:
    python run.py --mode=predict --workdir=runs/quickstart --image=me.jpg --outputs=overlay,mesh
    python run.py --mode=predict --workdir=runs/quickstart --video=talk.mp4
  The same as a page of this machine, for uploads:
    python run.py --mode=serve --workdir=runs/quickstart

  Fit 3D coefficients to photographs with 2D landmarks, for configs that train on them:
    python run.py --mode=annotate --images=FOLDER --landmarks=FILE.npz --output=runs/fits

  Prepare a data set from its owners' files, for configs that train or score on it:
    python run.py --mode=prepare --dataset=w300_lp --manual_dir=FOLDER_THAT_HOLDS_300W_LP

  Import a network that was trained with PyTorch; DIR is then read as a trained run is:
    python run.py --mode=import --kind=3ddfa_v2_mobilenet --torch=FILE.pth --whitening=FILE.pkl \
        --face_model=bfm.npz --workdir=DIR

  Compare systems that were scored on a benchmark:
    python run.py --mode=compare --results=A/results.json --results=B/results.json --output=AB

  Show what is here and what is missing, and how to get it:
    python run.py --mode=doctor

Any setting of a config is a flag: --config.seed=1, --config.models.backbone=resnet18.
A run that was stopped goes on when the same command is given again. Exit status: 0 is done, 1 is
wrong, as one sentence says, 75 is a training that SIGTERM or Ctrl-C stopped: run it again; 130 is
Ctrl-C in another mode.
"""

import sys

from absl import app, flags, logging
from ml_collections import config_flags

from twodasl_jax.file_errors import in_one_sentence
from twodasl_jax.jobs import options
from twodasl_jax.jobs.modes import MODES, run_mode
from twodasl_jax.standard_streams import make_standard_streams_safe
from twodasl_jax.training.host_memory import keep_freed_memory
from twodasl_jax.training.stop_request import TrainingInterrupted

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "An experiment, configs/<name>.py; without it, the one saved in --workdir."
)
_MODE = flags.DEFINE_enum("mode", "train", sorted(MODES), "What to do.")
flags.adopt_module_key_flags(options)  # so that --help shows them


def main(argv: list[str]) -> None:
    """Runs one mode; a wrong input ends with one sentence and exit status 1."""
    del argv  # `options.parse` let nothing through
    logging.set_verbosity(logging.WARNING)
    if MODES[_MODE.value].keeps_memory:
        keep_freed_memory()  # before JAX starts its threads
    try:
        run_mode(_MODE.value, _CONFIG.value, options.given(), options.given_names())
    except TrainingInterrupted as stop:
        print(f"{_MODE.value}: {stop}", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print(f"{_MODE.value}: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        given = options.given()
        folders = (given[name] for name in ("output", "data_dir", "workdir"))
        told = in_one_sentence(error, written_to=next(filter(None, folders), "the output"))
        if told is None:
            raise
        sys.exit(f"{_MODE.value}: {told}")


if __name__ == "__main__":
    make_standard_streams_safe()
    app.run(main, flags_parser=options.parse)
