"""A command as a user types it: its words, its help, and one sentence for whatever is wrong.

``run.py`` is for the checkout: every option is a flag. ``twodasl-jax`` (``python -m twodasl_jax``)
is the same for who installed the package: the first word is the mode, and of ``predict`` further
words are photographs.
"""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from twodasl_jax.file_errors import in_one_sentence
from twodasl_jax.jobs import options
from twodasl_jax.jobs.modes import MODES, run_mode
from twodasl_jax.training.host_memory import keep_freed_memory
from twodasl_jax.training.stop_request import TrainingInterrupted

_WIDTH = 100

_INDENT = 30

_OF_ABSL = ";\n    repeat this option to specify a list of values"

HELP = """3D face reconstruction and dense face alignment from photographs.

  twodasl-jax predict me.jpg
      landmarks, head pose and a mesh of every face in it, written into the folder prediction
  twodasl-jax predict holiday/ --output=faces --outputs=overlay,mesh,html,json
  twodasl-jax predict --video=talk.mp4
  twodasl-jax serve
      the same as a page of this machine, for uploads

Without --checkpoint the network that comes with the package is used; its licence is shown.
--checkpoint=RUN takes the folder of a training, or a network file (twodasl-jax pack).

  twodasl-jax MODE [--FLAG=VALUE ...]       python -m twodasl_jax does the same

{modes}

  twodasl-jax MODE --help                   the flags of a mode

train and evaluate need a config, --config=FILE.py: those of the paper are in the repository.
Exit status: 0 is done, 1 is wrong, as one sentence says, 75 is a training that was stopped and goes
on when the command is given again, 130 is Ctrl-C in another mode."""


def run_command() -> None:
    """Runs the mode of the flags that were parsed; a wrong input ends with one sentence."""
    name = options.MODE.value
    logging.set_verbosity(logging.WARNING)
    if MODES[name].keeps_memory:
        keep_freed_memory()  # before JAX starts its threads
    try:
        run_mode(name, options.CONFIG.value, options.given(), options.given_names())
    except TrainingInterrupted as stop:
        print(f"{name}: {stop}", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print(f"{name}: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        given = options.given()
        folders = (given[folder] for folder in ("output", "data_dir", "workdir"))
        told = in_one_sentence(error, written_to=next(filter(None, folders), "the output"))
        if told is None:
            raise
        sys.exit(f"{name}: {told}")


def as_flags(arguments: Sequence[str]) -> list[str]:
    """The words of ``twodasl-jax`` as flags of ``run.py``; asked for help, it prints that and ends.

    Args:
      arguments: with the program's name.
    """
    program, *words = arguments
    if not words:
        sys.exit(help_text())
    if words[0] in ("help", "-h", "--help"):
        print(help_text())
        sys.exit()
    if words[0].startswith("-"):
        return [program, *words]
    if words[0] not in MODES:
        sys.exit(
            f"no mode is called '{words[0]}'; choose one of {', '.join(MODES)} (a photograph: "
            "twodasl-jax predict FILE; more: twodasl-jax --help)"
        )
    if {"-h", "--help"} & set(words):
        print(mode_help(words[0]))
        sys.exit()
    _make_configs_importable(words)
    return [program, f"--mode={words[0]}", *words[1:]]


def _make_configs_importable(words: Sequence[str]) -> None:
    """Configs of a folder import each other as ``configs.NAME``, wherever that folder lies."""
    for word in words:
        if word.startswith("--config="):
            path = Path(word.removeprefix("--config=").split(":")[0])
            sys.path.append(str(path.absolute().parent.parent))


def help_text() -> str:
    """What there is, and how it is called."""
    width = max(map(len, MODES)) + 2
    return HELP.format(modes="\n".join(f"  {m:{width}}{MODES[m].about}" for m in MODES))


def mode_help(name: str) -> str:
    """One mode: what it does, and its flags."""
    mode = MODES[name]
    lines = [f"twodasl-jax {name}: {mode.about}", ""]
    configs = ("config",) if mode.configs else ()
    for title, names in (("needed", mode.required), ("optional", (*mode.optional, *configs))):
        if names:
            lines += [f"{title}:", *(line for flag in names for line in _flag_help(flag))]
    return "\n".join(lines)


def _flag_help(name: str) -> list[str]:
    told = (flags.FLAGS[name].help or "").removesuffix(_OF_ABSL)
    told = textwrap.wrap(" ".join(told.split()), _WIDTH - _INDENT)
    head, *rest = told
    return [f"  {'--' + name:{_INDENT - 2}}{head}", *(" " * _INDENT + line for line in rest)]
