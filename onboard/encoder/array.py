"""Array: an image that is all there to the bytes of a stream, for callers in Python."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onboard import bundle as bundles
from onboard.bundle.profiles import load_profile
from onboard.codec.bound import Bound
from onboard.encoder.indices import open_encoder
from onboard.encoder.options import Options
from onboard.link.header import SceneHeader


def encode_array(
    image: Any,
    bundle: str = "skybook",
    *,
    nodata: int | None = None,
    header: SceneHeader | None = None,
    max_error: int | str | None = None,
    max_error_first: int | str | None = None,
    profile: str | Path | None = None,
    trellis: bool | None = None,
    **options: Any,
) -> bytes:
    """Return the segments of an image as one stream.

    Args:
        image: (bands, rows, cols), or (rows, cols) of one band, of uint8, int8, uint16 or int16,
            of any byte order: whatever numpy takes for an array.
        bundle: name or path of the bundle.
        nodata: value of pixels without data.
        header: what to say of the scene besides: its place, time, names of bands and so on.
        max_error: most that a sample may be off: DN, 0 without loss; `D1,D2,...`; `sqrt:K`.
        max_error_first: a coarser bound, of the first part of each tile; its rest is sent apart.
        profile: spectral profile (.prof) for more than 16 bands, or its folder of slots.
        trellis: whether to choose indices along a trellis, for fewer bytes; None does so where
            engine `c` codes the scene at a rate, so that the bytes depend on whether it is built.
        options: as of `Options`: `ratio`, `budget` (bytes), `psnr` (dB of peak 65535), `rmse`,
            `quality_block`, `scene_id` and so on; without a rate the ratio is 20.48.

    Raises:
        InputError: the image has another dtype or shape.
        UsageError: an option out of range, or several rates.
        BundleError: there is no such bundle, or spectral profile.
        LimitError: the coarsest encoding takes more than the budget.
    """
    samples = np.asarray(image)
    samples = samples[None] if samples.ndim == 2 else samples
    header = header or SceneHeader.of(samples)
    if nodata is not None:
        header = replace(header, nodata=nodata)
    for name, bound in (("max_error", max_error), ("max_error_first", max_error_first)):
        if bound is not None:
            options[name] = Bound.parse(str(bound))
    spectral = None if profile is None else load_profile(Path(profile))
    scene = replace(header, bands=len(samples))
    encoder, chosen = open_encoder(
        bundles.load(bundle), scene, Options(**options), trellis, profile=spectral
    )
    return b"".join(encoder.encode(samples, header, chosen))
