"""Study: a network for each fold of places and seed, scored on what codecs leave of others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from benchmarks.reproduce.segmentation.scores import Counts, figures
from benchmarks.reproduce.segmentation.tasks import Sample
from benchmarks.reproduce.segmentation.ways import ORIGINAL, Image, Way, original
from onboard.errors import LimitError, UsageError

FOLDS = 3


@dataclass(frozen=True)
class Effort:
    """How much is trained.

    Attributes:
        steps: of each network.
        seeds: number of networks of each fold.
        samples: most samples, evenly spread.
        side: most rows and columns of each.
    """

    steps: int
    seeds: int
    samples: int
    side: int

    def chosen(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return as many of some samples as are looked at, and so much of each."""
        count = min(len(samples), self.samples)
        return [samples[i * len(samples) // count].within(self.side) for i in range(count)]


FULL = Effort(steps=600, seeds=3, samples=200, side=1024)
QUICK = Effort(steps=150, seeds=1, samples=36, side=256)


def folds(places: Sequence[str], count: int = FOLDS) -> list[set[str]]:
    """Part places into sets, in an order of chance that depends on their names alone.

    Raises:
        UsageError: fewer than two places.
    """
    drawn = sorted(set(places), key=lambda place: sha256(place.encode()).digest())
    if len(drawn) < 2:
        raise UsageError(f"segmentation: expected samples of two places, found {drawn}")
    return [set(drawn[first::count]) for first in range(min(count, len(drawn)))]


def study(
    samples: Sequence[Sample],
    ways: Mapping[str, Way],
    effort: Effort,
    report: Callable[[str], None],
    leave: Callable[[str], None],
) -> dict[str, dict[str, float]]:
    """Return the figures of each way, see `figures`, the originals among them.

    Networks see originals alone. What a way cannot code in its bytes is not scored, and counted as
    `left_out`; a way that can code none of the samples is left out itself.

    Raises:
        UsageError: samples of one place, or no torch.
    """
    try:
        from benchmarks.reproduce.segmentation.unet import predict, train  # noqa: PLC0415 (torch)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"segmentation needs torch: pip install 'skybook[train]' ({error})"
        ) from error

    chosen = effort.chosen(samples)
    parts = folds([sample.place for sample in chosen])
    decoded = _decoded(chosen, {ORIGINAL: original, **ways}, report, leave)
    counts: dict[str, list[Counts | None]] = {name: [] for name in decoded}
    places: list[str] = []
    for number, part in enumerate(parts):
        training = [sample for sample in chosen if sample.place not in part]
        for seed in range(effort.seeds):
            report(f"network {number + 1} of {len(parts)}, seed {seed}")
            network = train(training, effort.steps, seed)
            for index, sample in enumerate(chosen):
                if sample.place in part:
                    places.append(sample.place)
                    for name, images in decoded.items():
                        image = images[index]
                        counts[name].append(
                            None
                            if image is None
                            else Counts.of(sample.mask, predict(network, image))
                        )
    return {
        name: {**row, "left_out": float(sum(image is None for image in decoded[name]))}
        for name, row in figures(counts, places, ORIGINAL).items()
    }


def _decoded(
    samples: Sequence[Sample],
    ways: Mapping[str, Way],
    report: Callable[[str], None],
    leave: Callable[[str], None],
) -> dict[str, list[Image | None]]:
    """Return what each way leaves of each sample; None of one that it cannot code in its bytes."""
    found: dict[str, list[Image | None]] = {}
    for name, way in ways.items():
        report(f"{name}: {len(samples)} images")
        images: list[Image | None] = []
        reasons: list[str] = []
        for sample in samples:
            try:
                images.append(way(sample.image))
            except LimitError as error:
                images.append(None)
                reasons.append(str(error))
        if reasons:
            leave(f"{name}: {len(reasons)} of {len(samples)} images: {reasons[0]}")
        if len(reasons) < len(samples):
            found[name] = images
    return found
