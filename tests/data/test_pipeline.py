import numpy as np
import pytest

from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.data.pipeline import TrainingSource, make_pipeline

UNCHANGED = AugmentOptions(0, 0, 0, 0, 0, 0, 0, 0)


class Faces:
    """Faces told apart by one number: the first coefficient, or the first landmark's x."""

    def __init__(self, first, count, *, annotated=True):
        self.first, self.count, self.annotated = first, count, annotated
        self.role = "annotated" if annotated else "in_the_wild"

    def record_name(self, index):
        return f"face {index}"

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        name = self.first + int(index)
        element = {
            "image": np.full((120, 120, 3), name % 256, np.uint8),
            "landmarks18": np.full((18, 2), name, np.float32),
            "landmark18_weights": np.ones(18, np.float32),
        }
        if self.annotated:
            return element | {"coefficients": np.full(62, name, np.float32)}
        return element | {
            "landmarks": np.zeros((68, 2), np.float32),
            "landmark_weights": np.zeros(68, np.float32),
        }


def pipeline(*, annotated=None, wild=None, sizes=(4, 6), options=UNCHANGED, seed=0, **others):
    return make_pipeline(
        annotated or [(Faces(0, 24), 1.0)],
        wild or [(Faces(1000, 48, annotated=False), 1.0)],
        annotated_batch_size=sizes[0],
        in_the_wild_batch_size=sizes[1],
        augment_options=options,
        seed=seed,
        **others,
    )


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def names(batches, half="annotated"):
    key = "coefficients" if half == "annotated" else "landmarks18"
    first = (0,) if half == "annotated" else (0, 0)
    return np.concatenate([batch[half][key][(slice(None), *first)] for batch in batches])


def assert_same(first, second):
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        for half in ("annotated", "in_the_wild"):
            assert set(one[half]) == set(two[half])
            for key, value in one[half].items():
                np.testing.assert_array_equal(value, two[half][key], err_msg=key)


def test_batches_have_the_fields_of_array_types():
    batch = next(pipeline())
    shapes = {half: {k: v.shape for k, v in batch[half].items()} for half in batch}
    assert shapes == {
        "annotated": {
            "image": (4, 120, 120, 3),
            "coefficients": (4, 62),
            "detected_landmarks": (4, 18, 2),
            "landmarks": (4, 68, 2),
            "landmark_weights": (4, 68),
        },
        "in_the_wild": {
            "image": (6, 120, 120, 3),
            "landmarks": (6, 68, 2),
            "landmark_weights": (6, 68),
            "landmarks18": (6, 18, 2),
            "landmark18_weights": (6, 18),
            "detected_landmarks": (6, 18, 2),
        },
    }


def test_an_epoch_has_every_face_once_and_the_next_another_order():
    batches = take(pipeline(), 12)
    first, second = names(batches[:6]), names(batches[6:])
    np.testing.assert_array_equal(np.sort(first), np.arange(24))
    np.testing.assert_array_equal(np.sort(second), np.arange(24))
    assert (first != second).any()
    assert (first != np.arange(24)).any()


def test_a_seed_names_the_sequence_whatever_the_threads():
    options = AugmentOptions()
    first = take(pipeline(options=options, num_threads=0), 4)
    assert_same(first, take(pipeline(options=options, num_threads=3), 4))
    other = take(pipeline(options=options, seed=1), 4)
    assert (names(first) != names(other)).any()
    assert (names(first, "in_the_wild") != names(other, "in_the_wild")).any()


def test_state_restores_the_identical_next_batches():
    options = AugmentOptions()
    iterator = pipeline(options=options)
    take(iterator, 3)
    state = iterator.get_state()
    expected = take(iterator, 5)
    fresh = pipeline(options=options)
    fresh.set_state(state)
    assert_same(take(fresh, 5), expected)
    iterator.set_state(state)
    assert_same(take(iterator, 2), expected[:2])


def test_a_mixture_in_shards_resumes_identically_too():
    def shard(index):
        mixture = [(Faces(0, 10), 3.0), (Faces(100, 7), 1.0)]
        return pipeline(
            annotated=mixture, options=AugmentOptions(), shard_index=index, shard_count=2
        )

    for index in range(2):
        iterator = shard(index)
        take(iterator, 4)
        state = iterator.get_state()
        fresh = shard(index)
        fresh.set_state(state)
        assert_same(take(fresh, 4), take(iterator, 4))


