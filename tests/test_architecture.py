"""The layout's rules, read from the source by `ast`: who may import whom, and what an API owes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "twodasl_jax"
FILES = sorted(PACKAGE.rglob("*.py"))

# The parts without own imports from the package, free for all who may use jax.
WITHOUT_JAX = {"crop_frame", "landmark_tables", "coefficient_layout", "array_types"}
FOUNDATION = WITHOUT_JAX | {
    "coefficients",
    "file_errors",
    "replaced_files",
    "standard_streams",
    "user_files",
    "whole_file",
}
MATHS = FOUNDATION | {"geometry", "face_model", "rendering"}
BELOW_PREDICT = MATHS | {"data", "models", "training", "methods"}
BELOW_PICTURES = BELOW_PREDICT | {"predict.faces"}
BELOW_MESHES = BELOW_PICTURES | {"predict.pictures"}
BELOW_PAGE = BELOW_MESHES | {"predict.meshes"}
BELOW_FILES = BELOW_PAGE | {"predict.page"}
BELOW_VIDEO = BELOW_FILES | {"predict.files"}
BELOW_EXPERIMENT = (
    BELOW_PREDICT
    | {"predict.faces", "predict.pictures", "evaluation"}
    | {
        "fitting",
        "losses",
        "methods",
        "metrics",
        "pretrained",
    }
)
# The wing's own order: settings <- run <- sources <- scores <- start.
BELOW_RUN = BELOW_EXPERIMENT | {"experiment.settings"}
BELOW_SOURCES = BELOW_RUN | {"experiment.run"}
BELOW_SCORES = BELOW_SOURCES | {"experiment.sources"}
BELOW_START = BELOW_SCORES | {"experiment.scores"}
EXPERIMENT = BELOW_START | {"experiment.start", "experiment.annotation"}
# part: the other parts it may import. `training` knows no loss, `models` no face.
MAY_IMPORT = {
    "crop_frame": set(),
    "landmark_tables": set(),
    "coefficient_layout": set(),
    "coefficients": {"coefficient_layout"},
    "array_types": {"crop_frame"},
    "file_errors": set(),
    "user_files": set(),
    "standard_streams": set(),
    "replaced_files": set(),
    "whole_file": {"file_errors"},
    "pretrained": {"file_errors", "user_files", "whole_file"},
    "geometry": FOUNDATION,
    "face_model": FOUNDATION | {"geometry"},
    "rendering": FOUNDATION | {"geometry", "face_model"},
    "models": {"coefficients", "coefficient_layout", "crop_frame"},
    "data": WITHOUT_JAX | {"file_errors", "replaced_files", "user_files", "whole_file"},
    "losses": MATHS,
    "fitting": MATHS,
    "metrics": MATHS,
    "training": {"coefficients", "coefficient_layout", "file_errors", "user_files", "whole_file"},
    "methods": MATHS | {"losses", "metrics", "models", "training"},
    "evaluation": MATHS | {"data", "metrics", "models", "training", "methods", "predict.faces"},
    "predict": set(),
    "predict.faces": BELOW_PREDICT,
    "predict.pictures": BELOW_PICTURES,
    "predict.meshes": BELOW_MESHES,
    "predict.page": BELOW_PAGE,
    "predict.files": BELOW_FILES,
    "predict.video": BELOW_VIDEO,
    "interop": FOUNDATION | {"models"},
    "experiment": set(),
    "experiment.settings": BELOW_EXPERIMENT,
    "experiment.run": BELOW_RUN,
    "experiment.sources": BELOW_SOURCES,
    "experiment.scores": BELOW_SCORES,
    "experiment.start": BELOW_START,
    "experiment.annotation": BELOW_SOURCES,
    "face_reconstructor": EXPERIMENT | {"pretrained"},
    "jobs": EXPERIMENT
    | BELOW_VIDEO
    | {"predict.video", "face_reconstructor", "interop", "pretrained"},
    "__main__": {"jobs", "standard_streams"},
}
JAX_FAMILY = {"jax", "jaxlib", "flax", "optax", "orbax", "chex"}
DEVICE_NAMES = {
    "devices", "local_devices", "device_count", "local_device_count", "process_index",
    "process_count", "make_mesh", "pmap", "shard_map", "Mesh", "NamedSharding", "PartitionSpec",
}  # fmt: skip
BELIEVING_READERS = {
    "np.load", "np.loadtxt", "np.genfromtxt", "np.memmap", "np.fromfile", "scipy.io.loadmat",
    "pickle.load", "pickle.loads", "json.load",
}  # fmt: skip
MAY_NAME_DEVICES = {"training/parallel.py"}
FLAX_FILES = {"training/state.py"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    return part_of_name(".".join(path.relative_to(PACKAGE).with_suffix("").parts))


def part_of_name(module: str) -> str:
    """The room of a module: `predict` and `experiment` have several."""
    parts = module.split(".")
    room = ".".join(parts[:2])
    return room if room in MAY_IMPORT else parts[0]


def imports(path: Path) -> list[str]:
    """Dotted names of all imported modules, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def test_every_part_has_its_rule():
    assert {part_of(path) for path in FILES} - {"__init__"} <= set(MAY_IMPORT)


