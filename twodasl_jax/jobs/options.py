"""The flags of the command line; modes.py says which mode takes which."""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from twodasl_jax.jobs.modes import MODES

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "An experiment, configs/<name>.py; without it, the one saved in --workdir."
)
MODE = flags.DEFINE_enum("mode", "train", sorted(MODES), "What to do.")

OPTIONS = (
    flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, tables, pictures."),
    flags.DEFINE_string(
        "checkpoint", None,
        "evaluate (of a benchmark), predict, serve, pack: a trained run's folder, a network file, "
        "or one of the package's: pretrained, pretrained:bfm. predict, serve: else pretrained.",
    ),
    flags.DEFINE_string("predictions", None, "evaluate: or predictions, .npz, of any system."),
    flags.DEFINE_multi_string(
        "image", None,
        "predict: a photograph, a folder of them or a pattern like 'photos/*.jpg'; repeat it for "
        "more; else scikit-image's astronaut. train: the photograph to reconstruct at the end.",
    ),
    flags.DEFINE_string(
        "video", None,
        "predict: or a video; gives NAME_faces.mp4, original beside overlay, and NAME_faces.jsonl.",
    ),
    flags.DEFINE_integer(
        "camera", None,
        "predict: or the number of a camera, 0 is the first; shown, or recorded without windows.",
    ),
    flags.DEFINE_integer("max_frames", None, "predict: of a video or camera; else all."),
    flags.DEFINE_bool("smooth", None, "predict: smooths faces over frames; else yes."),
    flags.DEFINE_list("box", None, "predict, train: the face, x1,y1,x2,y2 in pixels."),
    flags.DEFINE_list(
        "outputs", None,
        "predict: what to write, of strip, overlay, mesh, depth, pncc, normals, uv_texture, pose, "
        "landmarks, html, json (docs/predict.md); else strip,mesh,json.",
    ),
    flags.DEFINE_list("mesh_formats", None, "predict: of the meshes: glb, obj, ply; else glb."),
    flags.DEFINE_integer(
        "num_passes", 2,
        "predict, serve: with 2, the network sees a face again with its own first landmarks; one "
        "of RGB alone sees heads that lie again, upright.",
        lower_bound=1, upper_bound=2,
    ),
    flags.DEFINE_string(
        "host", "127.0.0.1",
        "serve: name or address to listen on; unless this machine's alone, others can upload.",
    ),
    flags.DEFINE_integer("port", 8000, "serve: port; 0 takes a free one."),
    flags.DEFINE_float("max_upload_megabytes", 20.0, "serve: larger pictures are refused."),
    flags.DEFINE_string("dataset", None, "prepare: w300_lp, umdfaces, aflw2000_3d or aflw_lfpa."),
    flags.DEFINE_string("manual_dir", None, "prepare: folder of the data set's original files."),
    flags.DEFINE_string("data_dir", None, "prepare: where to, else ~/tensorflow_datasets."),
    flags.DEFINE_string(
        "images", None,
        "annotate: folder of photographs, or a crops folder. retarget: what annotate wrote. "
        "pack: a crops folder to compare on.",
    ),
    flags.DEFINE_string("landmarks", None, "annotate: their 2D landmarks, .npz (docs/data.md)."),
    flags.DEFINE_string(
        "detector", None,
        "predict, serve: finds the faces: centerface (the default), centerface_small (the smallest "
        "too), mtcnn, mtcnn_small, whole_image; or their landmarks: dlib, fan. annotate: dlib or "
        "fan.",
    ),
    flags.DEFINE_string(
        "face_model", None,
        "annotate, profile, evaluate: its file; else the open one. import: the coefficients'. "
        "retarget: BFM. "
        "With a trained run (train, evaluate, predict, serve, pack): where its model lies now.",
    ),
    flags.DEFINE_string(
        "open_face", None,
        "retarget: the other face model: photo_face, or another file of the open face's mesh; else "
        "the open one.",
    ),
    flags.DEFINE_string(
        "output", None,
        "annotate, retarget, compare, predict, profile: folder to write. pack: file to write."
    ),
    flags.DEFINE_string(
        "licence", None, "pack: what may be done with the network, and why: one line."
    ),
    flags.DEFINE_string(
        "card", None,
        "pack: text file that goes along: data, command of the training, figures, limits.",
    ),
    flags.DEFINE_string("torch", None, "import: PyTorch weights, a file of torch.save."),
    flags.DEFINE_enum(
        "kind", None, ["3ddfa_v2_mobilenet", "2dasl", "resnet50_imagenet"],
        "import: of which network they are (docs/training.md).",
    ),
    flags.DEFINE_string(
        "whitening", None, "import: mean and spread of the network's outputs, .npz or .pkl."
    ),
    flags.DEFINE_multi_string("results", None, "compare: results.json of a system; repeat it."),
    flags.DEFINE_bool("published", False, "compare: show papers' numbers too, marked as such."),
    flags.DEFINE_string("set_name", None, "compare: of training runs, this set alone."),
    flags.DEFINE_bool(
        "over_seeds", False,
        "compare: also mean and spread of runs that differ in their seed alone.",
    ),
    flags.DEFINE_integer(
        "without_worst", None,
        "compare: leave each system's so many largest errors out of its error curve (the paper: "
        "20); else none.",
        lower_bound=1,
    ),
    flags.DEFINE_enum(
        "contour", "marching", ["marching", "fixed"],
        "annotate: jaw labels lie on the silhouette, or are projections of 3D points.",
    ),
    flags.DEFINE_string(
        "prior", None,
        "annotate: fits stay near what a trained network sees: a run's folder, a network file, or "
        "one of the package's: pretrained, pretrained:bfm.",
    ),
    flags.DEFINE_float(
        "prior_weight", None, "annotate: how near: pixels that a move by a spread is worth; else 1."
    ),
    flags.DEFINE_float(
        "max_residual", 4.0, "annotate, retarget, profile: leave out faces that fit worse, in %."
    ),
    flags.DEFINE_string("fits", None, "profile: folder that annotate wrote."),
    flags.DEFINE_integer(
        "num_faces", None, "profile: how many to write; else one of each.", lower_bound=1
    ),
)  # fmt: skip


