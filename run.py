"""Trains, evaluates and applies 2DASL: 3D face reconstruction from one photograph.

  Reconstruct the faces of a photograph with the network that comes with the package:
    python run.py --mode=predict --image=me.jpg

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

  Turn such photographs to larger yaw, for configs that train on profiles:
    python run.py --mode=profile --fits=runs/fits --output=runs/turned

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

from absl import app, flags

from twodasl_jax.jobs import options
from twodasl_jax.jobs.command import run_command
from twodasl_jax.standard_streams import make_standard_streams_safe

flags.adopt_module_key_flags(options)  # so that --help shows them


def main(argv: list[str]) -> None:
    """Runs one mode; a wrong input ends with one sentence and exit status 1."""
    del argv  # `options.parse` let nothing through
    run_command()


if __name__ == "__main__":
    make_standard_streams_safe()
    app.run(main, flags_parser=options.parse)