@every_file
def test_imports_go_one_way(path):
    part = part_of(path)
    if part == "__init__":
        is_top = path.parent == PACKAGE
        assert is_top or not imports(path), "only the package itself gives names of its modules"
        # The imports for type checkers run nowhere else: `tests/test_public_names.py`.
        return
    inner = {
        part_of_name(name.removeprefix("twodasl_jax."))
        for name in imports(path)
        if name.startswith("twodasl_jax.")
    }
    wrong = inner - MAY_IMPORT[part] - {part}
    assert not wrong, f"{part} may not import {sorted(wrong)}"


def test_no_module_takes_part_in_an_import_cycle():
    modules = {".".join(["twodasl_jax", *path.relative_to(PACKAGE).with_suffix("").parts]): path
               for path in FILES if path.stem != "__init__"}  # fmt: skip
    left = {}
    for module, path in modules.items():
        names = imports(path)
        names += [name.rpartition(".")[0] for name in names]
        left[module] = (set(names) & set(modules)) - {module}
    while free := [module for module, needed in left.items() if not needed & set(left)]:
        for module in free:
            del left[module]
    assert not left, f"in a cycle, or above one: {sorted(left)}"


@every_file
def test_one_method_is_known_to_its_own_files_and_the_table(path):
    """Everything else speaks the protocol of methods/method.py."""
    if part_of(path) == "methods":
        return
    own = [name for name in imports(path) if name.startswith("twodasl_jax.methods.twodasl")]
    assert not own, f"go through METHODS: {own}"


@every_file
def test_outer_libraries_stay_where_they_belong(path):
    top = {name.split(".")[0] for name in imports(path)}
    part = part_of(path)
    assert "configs" not in top, "the library imports no config"
    if "flax" in top:
        assert part == "models" or name_of(path) in FLAX_FILES, "flax only in the networks"
    if "ml_collections" in top:
        assert part == "jobs" or part.startswith("experiment"), (
            "maths takes plain arguments, not configs"
        )
    if part in WITHOUT_JAX | {"data", "user_files"}:
        assert not top & JAX_FAMILY, "the host side runs without jax"
    if part == "models":
        assert not top & {"optax", "orbax", "grain"}, "networks only"
    assert not top & {"torch", "tensorflow", "clu"}


def test_the_host_side_is_imported_without_jax():
    """`jaxtyping.Array`, for one, imports it without being in `JAX_FAMILY`; so does grain."""
    host = [
        path
        for path in FILES
        if part_of(path) in WITHOUT_JAX | {"data", "user_files"} and "grain" not in imports(path)
    ]
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in host
    ]
    program = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & {JAX_FAMILY!r}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]", ran.stdout


