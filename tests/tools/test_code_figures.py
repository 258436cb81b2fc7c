"""The figures of a made-up tree."""

import subprocess
import sys

import pytest

from tools import code_figures
from tools.code_figures import (
    count_lines,
    figures,
    functions,
    modules,
    modules_with_parameter,
    python_files,
    untested,
)

LONG = '''
class Thing:
    def method(self, *, config=None):
        """One line
        and two."""
        def inner(x):
            return x
        return inner(config)
'''


@pytest.fixture
def tree(tmp_path):
    texts = {
        "twodasl_jax/__init__.py": '"""The package."""\n',
        "twodasl_jax/a/__init__.py": "",
        "twodasl_jax/a/b.py": LONG,
        "twodasl_jax/a/c.py": "import no_such_package\n\ndef f(x):\n    return x  # of config\n",
        "tests/a/test_b.py": "def test():\n    assert True\n",
        "tests/test_c.py": "# not the test of a/c.py\n",
        "run.py": "pass\n",
        "tfds_builders/x/x_test.py": "pass\npass\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_only_files_with_code_are_modules(tree):
    assert [path.name for path in modules(tree)] == ["b.py", "c.py"]


def test_lines_are_counted_with_the_empty_ones(tree):
    assert count_lines(python_files(tree, "twodasl_jax")) == 1 + 8 + 4
    assert dict(figures(tree))["source lines, beside it"] == "1"
    assert dict(figures(tree))["test lines"] == str(2 + 1 + 2)


def test_a_test_belongs_to_the_module_of_its_folder(tree):
    assert untested(tree) == ["a/c.py"]
    (tree / "tests/a/test_c.py").write_text("")
    assert untested(tree) == []


def test_functions_are_measured_with_and_without_docstring(tree):
    lengths = {function.place.split(":")[1]: function[1:] for function in functions(tree)}
    assert lengths == {"method": (6, 4), "inner": (2, 2), "f": (2, 2)}


def test_a_parameter_is_found_whatever_its_kind_and_not_in_a_comment(tree):
    assert modules_with_parameter(tree, "config") == ["a/b.py"]
    assert modules_with_parameter(tree, "x") == ["a/b.py", "a/c.py"]


def test_it_runs_on_a_tree_that_cannot_be_imported(tree):
    command = [sys.executable, code_figures.__file__, str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "modules:                    2\n" in done.stdout
    assert "longest function:           6  twodasl_jax/a/b.py:method" in done.stdout
    done = subprocess.run([*command[:2], str(tree / "tests")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "give the root of a checkout" in done.stderr
