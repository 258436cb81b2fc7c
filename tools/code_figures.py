"""Figures of the code: how much there is, what is longest, what has no test of its own.

    python tools/code_figures.py            # of this tree
    python tools/code_figures.py FOLDER     # of another one, such as an older checkout

The source is read as text and by `ast`; nothing of it is imported or run.
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = "twodasl_jax"
BESIDE = ("run.py", "configs", "tfds_builders", "benchmarks", "tools")
"""Source that is not installed."""


class Function(NamedTuple):
    """A function and its lengths, from the line of its `def` to its last one."""

    place: str
    lines: int
    lines_without_docstring: int


def python_files(root: Path, *names: str) -> list[Path]:
    """The files of some folders of a tree, tests that lie beside the source left out; sorted."""
    found = []
    for name in names:
        path = root / name
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path for path in found if path.exists() and not path.name.endswith("_test.py")]


def modules(root: Path) -> list[Path]:
    """The package's files that hold code: not those that only make a folder a package."""
    return [path for path in python_files(root, PACKAGE) if path.name != "__init__.py"]


def count_lines(files: list[Path]) -> int:
    """Lines of all files, the empty ones and comments too."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def untested(root: Path) -> list[str]:
    """Modules `twodasl_jax/a/b.py` without a file `tests/a/test_b.py`."""
    names = [path.relative_to(root / PACKAGE) for path in modules(root)]
    return [
        name.as_posix()
        for name in names
        if not (root / "tests" / name.parent / f"test_{name.name}").exists()
    ]


def functions(root: Path) -> list[Function]:
    """All functions and methods of the package."""
    return [
        Function(f"{path.relative_to(root)}:{node.name}", *_lengths(node))
        for path, node in _definitions(root)
    ]


def modules_with_parameter(root: Path, name: str) -> list[str]:
    """Modules in which a function takes a parameter of that name."""
    return sorted(
        {
            path.relative_to(root / PACKAGE).as_posix()
            for path, node in _definitions(root)
            if name in {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
        }
    )


def _definitions(root: Path) -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in modules(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def _lengths(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines, lines
    docstring = node.body[0]
    return lines, lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def figures(root: Path) -> list[tuple[str, str]]:
    """Name and value of each figure, to print."""
    source, beside = python_files(root, PACKAGE), python_files(root, *BESIDE)
    tests = [*(root / "tests").rglob("*.py"), *(root / "tfds_builders").rglob("*_test.py")]
    longest_file = max(modules(root), key=lambda path: count_lines([path]))
    found = functions(root)
    with_docstring = max(found, key=lambda function: function.lines)
    without = max(found, key=lambda function: function.lines_without_docstring)
    bare, config = untested(root), modules_with_parameter(root, "config")
    return [
        ("source lines, package", f"{count_lines(source):,}"),
        ("source lines, beside it", f"{count_lines(beside):,}"),
        ("test lines", f"{count_lines(tests):,}"),
        ("modules", f"{len(modules(root))}"),
        ("longest file", f"{count_lines([longest_file])}  {longest_file.relative_to(root)}"),
        ("longest function", f"{with_docstring.lines}  {with_docstring.place}"),
        ("the same without docstring", f"{without.lines_without_docstring}  {without.place}"),
        ("functions over 60 lines", f"{sum(function.lines > 60 for function in found)}"),
        ("modules without own test", f"{len(bare)}"),
        ("modules that take a config", f"{len(config)}"),
        ("without own test", "\n  ".join(["", *bare])),
        ("with a config", "\n  ".join(["", *config])),
    ]


def main() -> None:
    """Prints the figures of a tree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="of a checkout")
    root = parser.parse_args().folder
    if not (root / PACKAGE).is_dir():
        parser.error(f"{root} holds no folder {PACKAGE}; give the root of a checkout")
    for name, value in figures(root):
        print(f"{name + ':':28}{value}")


if __name__ == "__main__":
    main()
