"""``twodasl-jax``, or ``python -m twodasl_jax``: every mode of the package, without a checkout."""

import sys

from absl import app

from twodasl_jax.jobs import command, options
from twodasl_jax.standard_streams import make_standard_streams_safe


def main() -> None:
    """The console script."""
    make_standard_streams_safe()
    arguments = command.as_flags(sys.argv)
    app.run(_run, argv=arguments, flags_parser=options.parse_words)


def _run(argv: list[str]) -> None:
    del argv  # nothing is left in it
    command.run_command()


if __name__ == "__main__":
    main()
