"""Scrub: bits of the model that flip in memory are found before anything made with them is sent."""

import ctypes
import io
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard.bundle import load
from onboard.bundle.scrub import Scrub, arrays_in
from onboard.codec.lapped import bandtransform, trellis
from onboard.codec.lapped.codec import LappedCodec
from onboard.downlink.recorder import Recorder
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError
from onboard.link.header import SceneHeader
from tests.conftest import model_of

MODELS = ["skybook", "corsa-2level-1024"]


def flip(address: int, bit: int) -> None:
    """Flip a bit of this process's memory."""
    byte = ctypes.c_ubyte.from_address(address + bit // 8)
    byte.value ^= 1 << bit % 8


def address_of(part: bytes) -> int:
    """Return where the bytes of an object are."""
    return int(np.frombuffer(part, np.uint8).ctypes.data)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load("skybook"), "numpy")


@pytest.fixture(scope="module")
def scrub(encoder: Encoder) -> Scrub:
    return Scrub(encoder.bundle, encoder.coder)


def test_every_flip_in_the_bundle_is_found(encoder: Encoder, scrub: Scrub) -> None:
    parts = encoder.bundle.parts
    bits = np.array([8 * len(part) for part in parts.values()])
    generator = np.random.default_rng(1)
    for _ in range(1_000):
        name = list(parts)[int(generator.choice(len(bits), p=bits / bits.sum()))]
        bit = int(generator.integers(8 * len(parts[name])))
        flip(address_of(parts[name]), bit)
        with pytest.raises(BundleError, match=f"part {name} changed in memory"):
            scrub.check()
        flip(address_of(parts[name]), bit)
    scrub.check()


def test_every_flip_in_what_was_made_of_it_is_found(encoder: Encoder, scrub: Scrub) -> None:
    """The numpy engine works on these arrays: it has no copy of its own."""
    arrays = [array for _, array in arrays_in(encoder.coder.memory, "model")]
    assert sum(array.nbytes for array in arrays) > 400_000
    assert len({array.ctypes.data for array in arrays}) == len(arrays)
    generator = np.random.default_rng(2)
    for _ in range(300):
        array = arrays[int(generator.integers(len(arrays)))]
        assert array.flags.c_contiguous
        bit = int(generator.integers(8 * array.nbytes))
        flip(array.ctypes.data, bit)
        with pytest.raises(BundleError, match="changed in memory"):
            scrub.check()
        flip(array.ctypes.data, bit)
    scrub.check()


@pytest.mark.parametrize(("module", "name"), [(trellis, "BRANCH"), (bandtransform, "_COS")])
def test_a_flip_in_a_constant_is_found(module: ModuleType, name: str, scrub: Scrub) -> None:
    constant = vars(module)[name]
    flip(constant.ctypes.data, 9)
    with pytest.raises(BundleError, match=f"{module.__name__}.{name} changed in memory"):
        scrub.check()
    flip(constant.ctypes.data, 9)
    scrub.check()


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_that_changed_is_found(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine keeps for itself shows in what it makes of a golden tile."""
    encoder = Encoder(load(model))
    scrub = Scrub(encoder.bundle, encoder.coder)
    scrub.check()
    coder: Any = encoder.coder
    name = "_session" if model == "skybook" else "session"

    class Upset:
        """An engine one of whose weights flipped."""

        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def run(self, samples: Any) -> Any:
            found = self._engine.run(samples)
            (found if model == "skybook" else found[0]).reshape(-1)[:9] += 40
            return found

    monkeypatch.setattr(coder, name, Upset(getattr(coder, name)))
    with pytest.raises(BundleError, match="golden tile"):
        scrub.check()


def test_a_bundle_whose_golden_vectors_fail_is_refused() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    dead = model_of(encoder.bundle).quantisation.dead
    for level in range(20, 40):
        flip(dead[level:].ctypes.data, 13)
    with pytest.raises(BundleError, match="golden vectors do not pass"):
        Scrub(encoder.bundle, encoder.coder)


@pytest.mark.parametrize("tile", [64, 128])
def test_golden_tiles_of_as_many_bands_stand_for_a_scene_of_any_tiles(tile: int) -> None:
    codec = load("skybook").for_scene(4, 16, tile=tile).codec
    alike = sum(found.form[0] == 4 for found in LappedCodec.of(codec).golden)
    found = codec.open("numpy").golden()
    assert found.agree == found.total == [alike]


def test_where_no_golden_tile_is_alike_all_are_coded() -> None:
    codec = load("skybook").for_scene(5, 16).codec
    found = codec.open("numpy").golden()
    assert found.agree == found.total == [len(LappedCodec.of(codec).golden)]


def test_what_was_encoded_with_a_changed_model_is_not_written(encoder: Encoder) -> None:
    """Strips are held until the check after them passes."""
    bundle = load("skybook")
    own = Encoder(bundle, "numpy")
    recorder = Recorder(io.BytesIO(), scrub=Scrub(bundle, own.coder), scrub_rows=2)
    output: Any = recorder._output
    output.seekable = lambda: False
    image = procedural(3, 200, 100).image
    header = SceneHeader.of(image, tile=64)
    strips = list(own.strips(image, header, Options(window="strip")))
    recorder.record(strips[0])
    assert not output.getvalue()
    recorder.record(strips[1])
    written = output.getvalue()
    assert written == b"".join([*strips[0].segments, *strips[1].segments])
    recorder.record(strips[2])
    flip(address_of(bundle.parts["lapped"]), 12_345)
    with pytest.raises(BundleError, match="part lapped"):
        recorder.record(strips[3])
    assert output.getvalue() == written
    flip(address_of(bundle.parts["lapped"]), 12_345)
