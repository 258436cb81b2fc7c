"""Optional packages are imported when used, or named with their command."""

import sys

import pytest

from twodasl_jax.predict.faces import optional_package
from twodasl_jax.predict.faces.optional_package import require_package


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "an_optional_one.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "an_optional_one"
    sys.modules.pop("an_optional_one", None)


def test_one_that_is_there_is_imported(package):
    assert require_package(package, extra="mine").VALUE == 3


def test_it_may_be_looked_for_without_an_import(package):
    assert require_package(package, extra="mine", load=False) is None
    assert package not in sys.modules


@pytest.mark.parametrize("load", [True, False])
def test_one_that_is_absent_is_told_with_its_command(load):
    message = r"'no_such_one' is not installed: pip install -e '\.\[mine\]'"
    with pytest.raises(ValueError, match=message):
        require_package("no_such_one", extra="mine", load=load)


def test_of_an_installed_wheel_the_command_needs_no_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(optional_package, "_CHECKOUT", tmp_path)
    with pytest.raises(ValueError, match=r"is not installed: pip install 'twodasl-jax\[mine\]'"):
        require_package("no_such_one", extra="mine")
