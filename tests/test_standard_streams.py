"""Printing in separate processes: whatever the streams are, the work is done and nothing raised."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twodasl_jax.face_model.model import OPEN_FACE_FILE

ROOT = Path(__file__).parents[1]

PROGRAM = """
import logging, sys
from pathlib import Path
{before}
from rich.console import Console
from rich.progress import track
for step in track(range(3), console=Console()):
    print("12°", "顔", "caf\\udce9", flush=True)
    Console(markup=False).print("[/x] 12°", "顔", "caf\\udce9")
    print("to the other", "顔\\udce9", file=sys.stderr, flush=True)
    logging.warning("顔\\udce9")
Path(sys.argv[1]).write_text("done")
"""
SAFE = (
    "from twodasl_jax.standard_streams import make_standard_streams_safe\n"
    "make_standard_streams_safe()"
)
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "utf-8"},
]


def run(tmp_path, *, shell="", before=SAFE, **environment):
    """Runs the program in a shell with redirections; gives its process and whether it ended."""
    (tmp_path / "program.py").write_text(PROGRAM.format(before=before))
    command = f'"{sys.executable}" "{tmp_path}/program.py" "{tmp_path}/end" {shell}'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
    )
    return done, (tmp_path / "end").exists()


@pytest.mark.parametrize("environment", ENCODINGS, ids=json.dumps)
def test_letters_that_an_encoding_lacks_are_escaped(tmp_path, environment):
    done, ended = run(tmp_path, **environment)
    assert (done.returncode, ended) == (0, True), done.stderr
    assert b"12" in done.stdout
    assert b"\\udce9" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "shell", ["| head -n 1", ">&-", "2>&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2>&1"]
)
def test_streams_that_take_nothing_cost_only_the_text(tmp_path, shell):
    done, ended = run(tmp_path, shell=shell)
    assert (done.returncode, ended) == (0, True), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (b"is lost: No space left" in done.stderr) == (shell == "> /dev/full")


def test_the_work_ends_early_without_it(tmp_path):
    done, ended = run(tmp_path, before="", PYTHONIOENCODING="ascii")
    assert done.returncode != 0
    assert not ended


def test_a_closed_stream_leaves_no_number_for_other_files(tmp_path):
    (tmp_path / "program.py").write_text(
        f"{SAFE}\nimport os, sys\n"
        "file = open(sys.argv[1], 'w')\nos.write(1, b'of a library')\nfile.write('mine')\n"
    )
    subprocess.run(
        ["bash", "-c", f'"{sys.executable}" "{tmp_path}/program.py" "{tmp_path}/file" >&-'],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("flags", [[], ["-u"]], ids=str)
def test_unbuffered_streams_stay_unbuffered(flags):
    program = f"{SAFE}\nimport os\nprint('half a line', end='')\nos._exit(0)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, *flags, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert done.stdout == (b"half a line" if flags else b"")


COMMAND_LINES = sorted(
    path
    for path in (ROOT / "run.py", *(ROOT / "twodasl_jax").rglob("*.py"))
    if '\nif __name__ == "__main__"' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", COMMAND_LINES, ids=lambda path: path.name)
def test_every_command_line_makes_its_streams_safe_first(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in module.body
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
    )
    first = block.body[0]
    for node in module.body:  # a console script calls the function alone
        if isinstance(node, ast.FunctionDef) and ast.unparse(first) == f"{node.name}()":
            first = node.body[1]  # after the docstring
    assert ast.unparse(first) == "make_standard_streams_safe()"


def test_a_commands_last_line_cannot_fail_it(tmp_path):
    output = tmp_path / "顔.npz"
    command = [sys.executable, "-m", "twodasl_jax.face_model.import_bfm"]
    done = subprocess.run(
        [*command, f"--source={OPEN_FACE_FILE}", f"--output={output}"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u9854.npz: 2347 vertices" in done.stdout
    assert output.exists()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "twodasl_jax" / "jobs").glob("*.py")), ids=lambda path: path.name
)
def test_consoles_take_names_literally(path):
    if path.name in {"doctor.py", "serve.py"}:
        return  # the one escapes what it prints, the other prints an address of its own
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Console":
            # A folder called "[/x]" would be markup that ends nothing: an error after the work.
            assert {keyword.arg for keyword in node.keywords} >= {"markup", "emoji"}, node.lineno
