"""Trains, evaluates and applies 2DASL: 3D face reconstruction from one photograph.

  Train (and evaluate, and predict) on rendered faces, no downloads, about 10 minutes:
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart

  Evaluate a trained run again: --mode=evaluate --workdir=runs/quickstart
  Score a trained run, or any system's predictions, on a benchmark:
    python run.py --mode=evaluate --config=configs/evaluation.py --config.benchmark=aflw2000_3d \
        --config.data_dir=FOLDER_THAT_HOLDS_AFLW2000 --checkpoint=runs/quickstart --workdir=OUT

  Reconstruct the face of a photograph with a trained run (--box frames the face):
    python run.py --mode=predict --workdir=runs/quickstart --image=me.jpg --box=168,65,276,195

  Fit 3D coefficients to photographs with 2D landmarks, for configs that train on them:
    python run.py --mode=annotate --images=FOLDER --landmarks=FILE.npz --output=runs/fits

  Prepare a data set from its owners' files, for configs that train or score on it:
    python run.py --mode=prepare --dataset=w300_lp --manual_dir=FOLDER_THAT_HOLDS_300W_LP

  Compare systems that were scored on a benchmark:
    python run.py --mode=compare --results=A/results.json --results=B/results.json --output=AB

  Show what is here and what is missing, and how to get it:
    python run.py --mode=doctor

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
_MODE = flags.DEFINE_enum("mode", "train", sorted(MODES), "What to do.")
_OPTIONS = (
    flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, tables, pictures."),
    flags.DEFINE_string("checkpoint", None, "evaluate: a trained run to score on a benchmark."),
    flags.DEFINE_string("predictions", None, "evaluate: or predictions, .npz, of any system."),
    flags.DEFINE_string("image", None, "Photograph to reconstruct: --mode=predict, or train."),
    flags.DEFINE_list("box", None, "The face in it, x1,y1,x2,y2 in pixels; else it is looked for."),
    flags.DEFINE_string("dataset", None, "prepare: w300_lp, umdfaces, aflw2000_3d or aflw_lfpa."),
    flags.DEFINE_string("manual_dir", None, "prepare: folder of the data set's original files."),
    flags.DEFINE_string("data_dir", None, "prepare: where to, else ~/tensorflow_datasets."),
    flags.DEFINE_string("images", None, "annotate: folder of photographs, or a crops folder."),
    flags.DEFINE_string("landmarks", None, "annotate: their 2D landmarks, .npz (docs/data.md)."),
    flags.DEFINE_string("detector", None, "annotate: or a landmark detector, dlib or fan."),
    flags.DEFINE_string("face_model", None, "annotate, evaluate: its file; else the open one."),
    flags.DEFINE_string("output", None, "annotate, compare: folder to write."),
    flags.DEFINE_multi_string("results", None, "compare: results.json of a system; repeat it."),
    flags.DEFINE_bool("published", False, "compare: show papers' numbers too, marked as such."),
    flags.DEFINE_enum(
        "contour", "marching", ["marching", "fixed"],
        "annotate: jaw labels lie on the silhouette, or are projections of 3D points.",
    ),
    flags.DEFINE_float("max_residual", 4.0, "annotate: leave out faces that fit worse, in %."),
)  # fmt: skip


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
