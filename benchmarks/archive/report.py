"""What the ground segment takes, for people."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def ground_text(found: Mapping[str, Any]) -> str:
    """Return what `ground` prints."""
    lines = [found["machine"]]
    for name, text in _TEXTS.items():
        if name in found:
            lines += text(found[name])
    return "\n".join(lines)


def _batch(batch: Mapping[str, Any]) -> Iterator[str]:
    yield f"batch: {batch['scenes']} scenes of 4 x {batch['side']} x {batch['side']}, to GeoTIFFs:"
    for workers, seconds in batch["seconds"].items():
        speed, times = batch["mpixel_per_s"][workers], batch[f"efficiency_{workers}"]
        yield (
            f"{workers:>3} workers: {seconds:8.1f} s, {speed:6.2f} Mpixel/s, {times:5.2f} x one; "
            f"a scene takes {batch[f'scene_{workers}']:.3f} x as long"
        )
    yield f"at most {batch['peak_worker_bytes'] >> 20} MiB a worker"


def _granule(granule: Mapping[str, Any]) -> Iterator[str]:
    side = granule["side"]
    yield (
        f"granule: 4 x {side} x {side}, at most {granule['rss_mb']:.0f} MB; products at "
        f"{granule['products_over_decode']:.2f} of the speed of decoding alone, by processor time "
        f"{granule['products_over_decode_cpu']:.2f}"
    )
    for name, one in granule["scenes"].items():
        yield (
            f"  {name}: {one['stream_bytes']} bytes; encode {one['encode_s']:.1f} s, "
            f"{one['encode_rss_mb']:.0f} MB; decode {one['decode_s']:.1f} s "
            f"(alone {one['decode_alone_s']:.1f}), {one['decode_rss_mb']:.0f} MB; processor "
            f"{one['decode_cpu_s']:.1f} s (alone {one['decode_alone_cpu_s']:.1f})"
        )


def _window(window: Mapping[str, Any]) -> Iterator[str]:
    yield f"window: bytes read over what the tiles hold, of 4 x {window['side']} x {window['side']}"
    for name, title in (("sky", ".sky, refined"), ("sky_linear", ".sky, linear")):
        sizes = ", ".join(f"{size}: {share:.3f}" for size, share in window[name].items())
        yield f"  {title}: {sizes}"
    steps = ", ".join(f"1/{step}: {share:.3f}" for step, share in window["overview"].items())
    yield f"  overviews, of all tiles: {steps}"
    yield f"  Zarr: {window['zarr_over_chunks']:.3f}, shards {window['shards_over_chunks']:.3f}"


def _zarr(zarr: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"zarr: write {zarr['write_over_direct']:.2f}, read {zarr['read_over_direct']:.2f} x the "
        "processor time of encoder and decoder alone with files and threads; in memory, one thread "
        f"{zarr['write_over_memory']:.2f}, {zarr['read_over_memory']:.2f}"
    )
    for rival, title in (("jpeg2000", "JPEG 2000"), ("htj2k", "HTJ2K")):
        plain, trellis = (100 * (zarr[f"bytes_over_{rival}{kind}"] - 1) for kind in ("_plain", ""))
        yield (
            f"  bytes at equal PSNR beside {title}: {plain:+.1f} %, along a trellis "
            f"{trellis:+.1f} % ({len(zarr['scenes'])} scenes)"
        )


_TEXTS = {"batch": _batch, "granule": _granule, "window": _window, "zarr": _zarr}


def plot_batch(batch: Mapping[str, Any], path: Path) -> None:
    """Plot the speed against the workers, beside what it would be without loss."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (only where a plot is wanted)

    workers = [int(count) for count in batch["seconds"]]
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(workers, workers, "--", color="grey", label="no loss")
    axes.plot(workers, [batch[f"efficiency_{n}"] for n in workers], "o-", label="measured")
    axes.set(xlabel="workers", ylabel="times as fast as one", xticks=workers)
    axes.legend()
    figure.savefig(path)
