"""From sources to batches: shuffled, mixed, sharded, augmented, resumable (grain)."""

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import grain

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.augment import AugmentOptions, augment
from twodasl_jax.data.checked_source import CheckedSource
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.data.seeds import derived_seed
from twodasl_jax.data.source_protocol import Role, Source

_HALVES: tuple[Role, ...] = ("annotated", "in_the_wild")

_ENDLESS = 2**40
"""Faces per source: more than any training sees. grain's own endlessness overflows where sources
are mixed or batches are small."""


class TrainingSource(NamedTuple):
    """One source of one half of the training data.

    Attributes:
      faces: a `Source` of that half; an `AnnotatedSource` in the annotated one.
      share: of the half's mixture, positive.
      flip: False never mirrors its faces: it holds their mirror images already.
    """

    faces: Any
    share: float = 1.0
    flip: bool = True


class Batches:
    """An endless iterator of batches whose position says of which order of the faces it is."""

    def __init__(self, iterator: grain.DatasetIterator, order: int) -> None:
        """Wraps grain's iterator.

        Args:
          iterator: of the batches.
          order: a checksum of all that decides which faces come when.
        """
        self._iterator, self._order = iterator, order

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, dict[str, Any]]:
        return next(self._iterator)

    def close(self) -> None:
        """Ends the threads that read ahead; there are no batches any more."""
        self._iterator.close()

    def get_state(self) -> dict[str, Any]:
        """The position, plain values."""
        return {"order": self._order, "position": self._iterator.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes to a position.

        Raises:
          ValueError: for one of another order, in which the same number means other faces.
        """
        if state.get("order") != self._order:
            raise ValueError(
                "the checkpoint's place in the training data is one in another order of them: "
                "seed, sources, their faces or batch sizes have changed since, or it was written "
                "by an earlier version, which ordered them by another rule. Finish the run with "
                "the version and data that it was begun with, or train into a new workdir (from "
                "the networks of a finished stage: --config.init_from)"
            )
        self._iterator.set_state(state["position"])


def make_pipeline(
    annotated: Sequence[TrainingSource | tuple[Source, float]],
    in_the_wild: Sequence[TrainingSource | tuple[Source, float]],
    *,
    annotated_batch_size: int,
    in_the_wild_batch_size: int,
    augment_options: AugmentOptions,
    seed: int,
    crop_size: int = CROP_SIZE,
    coefficient_mirror: CoefficientMirror | None = None,
    num_threads: int = 2,
    keep_decoded: bool = False,
    shard_index: int = 0,
    shard_count: int = 1,
) -> Batches:
    """An endless iterator of batches, deterministic by seed and step.

    A bad record is replaced by the next good one of its source; see `CheckedSource` for how many
    are borne.

    Args:
      annotated: sources with their shares in the mixture; a plain pair may be flipped.
      in_the_wild: likewise.
      annotated_batch_size: of all processes together.
      in_the_wild_batch_size: likewise; 0 leaves this half out, which a stage does not read then.
      augment_options: for both halves.
      seed: names the whole sequence.
      crop_size: side of the pictures, pixels; crops stored in another size are resampled.
      coefficient_mirror: of the face model; without it annotated faces are never mirrored.
      num_threads: threads that decode and augment; worker processes were slower.
      keep_decoded: pictures are decoded once and kept in memory, 43 KB for each crop of 120.
      shard_index: this process's number.
      shard_count: number of processes; their faces do not overlap within an epoch.

    Returns:
      Gives ``{"annotated": {...}, "in_the_wild": {...}}`` with the fields of
      `twodasl_jax.array_types`, the second only where it has a size; ``get_state`` and
      ``set_state`` resume it exactly.

    Raises:
      ValueError: without sources, for an empty one or a share that is not positive, or where
        processes cannot share a batch; and, from the iterator, for too many bad records.
    """
    if not 0 <= shard_index < shard_count:
        raise ValueError(f"shard {shard_index} of {shard_count}; expected 0 to {shard_count - 1}")
    sizes = (annotated_batch_size, in_the_wild_batch_size)
    unflipped = dataclasses.replace(augment_options, flip_probability=0.0)
    halves, order = {}, []
    for name, given, size in zip(_HALVES, (annotated, in_the_wild), sizes, strict=True):
        if name == "in_the_wild" and size == 0:
            continue
        sources = [
            pair if isinstance(pair, TrainingSource) else TrainingSource(pair[0], pair[1])
            for pair in given
        ]
        _check_half(name, sources, size, shard_count)
        # grain tells maps apart by their seeds: no two may share theirs.
        seeds = [derived_seed(seed, name, number) for number in range(len(sources))]
        order += [size, *(_fingerprint(*pair) for pair in zip(sources, seeds, strict=True))]
        examples = [
            _examples(
                CheckedSource(
                    source.faces,
                    name=f"data.{name}[{number}]",
                    crop_size=crop_size,
                    keep=keep_decoded,
                ),
                augment_options if source.flip else unflipped,
                coefficient_mirror,
                own,
            )
            for number, (source, own) in enumerate(zip(sources, seeds, strict=True))
        ]
        halves[name] = _mixed(examples, sources)[shard_index::shard_count].batch(
            size // shard_count
        )
    # Endless all, but grain counts: they are cut to one length to be paired.
    length = min(len(half) for half in halves.values())
    paired = grain.experimental.ZipMapDataset([half[:length] for half in halves.values()])
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=2 * num_threads)
    names = tuple(halves)
    named = paired.map(lambda batches: dict(zip(names, batches, strict=True)))
    return Batches(iter(named.to_iter_dataset(options)), zlib.crc32(repr(order).encode()))


def _check_half(half: Role, sources: Sequence[TrainingSource], size: int, shard_count: int) -> None:
    if not sources:
        raise ValueError(f"data.{half} names no source; expected at least one")
    if size < 1 or size % shard_count:
        raise ValueError(
            f"{half}_batch_size is {size}; expected a multiple of the {shard_count} processes"
        )
    for number, source in enumerate(sources):
        if len(source.faces) == 0 or not 0 < source.share < float("inf"):
            raise ValueError(
                f"data.{half}: source {number} has {len(source.faces)} faces and the share "
                f"{source.share}; expected at least one face and a positive share"
            )
        if source.faces.role != half:
            raise ValueError(
                f"data.{half}: source {number} gives faces of the half '{source.faces.role}'; "
                f"open it in the role '{half}'"
            )


def _fingerprint(source: TrainingSource, seed: int) -> tuple[int, int, float, bool]:
    return seed, len(source.faces), float(source.share), bool(source.flip)


def _examples(
    faces: CheckedSource,
    options: AugmentOptions,
    coefficient_mirror: CoefficientMirror | None,
    seed: int,
) -> grain.MapDataset:
    """One source, shuffled anew in every epoch and augmented, without end."""
    # Before sharding: grain seeds by position, and two processes at the same position of
    # their shards must not distort their faces alike.
    return (
        grain.MapDataset.source(faces)
        .seed(seed)
        .shuffle()
        .repeat(-(-_ENDLESS // len(faces)))
        .random_map(
            functools.partial(augment, options=options, coefficient_mirror=coefficient_mirror)
        )
    )


def _mixed(
    examples: Sequence[grain.MapDataset], sources: Sequence[TrainingSource]
) -> grain.MapDataset:
    if len(examples) == 1:
        return examples[0]
    return grain.MapDataset.mix(examples, [source.share for source in sources])
