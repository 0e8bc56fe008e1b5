"""An image to bytes in one call, as the encoder itself writes it."""

import numpy as np
import pytest

import onboard
from onboard.bundle import load
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, InputError, UsageError
from onboard.link.header import SceneHeader

IMAGE = np.random.default_rng(3).integers(400, 900, (2, 64, 80)).astype(np.uint16)


def test_the_bytes_are_those_of_the_encoder() -> None:
    wanted = b"".join(
        Encoder(load("skybook")).encode(
            IMAGE, SceneHeader.of(IMAGE, nodata=500), Options(ratio=9, scene_id=4)
        )
    )
    assert onboard.encode(IMAGE, ratio=9, scene_id=4, nodata=500) == wanted
    assert onboard.encode(IMAGE.astype(">u2"), ratio=9, scene_id=4, nodata=500) == wanted
    header = SceneHeader.of(IMAGE, nodata=500)
    assert onboard.encode(IMAGE, header=header, ratio=9, scene_id=4) == wanted


def test_one_band_needs_no_axis() -> None:
    assert onboard.encode(IMAGE[0], ratio=9) == onboard.encode(IMAGE[:1], ratio=9)


def test_every_rate_can_be_asked_for() -> None:
    assert len(onboard.encode(IMAGE, budget=3000)) <= 3000
    assert onboard.encode(IMAGE, psnr=60) == onboard.encode(IMAGE, rmse=65.535)
    assert len(onboard.encode(IMAGE, max_error=9)) < len(onboard.encode(IMAGE, max_error=0))
    in_two_parts = Options(max_error=Bound((0,)), max_error_first=Bound((9,)))
    wanted = b"".join(Encoder(load("skybook")).encode(IMAGE, None, in_two_parts))
    assert onboard.encode(IMAGE, max_error=0, max_error_first=9) == wanted


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="float64"):
        onboard.encode(IMAGE / 2)
    with pytest.raises(InputError, match="bands, rows, cols"):
        onboard.encode(IMAGE[None])
    with pytest.raises(UsageError, match="several"):
        onboard.encode(IMAGE, ratio=5, max_error=1)
    with pytest.raises(UsageError, match="both"):
        onboard.encode(IMAGE, rmse=5, psnr=60)
    with pytest.raises(UsageError, match=r"0\.\.200 dB"):
        onboard.encode(IMAGE, psnr=-1)
    with pytest.raises(BundleError, match="no-such"):
        onboard.encode(IMAGE, "no-such")
