"""Features of streams beside random encoders of decoded tiles, and how far the site tells."""

from benchmarks.reproduce.classification.samples import SIDE, labelled, within_sites
from benchmarks.reproduce.classification.streams import open_flagship, streamed
from benchmarks.reproduce.classificationtables import (
    BANDS,
    RATIO,
    SOURCE,
    effort_of,
    need_torch,
)
from benchmarks.reproduce.table import Figures, Measured, Settings, Table

WITHIN = "within sites"


def _measure(settings: Settings) -> Measured:
    need_torch()
    from benchmarks.reproduce.classification.ahead import SEEDS, ahead  # noqa: PLC0415 (torch)
    from benchmarks.reproduce.classification.backbone import architecture  # noqa: PLC0415 (torch)

    effort, left = effort_of(settings), list[str]()
    shape = architecture(BANDS, SIDE, effort.depths, effort.codewords)
    decoder = open_flagship()
    tasks = {tiles.task: tiles for tiles in labelled(settings.data, effort.tiles, left.append)}
    within = within_sites(settings.data, effort.tiles, left.append)
    found: dict[str, Figures] = {}
    for name, tiles in (tasks | {f"{of.task} {WITHIN}": of for of in within}).items():
        settings.report(name)
        told = ahead(tiles, streamed(tiles, RATIO, decoder), shape, effort.head)
        found[name] = {
            "features": told.ours,
            "random": told.theirs,
            "ahead_low": told.low,
            "ahead_high": told.high,
            "tiles": len(tiles.labels),
            "sites": len(set(tiles.sites)),
            "mixed": tiles.mixed,
        }
    where = settings.data or "procedural scenes"
    notes = tuple(f"left out: {text}" for text in left[:5])
    return Measured(found, f"{where}, ratio {RATIO:g}", SEEDS, notes)


FEATURES = Table(
    "features",
    "features of skybook's streams beside random encoders of decoded tiles, task by task",
    SOURCE + ", has the tasks and the head",
    {
        "features": "accuracy from features of streams, mean of three heads",
        "random": "accuracy from three random encoders of what was decoded",
        "ahead_low": "by how much features are ahead, in 95 of 100 draws of sites: at least",
        "ahead_high": "likewise, at most",
        "tiles": "of the task",
        "sites": "that they lie in",
        "mixed": "sites with tiles of both labels: of others the site alone tells the label",
    },
    {},
    _measure,
    (
        "tiles of a task show what is looked for, or none of it; heads never saw their place, "
        "which of few sites is the upper or the lower half of one",
        f"{WITHIN}: tiles show more or less of it than others of their site, as many of each site; "
        "sites never part, and those alone that have both are taken",
    ),
)
