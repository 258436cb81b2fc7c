"""The methods by name: the one table that a new method is added to."""

from twodasl_jax.methods.method import MethodFamily
from twodasl_jax.methods.twodasl_setup import TwoDASLFamily

METHODS: dict[str, MethodFamily] = {"twodasl": TwoDASLFamily()}
"""``config.method`` -> how it is made."""


def family_of(name: str) -> MethodFamily:
    """The method of this name.

    Raises:
      ValueError: for another name, listing the choices.
    """
    if name not in METHODS:
        raise ValueError(f"no method is called '{name}'; choose one of {', '.join(METHODS)}")
    return METHODS[name]
