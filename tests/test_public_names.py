"""The names that the package itself gives."""

import subprocess
import sys

import pytest

import twodasl_jax


@pytest.mark.parametrize("name", twodasl_jax.__all__)
def test_every_public_name_is_there(name):
    assert getattr(twodasl_jax, name).__name__ == name
    assert name in dir(twodasl_jax)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        twodasl_jax.nothing  # noqa: B018


def test_importing_the_package_imports_no_jax():
    code = "import sys, twodasl_jax; assert not {'jax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