REPEATED = frozenset(
    option.name for option in OPTIONS if isinstance(flags.FLAGS[option.name], flags.MultiFlag)
)
"""Flags that may be given several times."""


def parse_words(arguments: Sequence[str]) -> list[str]:
    """As `parse`, and words that are no flags are photographs, where the mode is to predict.

    They may stand anywhere among the flags.
    """
    flags.FLAGS.set_gnu_getopt()
    return parse(arguments, words_are_photographs=True)


def parse(arguments: Sequence[str], *, words_are_photographs: bool = False) -> list[str]:
    """Reads the command line; a mistake in it, or in a config, ends with one sentence.

    Args:
      arguments: with the program's name.
      words_are_photographs: see `parse_words`.

    Returns:
      What is left: the program's name.
    """
    try:
        left = flags.FLAGS(list(arguments))
        if words_are_photographs and MODE.value == "predict":
            left = flags.FLAGS([left[0], *(f"--image={word}" for word in left[1:])])
        _check(left)
    except flags.UnrecognizedFlagError as error:
        sys.exit(f"{_unknown(error)}; --help lists the flags")
    except (flags.Error, ValueError) as error:
        told = str(error).strip()
        if "Traceback" in told:  # of an error inside a config
            told = f"{told.splitlines()[0].split(': ')[0]}: {told.splitlines()[-1].strip()}"
        sys.exit(f"{told}; --help lists the flags")
    except (AttributeError, LookupError, TypeError, SyntaxError, ImportError, OSError) as error:
        # A config is a program, and its settings are looked up by name.
        told = _one_line(error)
        if isinstance(error, AttributeError | KeyError) and "has no attribute" not in told:
            told = f"has no setting {told}"
        sys.exit(f"--config: {told}; see configs/ for the settings there are")
    return left


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).replace("\\n", " ").replace("\\'", "").replace("'", "").split())
    return text or type(error).__name__


def _unknown(error: flags.UnrecognizedFlagError) -> str:
    name = str(error.flagname)
    if name.startswith("config."):
        return (
            f"--{name} changes a setting of an experiment, and no --config stands before it; give "
            "--config=configs/NAME.py first"
        )
    return str(error).strip()


def _check(left: Sequence[str]) -> None:
    """Refuses words that are no flags, flags given twice, and empty values.

    Raises:
      ValueError: naming the first of these.
    """
    if len(left) > 1:
        raise ValueError(
            f"'{left[1]}' belongs to no flag: every option starts with --, and one that takes "
            "several values is repeated (--image=a.jpg --image=b.jpg) or quoted (--image='*.jpg')"
        )
    config = flags.FLAGS["config"].value
    try:
        getattr(config, "lock", None)  # of a file that cannot be read, any attribute fails
    except OSError as error:
        reason = str(error).strip().splitlines()[-1].split("failure to load: ")[-1].strip()
        raise ValueError(f"--config cannot be read: {reason}") from error
    for name in ("mode", "config", *given_names()):
        flag = flags.FLAGS[name]
        if flag.present > 1 and name not in REPEATED:
            raise ValueError(f"--{name} was given {flag.present} times; give it once")
        if flag.present and not name.startswith("config.") and _is_empty(flag.value):
            raise ValueError(f"--{name} is empty; give it a value, or leave it out")


def _is_empty(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(_is_empty(each) for each in value)
    return isinstance(value, str) and not value.strip()


def given_names() -> list[str]:
    """The flags that stand on the command line, and ``config.…`` for settings of the config."""
    known = {option.name for option in OPTIONS}
    return [
        name
        for name in flags.FLAGS
        if (name in known or name.startswith("config.")) and flags.FLAGS[name].present
    ]


def given() -> dict[str, Any]:
    """Every flag's value, None where it was not given and has no default."""
    return {option.name: option.value for option in OPTIONS}
