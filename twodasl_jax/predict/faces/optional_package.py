"""Packages that only some uses need: imported when used, named with their command if absent."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).parents[3]
"""Of the repository, unless the package was installed from a wheel."""


def require_package(module: str, *, extra: str, load: bool = True) -> Any:
    """Imports an optional package.

    Args:
      module: its import name.
      extra: the extra of this project that installs it.
      load: False only checks that it is there.

    Returns:
      The module, or None without `load`.

    Raises:
      ValueError: with the command that installs it.
    """
    if importlib.util.find_spec(module) is None:
        # Of a package that is there already, pip installs what the extra adds, and nothing else.
        what = f"-e '.[{extra}]'" if _is_checkout() else f"'twodasl-jax[{extra}]'"
        raise ValueError(f"the package of '{module}' is not installed: pip install {what}")
    return importlib.import_module(module) if load else None


def _is_checkout() -> bool:
    return (_CHECKOUT / "pyproject.toml").exists()