@every_file
def test_files_from_outside_are_read_in_one_place(path):
    """Others believe what a file says: a damaged or hostile one takes all memory, or worse."""
    if part_of(path) == "user_files":
        return
    used = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in BELIEVING_READERS
    ]
    assert not used, f"read through twodasl_jax/user_files: {used}"


@every_file
def test_devices_are_known_in_one_place(path):
    if name_of(path) in MAY_NAME_DEVICES:
        return
    used = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in DEVICE_NAMES
        and ast.unparse(node.value).split(".")[0] == "jax"
    ]
    used += [
        name
        for name in imports(path)
        if name.startswith("jax") and name.split(".")[-1] in DEVICE_NAMES
    ]
    assert not used, f"devices belong to training/parallel.py: {used}"


@every_file
def test_no_jax_array_is_made_on_import(path):
    """It would start the backend, sit on one device and be baked into every compiled step."""
    made = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr))
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith(("jnp.", "jax.numpy.", "jax.random.", "random."))
    ]
    assert not made, made


@every_file
def test_files_and_functions_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES, f"{lines} lines: split it by idea"
    long = [
        f"{function.name}: {body_lines(function)}"
        for function in functions(path)
        if body_lines(function) > MAX_FUNCTION_LINES
    ]
    assert not long, f"functions over {MAX_FUNCTION_LINES} lines: {long}"


@every_file
def test_public_functions_say_what_they_do_and_take(path):
    missing = []
    for function in functions(path, public=True):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        bare = [a.arg for a in named if a.annotation is None and a.arg not in {"self", "cls"}]
        if ast.get_docstring(function) is None:
            missing.append(f"{function.name}: docstring")
        if bare:
            missing.append(f"{function.name}: annotations of {bare}")
        if function.returns is None and function.name != "__init__":
            missing.append(f"{function.name}: annotation of what it returns")
    assert not missing, missing


@every_file
def test_public_names_follow_the_house(path):
    wrong = []
    for function in functions(path, public=True):
        arguments = function.args
        names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
        wrong += [f"{function.name}({name}): write key" for name in names if name == "rng"]
        # A flag in the middle of a call says nothing to the reader.
        flags = arguments.args[len(arguments.args) - len(arguments.defaults) :]
        wrong += [
            f"{function.name}({flag.arg}=...): keyword-only, please"
            for flag, default in zip(flags, arguments.defaults, strict=True)
            if isinstance(default, ast.Constant) and isinstance(default.value, bool)
        ]
    assert not wrong, wrong
    assert "utils" not in path.stem
    assert "helpers" not in path.stem


TAKE_AN_EXPERIMENT = {
    "experiment/run/imported.py",  # made, of networks that were trained elsewhere
    "experiment/run/workdir.py",  # read, compared, written
    "experiment/start/experiment_checks.py",  # checked
    "experiment/start/run_start.py",  # taken apart
}


@every_file
def test_an_experiment_is_taken_apart_in_one_place(path):
    """Below the modes' entry points functions take plain arguments, or the group of their own."""
    takers = {
        function.name
        for function in functions(path)
        for argument in [*function.args.args, *function.args.kwonlyargs]
        if argument.annotation and "ExperimentSettings" in ast.unparse(argument.annotation)
    }
    assert not takers or part_of(path) == "jobs" or name_of(path) in TAKE_AN_EXPERIMENT, takers


def test_every_module_and_folder_says_what_it_is():
    bare = [
        name_of(path) for path in FILES if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert not bare
    folders = {path.parent for path in FILES}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of code: the docstring is no burden and not counted."""
    start = function.lineno
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    counted = (function.end_lineno or start) - start + 1
    if docstring is not None:
        counted -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return counted


def functions(path: Path, *, public: bool = False) -> list[ast.FunctionDef]:
    """Functions and methods of a file; with `public` those a caller of the module sees."""
    tree = ast.parse(path.read_text())
    if not public:
        return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += [member for member in node.body if isinstance(member, ast.FunctionDef)]
    return [function for function in found if not function.name.startswith("_")]