def test_shards_are_disjoint_and_together_the_whole():
    shards = [
        take(pipeline(sizes=(4, 8), shard_index=index, shard_count=2), 6) for index in range(2)
    ]
    whole = take(pipeline(sizes=(4, 8)), 6)
    for half, count in (("annotated", 24), ("in_the_wild", 48)):
        first, second = (names(shard, half) for shard in shards)
        assert len(first) == len(second) == count // 2
        assert not set(first) & set(second)
        # Two processes see what one would have: position p of the whole is p // 2 of shard p % 2.
        together = np.stack([first, second], axis=1).ravel()
        np.testing.assert_array_equal(together, names(whole, half))


def test_shards_distort_differently():
    """At the same place of their shards, two processes must not make the same changes."""
    options = AugmentOptions(shift_px=4, scale=0, rotation_degrees=0, flip_probability=0)
    same = [(Faces(0, 1), 1.0)]
    shifts = [
        np.concatenate(
            [
                batch["annotated"]["coefficients"][:, 3]
                for batch in take(
                    pipeline(annotated=same, options=options, shard_index=i, shard_count=2), 3
                )
            ]
        )
        for i in range(2)
    ]
    assert (shifts[0] != shifts[1]).all()


def test_an_epochs_repeats_are_distorted_anew():
    options = AugmentOptions(shift_px=4, scale=0, rotation_degrees=0)
    batches = take(pipeline(annotated=[(Faces(0, 1), 1.0)], options=options), 5)
    shifts = np.concatenate([batch["annotated"]["coefficients"][:, 3] for batch in batches])
    assert len(np.unique(shifts)) == len(shifts)


def test_mixtures_have_their_shares_and_all_faces():
    mixture = [(Faces(0, 10), 3.0), (Faces(100, 7), 1.0)]
    seen = names(take(pipeline(annotated=mixture, sizes=(8, 1)), 25))
    # 200 faces in the ratio 3 : 1, which grain keeps to within one face.
    assert abs((seen < 100).sum() - 150) <= 1
    assert set(seen) == {*range(10), *range(100, 107)}


