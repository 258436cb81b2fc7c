import io
import json
import os
import shutil
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's own imports
    import tensorflow_datasets as tfds

from twodasl_jax.data.augment import LABEL_OFFSET
from twodasl_jax.data.sources import landmarks18_and_weights
from twodasl_jax.data.tfds_source import TfdsSource, absent_message, newest_version
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21

COUNT = 6


def examples():
    generator = np.random.default_rng(0)
    landmarks21 = generator.uniform(0, 120, (COUNT, 21, 2)).astype(np.float32)
    visibility = np.ones((COUNT, 21), np.int64)
    visibility[1, [0, 12]] = 0
    landmarks21[2, 3] = np.nan  # called visible, but unknown
    return {
        "image": generator.integers(0, 256, (COUNT, 120, 120, 3)).astype(np.uint8),
        "coefficients": generator.normal(size=(COUNT, 62)).astype(np.float32),
        "landmarks": generator.uniform(0, 120, (COUNT, 68, 2)).astype(np.float32),
        "landmarks21": landmarks21,
        "visibility": visibility,
        "roi_box": np.tile(np.float32([10, 20, 250, 260]), (COUNT, 1)),
        "number": np.arange(COUNT),
        "file_name": np.array([f"face {index}.jpg" for index in range(COUNT)]),
    }


def prepare(root, data_set, *, features, count=COUNT):
    """Prepares a data set of a few examples in array_record, as `tfds build` does."""
    arrays = examples()
    kinds = {
        "image": tfds.features.Image(shape=(120, 120, 3), encoding_format="png"),
        "coefficients": tfds.features.Tensor(shape=(62,), dtype=np.float32),
        "landmarks": tfds.features.Tensor(shape=(68, 2), dtype=np.float32),
        "landmarks21": tfds.features.Tensor(shape=(21, 2), dtype=np.float32),
        "visibility": tfds.features.Tensor(shape=(21,), dtype=np.int64),
        "roi_box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
        "number": tfds.features.Scalar(dtype=np.int64),
        "file_name": tfds.features.Text(),
    }

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = data_set
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = root

        def _info(self):
            chosen = {key: kinds[key] for key in features}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(chosen))

        def _split_generators(self, _):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for index in range(count):
                example = {key: arrays[key][index] for key in features}
                if "image" in example:
                    picture = cv2.imencode(".png", example["image"][..., ::-1])[1]
                    example["image"] = io.BytesIO(picture.tobytes())
                yield index, example

    Tiny(data_dir=root, file_format="array_record").download_and_prepare()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    prepare(root, "w300_lp", features=["image", "coefficients", "landmarks", "roi_box", "number"])
    prepare(
        root, "umdfaces", features=["image", "landmarks21", "visibility", "number", "file_name"]
    )
    prepare(root, "poor", features=["image", "number"])
    return root


def by_number(source):
    """TFDS shuffles when it writes."""
    elements = sorted((int(source._data[i]["number"]), i) for i in range(len(source)))
    return [source[index] for _, index in elements]


def test_annotated_examples(root):
    source, arrays = (
        TfdsSource("w300_lp", split="train", role="annotated", data_dir=root),
        examples(),
    )
    assert len(source) == COUNT
    for number, element in enumerate(by_number(source)):
        np.testing.assert_array_equal(element["image"], arrays["image"][number])
        np.testing.assert_array_equal(element["coefficients"], arrays["coefficients"][number])
        points, _ = landmarks18_and_weights(arrays["landmarks"][number], np.ones(68, np.float32))
        np.testing.assert_array_equal(element["landmarks18"], points)
        assert element["landmark18_weights"].all()
        # The box is 240 pixels wide: half of one of its pixels is a quarter of the crop's.
        assert element[LABEL_OFFSET] == 0.25
        assert {value.dtype.name for value in element.values()} == {"uint8", "float32"}


def test_coefficients_for_statistics(root):
    source = TfdsSource("w300_lp", split="train", role="annotated", data_dir=root)
    assert source.coefficients.shape == (COUNT, 62)
    # The order is TFDS's; float32 sums in two orders.
    expected = examples()["coefficients"].mean(axis=0)
    np.testing.assert_allclose(source.coefficients.mean(axis=0), expected, atol=1e-6)


def test_in_the_wild_examples(root):
    source = TfdsSource("umdfaces", split="train", role="in_the_wild", data_dir=root)
    arrays, elements = examples(), by_number(source)
    for number, element in enumerate(elements):
        seen = element["landmark18_weights"] > 0
        expected = arrays["landmarks21"][number][LANDMARKS_18_FROM_21]
        np.testing.assert_array_equal(element["landmarks18"][seen], expected[seen])
        assert not element["landmarks18"][~seen].any()
        assert not element["landmarks"].any()
        assert not element["landmark_weights"].any()
    # Row 12 of the 21, an ear, is none of the 18.
    unseen = [np.flatnonzero(element["landmark18_weights"] == 0).tolist() for element in elements]
    assert unseen == [[], [0], [3], [], [], []]


