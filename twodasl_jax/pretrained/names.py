"""What a command calls a trained network: one of the package's own, a file, or a run's folder."""

from pathlib import Path

PRETRAINED = "pretrained"
"""Names the network of the open face model; ``pretrained:NAME`` names any of `NETWORKS`."""

FOLDER = Path(__file__).parent

NETWORKS = {"open": "open.npz", "bfm": "bfm.npz"}
"""Name -> its file in the package, by the face model whose coefficients it predicts."""


def pretrained_name(network: str) -> str:
    """What a command calls one of `NETWORKS`: ``pretrained``, ``pretrained:bfm``."""
    return PRETRAINED if network == "open" else f"{PRETRAINED}:{network}"


def network_file_named(name: str | Path) -> Path | None:
    """The file of a network that a command names.

    Args:
      name: ``pretrained``, ``pretrained:NAME``, or a path. A folder of this name is meant by
        ``./pretrained``.

    Returns:
      None for everything but a network of the package or a file: for a run's folder.

    Raises:
      ValueError: for a network that the package does not know, listing those that it does.
      FileNotFoundError: for one that this copy of the package lacks, or a file that is absent.
    """
    prefix, _, network = str(name).partition(":")
    if prefix != PRETRAINED:
        return _file_of(Path(name))
    network = network or "open"
    if network not in NETWORKS:
        choices = ", ".join(pretrained_name(each) for each in NETWORKS)
        raise ValueError(f"no network is called '{name}'; choose one of {choices}")
    path = FOLDER / NETWORKS[network]
    if not path.is_file():
        raise FileNotFoundError(
            f"this copy of twodasl_jax has no weights for '{name}' (no {path}); give a trained run "
            "or a network file, --checkpoint=RUN_OR_FILE (annotate: --prior)"
        )
    return path


def _file_of(path: Path) -> Path | None:
    if path.suffix == ".npz" and not path.exists():
        raise FileNotFoundError(f"no network file at {path}; check the path")
    return path if path.is_file() else None
