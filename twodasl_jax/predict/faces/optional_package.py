"""Packages that only some uses need: imported when used, named with their command if absent."""

import importlib
import importlib.util
from typing import Any


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
        raise ValueError(f"the package of '{module}' is not installed: pip install -e '.[{extra}]'")
    return importlib.import_module(module) if load else None