def test_records_say_their_names_where_the_set_keeps_them(root):
    source = TfdsSource("umdfaces", split="train", role="in_the_wild", data_dir=root)
    for index in range(COUNT):
        number = int(source._data[index]["number"])
        assert source.record_name(index) == f"face {number}.jpg"
    nameless = TfdsSource("w300_lp", split="train", role="annotated", data_dir=root)
    assert nameless.record_name(3) == "3"


WITHOUT_TENSORFLOW = """
import importlib.util, sys
from importlib.machinery import PathFinder
class WithoutTensorFlow(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] != "tensorflow":
            return super().find_spec(name, path, target)
sys.meta_path = [WithoutTensorFlow if f is PathFinder else f for f in sys.meta_path]
assert importlib.util.find_spec("tensorflow") is None
from twodasl_jax.data.tfds_source import TfdsSource
element = TfdsSource("w300_lp", split="train", role="annotated", data_dir=sys.argv[1])[0]
assert element["image"].shape == (120, 120, 3)
assert "tensorflow" not in sys.modules
"""


def test_it_reads_where_tensorflow_is_not_installed(root, repository):
    """In a process of its own: the builders' tests bring TensorFlow."""
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(root)],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()[-2000:]


def test_sums_and_parts_of_splits_are_splits(root):
    source = TfdsSource("w300_lp", split="train[:2]+train[5:]", role="annotated", data_dir=root)
    whole = TfdsSource("w300_lp", split="train", role="annotated", data_dir=root)
    assert len(source) == 3
    np.testing.assert_array_equal(source[2]["image"], whole[5]["image"])
    with pytest.raises(ValueError, match="no split 'batch2'; it has train"):
        TfdsSource("w300_lp", split="train+batch2", role="annotated", data_dir=root)


def test_a_data_set_that_is_not_prepared_says_how(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        TfdsSource("w300_lp", split="train", role="annotated", data_dir=tmp_path)
    message = str(caught.value)
    assert message.startswith(absent_message("w300_lp", tmp_path))
    for part in (
        "'w300_lp' is not prepared",
        "--mode=prepare --dataset=w300_lp",
        "--manual_dir",
        "300W_LP/",
        "quickstart",
    ):
        assert part in message


def test_a_wrong_split_or_feature_is_named(root):
    with pytest.raises(ValueError, match="no split 'test'; it has train"):
        TfdsSource("w300_lp", split="test", role="annotated", data_dir=root)
    with pytest.raises(ValueError, match="lacks coefficients, landmarks; it has image, number"):
        TfdsSource("poor", split="train", role="annotated", data_dir=root)
    with pytest.raises(ValueError, match="lacks landmarks21, visibility; it has"):
        TfdsSource("w300_lp", split="train", role="in_the_wild", data_dir=root)


def test_pictures_of_another_size_are_refused(root, tmp_path):
    shutil.copytree(root / "w300_lp", tmp_path / "w300_lp")
    path = tmp_path / "w300_lp" / "1.0.0" / "features.json"
    features = json.loads(path.read_text())
    features["featuresDict"]["features"]["image"]["image"]["shape"]["dimensions"] = ["450"] * 2 + [
        "3"
    ]
    path.write_text(json.dumps(features))
    with pytest.raises(ValueError, match=r"image is \(450, 450, 3\); expected \(120, 120, 3\)"):
        TfdsSource("w300_lp", split="train", role="annotated", data_dir=tmp_path)


def test_the_newest_version_is_by_number(tmp_path):
    assert newest_version(tmp_path) is None
    for name in ("1.9.0", "1.10.0", "incomplete.ABC_2.0.0", "backup"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_info.json").touch()
    (tmp_path / "3.0.0").mkdir()  # not finished: no dataset_info.json
    assert newest_version(tmp_path) == tmp_path / "1.10.0"


def test_no_flipped_bit_of_a_record_gives_other_numbers(tmp_path):
    """array_record's blocks carry checksums of their own; this holds it to that."""
    prepare(tmp_path, "tiny", features=("image", "coefficients", "landmarks"))
    (path,) = tmp_path.rglob("*.array_record*")
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    wanted = TfdsSource("tiny", split="train", role="annotated", data_dir=tmp_path)[1]
    refused = 0
    for place in generator.integers(0, len(whole), 30):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            source = TfdsSource("tiny", split="train", role="annotated", data_dir=tmp_path)
            element = source[1]
        except (RuntimeError, ValueError):
            refused += 1
            continue
        for key, values in wanted.items():
            np.testing.assert_array_equal(element[key], values, f"byte {place}")
    assert refused
