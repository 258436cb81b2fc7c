"""A network file as objects: the method that reads it, after a check that this version can."""

from pathlib import Path

import jax

from twodasl_jax.experiment.settings.reading import read_settings
from twodasl_jax.methods.method import Method, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.pretrained.network_file import NetworkFile, read_network_file
from twodasl_jax.training.tree_difference import differences, shapes_by_name
from twodasl_jax.user_files.json_file import require_entries

_ADVICE = "pack its run again with this version of the package (--mode=pack)"


def network_of_file(path: Path) -> tuple[MethodFamily, Method, NetworkFile]:
    """Reads a network file, and makes the method whose networks it holds.

    Raises:
      FileNotFoundError, OSError, ValueError: one sentence: as `read_network_file`, or where this
        version of the package makes other networks of its settings.
    """
    network = read_network_file(path)
    face_model = network.identity.get("face_model")
    wanted = {"name": str, "num_vertices": int, "arrays": dict}
    require_entries(path, face_model or {}, wanted, advice=_ADVICE)
    try:
        family = family_of(network.method)
        models = read_settings(family.settings["models"], network.models, unknown={})
        method = family.make_predicting(models)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_ADVICE}") from error
    meaning = {"method": network.method, **family.meaning(models), "face_model": face_model}
    if network.identity != meaning:
        names = sorted({*network.identity, *meaning})
        name = next(key for key in names if network.identity.get(key) != meaning.get(key))
        raise ValueError(
            f"{path} was packed with {name}={network.identity.get(name)}, which is "
            f"{meaning.get(name)} here; {_ADVICE}"
        )
    _require_shapes(path, network, family, method)
    return family, method, network


def _require_shapes(path: Path, network: NetworkFile, family: MethodFamily, method: Method) -> None:
    made = jax.eval_shape(method.init, jax.random.key(0, impl="rbg"))
    for group, networks in zip(("params", "batch_stats"), made, strict=True):
        wanted = {
            name: networks[name] for name in family.prediction_network_names if name in networks
        }
        wrong = differences(shapes_by_name(getattr(network, group)), shapes_by_name(wanted))
        if wrong:
            raise ValueError(
                f"{path}: {len(wrong)} arrays are other ones than this version's networks have "
                f"(file | here), first {group}/{wrong[0]}; {_ADVICE}"
            )
