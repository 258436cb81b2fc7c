"""From sources to batches: shuffled, mixed, sharded, augmented, resumable (grain)."""

import functools
from collections.abc import Sequence
from typing import Any

import grain

from twodasl_jax.data.augment import AugmentOptions, augment
from twodasl_jax.data.checked_source import CheckedSource
from twodasl_jax.data.mirrored_faces import CoefficientMirror

# grain tells maps apart by their seeds: the two halves of a batch must not share theirs.
_HALVES = ("annotated", "in_the_wild")

_ENDLESS = 2**40
"""Faces per source: more than any training sees. grain's own endlessness overflows where sources
are mixed or batches are small."""


def make_pipeline(
    annotated: Sequence[tuple[Any, float]],
    in_the_wild: Sequence[tuple[Any, float]],
    *,
    annotated_batch_size: int,
    in_the_wild_batch_size: int,
    augment_options: AugmentOptions,
    seed: int,
    coefficient_mirror: CoefficientMirror | None = None,
    num_threads: int = 2,
    shard_index: int = 0,
    shard_count: int = 1,
) -> grain.DatasetIterator:
    """An endless iterator of batches, deterministic by seed and step.

    A bad record is replaced by the next good one of its source; see `CheckedSource` for how many
    are borne.

    Args:
      annotated: sources with their shares in the mixture.
      in_the_wild: likewise.
      annotated_batch_size: of all processes together.
      in_the_wild_batch_size: likewise.
      augment_options: for both halves.
      seed: names the whole sequence.
      coefficient_mirror: of the face model; without it annotated faces are never mirrored.
      num_threads: threads that decode and augment; worker processes were slower.
      shard_index: this process's number.
      shard_count: number of processes; their faces do not overlap within an epoch.

    Returns:
      Gives ``{"annotated": {...}, "in_the_wild": {...}}`` with the fields of
      `twodasl_jax.array_types`; ``get_state`` and ``set_state`` resume it exactly.

    Raises:
      ValueError: without sources, for an empty one or a share that is not positive, or where
        processes cannot share a batch; and, from the iterator, for too many bad records.
    """
    if not 0 <= shard_index < shard_count:
        raise ValueError(f"shard {shard_index} of {shard_count}; expected 0 to {shard_count - 1}")
    halves = []
    sizes = (annotated_batch_size, in_the_wild_batch_size)
    for number, (sources, size) in enumerate(zip((annotated, in_the_wild), sizes, strict=True)):
        _check_half(_HALVES[number], sources, size, shard_count)
        mixed = _mixture(_HALVES[number], sources, seed=2 * seed + number)
        # Before sharding: grain seeds by position, and two processes at the same position of
        # their shards must not distort their faces alike.
        examples = mixed.random_map(
            functools.partial(
                augment, options=augment_options, coefficient_mirror=coefficient_mirror
            ),
            seed=2 * seed + number,
        )
        halves.append(examples[shard_index::shard_count].batch(size // shard_count))
    # Endless both, but grain counts: they are cut to one length to be paired.
    length = min(len(half) for half in halves)
    paired = grain.experimental.ZipMapDataset([half[:length] for half in halves])
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=2 * num_threads)
    named = paired.map(lambda pair: dict(zip(_HALVES, pair, strict=True)))
    return iter(named.to_iter_dataset(options))


def _check_half(
    half: str, sources: Sequence[tuple[Any, float]], size: int, shard_count: int
) -> None:
    if not sources:
        raise ValueError(f"data.{half} names no source; expected at least one")
    if size < 1 or size % shard_count:
        raise ValueError(
            f"{half}_batch_size is {size}; expected a multiple of the {shard_count} processes"
        )


def _mixture(half: str, sources: Sequence[tuple[Any, float]], *, seed: int) -> grain.MapDataset:
    for number, (source, share) in enumerate(sources):
        if len(source) == 0 or not 0 < share < float("inf"):
            raise ValueError(
                f"data.{half}: source {number} has {len(source)} faces and the share {share}; "
                "expected at least one face and a positive share"
            )
    endless = [
        grain.MapDataset.source(CheckedSource(source, name=f"data.{half}[{number}]"))
        .seed(seed + 1000 * number)
        .shuffle()
        .repeat(-(-_ENDLESS // len(source)))
        for number, (source, _) in enumerate(sources)
    ]
    if len(endless) == 1:
        return endless[0]
    return grain.MapDataset.mix(endless, [weight for _, weight in sources])