def test_it_never_ends_though_sources_differ_in_length():
    iterator = pipeline(annotated=[(Faces(0, 3), 1.0)], sizes=(5, 1))
    seen = names(take(iterator, 12))
    np.testing.assert_array_equal(np.bincount(seen.astype(int)), [20, 20, 20])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"annotated": [(Faces(0, 0), 1.0)]}, "data.annotated: source 0 has 0 faces"),
        ({"wild": [(Faces(0, 5), 0.0)]}, "data.in_the_wild: .* share 0.0; expected .* positive"),
        ({"annotated": [(Faces(0, 5), 1), (Faces(0, 5), -1)]}, "source 1 .* share -1"),
        ({"sizes": (0, 6)}, "annotated_batch_size is 0"),
        ({"sizes": (4, 5), "shard_count": 2}, "in_the_wild_batch_size is 5; .* the 2 processes"),
        ({"shard_index": 2, "shard_count": 2}, "shard 2 of 2; expected 0 to 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        pipeline(**arguments)


@pytest.mark.parametrize("half", ["annotated", "in_the_wild"])
def test_a_missing_half_is_named(half):
    sources = {"annotated": [(Faces(0, 5), 1.0)], "in_the_wild": [(Faces(0, 5), 1.0)], half: []}
    with pytest.raises(ValueError, match=f"data.{half} names no source"):
        make_pipeline(
            **sources,
            annotated_batch_size=1,
            in_the_wild_batch_size=1,
            augment_options=UNCHANGED,
            seed=0,
        )


class SomeBad(Faces):
    """Annotated faces of which some cannot be read."""

    def __init__(self, count, bad):
        super().__init__(0, count)
        self.bad = set(bad)

    def __getitem__(self, index):
        if int(index) in self.bad:
            raise ValueError("the crop is unreadable")
        return super().__getitem__(index)

    def record_name(self, index):
        return f"face{index}.png"


def test_a_bad_face_in_a_small_source_stops_the_run_with_its_name():
    with pytest.raises(ValueError, match=r"data.annotated\[0\]: bad record face2.png .*unreadable"):
        take(pipeline(annotated=[(SomeBad(5, [2]), 1.0)]), 5)


def test_bad_faces_are_replaced_in_the_same_way_by_any_threads_and_after_resuming(caplog):
    def batches(**others):
        return pipeline(
            annotated=[(SomeBad(40, [7, 8, 30]), 1.0)], options=AugmentOptions(), **others
        )

    iterator = batches(num_threads=3)
    first = take(iterator, 4)
    state = iterator.get_state()
    rest = take(iterator, 8)
    assert_same(first + rest, take(batches(num_threads=0), 12))
    fresh = batches()
    fresh.set_state(state)
    assert_same(take(fresh, 8), rest)
    assert {record.getMessage().split(":")[1] for record in caplog.records} == {
        f" bad record face{number}.png (number {number})" for number in (7, 8, 30)
    }


def test_an_epoch_with_bad_faces_gives_their_followers_twice():
    seen = names(take(pipeline(annotated=[(SomeBad(40, [7, 8, 39]), 1.0)]), 10))
    counts = np.bincount(seen.astype(int), minlength=40)
    np.testing.assert_array_equal(counts[[7, 8, 9, 39, 0]], [0, 0, 3, 0, 2])
    assert (np.delete(counts, [7, 8, 9, 39, 0]) == 1).all()


def test_annotated_faces_are_mirrored_only_with_a_coefficient_mirror():
    options = AugmentOptions(0, 0, 0, 1, 0, 0, 0, 0)
    mirror = CoefficientMirror(-np.eye(50), np.ones(50), 0.0)
    plain = next(pipeline(options=options))["annotated"]
    mirrored = next(pipeline(options=options, coefficient_mirror=mirror))["annotated"]
    np.testing.assert_array_equal(
        mirrored["coefficients"][:, 12:], 1 - plain["coefficients"][:, 12:]
    )
    # x = 120 - x, which is the translation's first number.
    np.testing.assert_array_equal(
        mirrored["coefficients"][:, 3], 120 - names([{"annotated": plain}])
    )


def test_sources_of_one_batch_may_be_flipped_or_not():
    options = AugmentOptions(0, 0, 0, 1, 0, 0, 0, 0)
    mirror = CoefficientMirror(np.eye(50), np.zeros(50), 0.0)
    annotated = [TrainingSource(Faces(0, 10), 1.0, flip=False), TrainingSource(Faces(20, 10))]
    wild = [TrainingSource(Faces(0, 24, annotated=False), flip=False)]
    batches = take(
        pipeline(annotated=annotated, wild=wild, options=options, coefficient_mirror=mirror), 5
    )
    shown = np.concatenate([batch["annotated"]["coefficients"] for batch in batches])
    # Shape stays under this mirror, and names the face; the camera's x tells what was done.
    faces, x = shown[:, 12], shown[:, 3]
    np.testing.assert_array_equal(x, np.where(faces < 20, faces, 120 - faces))
    assert (faces < 20).any()
    assert (faces >= 20).any()
    # As far as flips go, the half beside it is its own.
    assert (names(batches, "in_the_wild") < 24).all()


def test_a_half_without_size_is_not_read():
    class Unreadable(Faces):
        def __getitem__(self, index):
            raise AssertionError("was decoded for nothing")

    options = AugmentOptions()
    both = pipeline(options=options)
    alone = pipeline(wild=[(Unreadable(0, 5), 1.0)], sizes=(4, 0), options=options)
    with_both, with_one = take(both, 4), take(alone, 4)
    assert [set(batch) for batch in with_one] == [{"annotated"}] * 4
    # The other half's faces, order and augmentation do not depend on it.
    assert_same(
        [batch | {"in_the_wild": {}} for batch in with_both],
        [batch | {"in_the_wild": {}} for batch in with_one],
    )
    state = alone.get_state()
    expected = take(alone, 3)
    fresh = pipeline(wild=[(Unreadable(0, 5), 1.0)], sizes=(4, 0), options=options)
    fresh.set_state(state)
    assert_same(
        [batch | {"in_the_wild": {}} for batch in take(fresh, 3)],
        [batch | {"in_the_wild": {}} for batch in expected],
    )


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"sizes": (4, 12)},
        {"sizes": (4, 0)},
        {"annotated": [(Faces(0, 23), 1.0)]},
        {"annotated": [(Faces(0, 24), 1.0), (Faces(0, 24), 1.0)]},
        {"wild": [TrainingSource(Faces(1000, 48, annotated=False), flip=False)]},
    ],
)
def test_a_position_in_another_order_is_refused(other):
    state = pipeline().get_state()
    with pytest.raises(ValueError, match="another order of them"):
        pipeline(**other).set_state(state)


def test_a_position_of_an_earlier_version_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"by an earlier version.*--config\.init_from"):
        pipeline().set_state({"next_index": 7})


def test_other_processes_continue_in_the_same_order():
    state = pipeline(sizes=(4, 8)).get_state()
    pipeline(sizes=(4, 8), shard_index=1, shard_count=2).set_state(state)


def test_closed_batches_are_over():
    batches = pipeline()
    next(batches)
    batches.close()
    with pytest.raises(ValueError, match="closed"):
        next(batches)
