"""Engine `c`: the C encoder from Python gives the bytes, figures and errors of numpy."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import onboard
from export.csource.library import build_library
from export.csource.randomscene import RandomScene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.bundle.scrub import Scrub
from onboard.codec.bound import Bound
from onboard.codec.lapped.compiled.coder import CompiledTileCoder
from onboard.codec.tile import Chosen
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.encoder.outcome import Outcome
from onboard.engine import library
from onboard.errors import EngineError, SkybookError
from onboard.image.bayer import split
from onboard.link import crc
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from tests.conftest import Run

NAME = "skybook"
PACKETS = PacketOptions(300, 5, True)


@pytest.fixture
def built(engine_c: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle, whose library is found."""
    monkeypatch.setenv("SKYBOOK_ENGINES", str(engine_c))
    return bundles.load(NAME)


def coded(
    bundle: Bundle,
    engine: str,
    image: NDArray[Any],
    header: SceneHeader,
    options: Options,
    threads: int = 1,
) -> tuple[list[bytes], list[Outcome]]:
    """The segments of a scene, and what came of the rate."""
    encoder = Encoder(bundle.for_scene(len(image), header.significant_bits), engine, threads)
    assert encoder.engine_of(options) == engine
    told: list[Outcome] = []
    strips = list(encoder.strips(image, header, options, told.append))
    return [segment for strip in strips for segment in strip.segments], told


def coded_or_refused(*arguments: Any) -> Any:
    """The same, or what an error says."""
    try:
        return coded(*arguments)
    except SkybookError as error:
        return f"{type(error).__name__}: {error}"


def assert_alike(
    bundle: Bundle, image: NDArray[Any], options: Options, header: SceneHeader | None = None
) -> Any:
    header = header or SceneHeader.of(image)
    found, expected = (
        coded_or_refused(bundle, engine, image, header, options) for engine in ("c", "numpy")
    )
    assert found == expected
    return found


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(trellis=True),
        Options(window="strip", one_layer=True, packets=PACKETS),
        Options(window="strip", trellis=True, ratio=40.0, strips_at_once=1),
        Options(rmse=15.0),
        Options(budget=9_000),
        Options(ratio=3.0, segment_bytes=114),
        Options(ratio=4_000.0),
    ],
)
def test_every_rate_gives_the_bytes_of_numpy(built: Bundle, options: Options) -> None:
    assert_alike(built, procedural(5, 150, 200).image, options)


@pytest.mark.parametrize("bands", [1, 2, 4, 7, 16])
def test_random_scenes_give_the_bytes_of_numpy(built: Bundle, bands: int) -> None:
    for seed in range(2):
        scene = RandomScene.of(bands, 10 * bands + seed)
        options = replace(scene.options, segment_bytes=400, packets=None)
        assert len(assert_alike(built, scene.image, options, scene.header)) == 2


def test_nodata_and_mosaics(built: Bundle) -> None:
    scene = procedural(9, 140, 150)
    gaps = scene.image.copy()
    gaps[:, 20:90, 10:100] = 7
    gaps[:, :64, 64:] = 7
    for trellis in (False, True):
        header = replace(SceneHeader.of(gaps), nodata=7)
        assert_alike(built, gaps, Options(trellis=trellis), header)
    planes = split(scene.image[:1] >> 4)
    header = replace(SceneHeader.of(planes, bayer="GRBG"), significant_bits=12)
    assert_alike(built, planes, Options(ratio=6.0), header)


@pytest.mark.parametrize("bound", ["0", "3", "sqrt:1.5", "0,1,2,9"])
def test_bounds_give_the_bytes_of_numpy(built: Bundle, bound: str) -> None:
    image = procedural(8, 70, 90, 4).image
    most = Bound.parse(bound)
    image[:, 10:50, 30:66] = 9
    told = SceneHeader.of(image)
    assert_alike(built, image, Options(max_error=most, segment_bytes=300, one_layer=True))
    assert_alike(built, image, Options(max_error=most), replace(told, nodata=9))
    below = (image >> 4).astype(np.int16) - 500
    assert_alike(built, below, Options(max_error=most))
    box = BoundedBox((60, 0, 90, 30), most)
    assert_alike(built, image, Options(ratio=9.0, regions=(box,), trellis=True))


def test_groups_of_bands_within_a_bound(built: Bundle) -> None:
    cube = np.repeat(procedural(1, 64, 64, 4).image, 5, 0)
    cube[:10, :20] = 3  # nodata of one group alone is none
    header = replace(SceneHeader.of(cube), nodata=3)
    assert_alike(built, cube, Options(max_error=Bound.parse("1")), header)


def test_noise_that_no_table_foresees(built: Bundle) -> None:
    """Full tiles, latents of more than 16 bits, segments longer than planned."""
    rng = np.random.default_rng(4)
    for bands in (1, 4):
        noise = rng.integers(0, 65_536, (bands, 66, 66)).astype(np.uint16)
        assert_alike(built, noise, Options(ratio=1.2))
        assert_alike(built, noise, Options(ratio=60.0, trellis=True))


def test_errors_are_those_of_numpy(built: Bundle) -> None:
    image = procedural(2, 70, 70).image
    deep = replace(SceneHeader.of(image), significant_bits=8)
    wide = np.repeat(image, 4, 0)
    assert "bytes too few" in assert_alike(built, image, Options(budget=150))
    assert "8 significant bits" in assert_alike(built, image, Options(), deep)
    assert "side information takes" in assert_alike(built, wide, Options(segment_bytes=114))


def test_threads_and_encoders_side_by_side(built: Bundle) -> None:
    image = procedural(3, 200, 200).image
    header = SceneHeader.of(image)
    expected = coded(built, "numpy", image, header, Options())
    assert coded(built, "c", image, header, Options(), threads=3) == expected
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(coded, built, "c", image, header, Options()) for _ in range(8)]
        assert all(job.result() == expected for job in jobs)


def test_golden_vectors_pass_and_the_scrub_sees_the_library(
    built: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder = built.codec.open("c")
    assert isinstance(coder, CompiledTileCoder)
    scrub = Scrub(built, coder)
    scrub.check()
    monkeypatch.setattr(library.Library, "is_whole", lambda _library: False)
    with pytest.raises(SkybookError, match="engine c: the model's tables changed in memory"):
        scrub.check()


def test_checksums_are_those_of_numpy(built: Bundle, engine_c: Path) -> None:
    compiled = library.open_library(next(engine_c.glob("*.so"))).crc32c
    message = bytes(range(256)) * 5
    for length in (*range(40), 1_000, 1_279):
        for start in (0, 1, 0xFFFF_FFFF):
            expected = crc.in_numpy([message[:length]], start)[0]
            assert compiled(memoryview(message)[:length], start) == expected


def test_samples_may_lie_in_memory_as_they_like(built: Bundle) -> None:
    image = procedural(6, 130, 200).image
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    odd = np.zeros(image.nbytes + 1, np.uint8)[1:].view(np.uint16).reshape(image.shape)
    odd[:] = image
    expected = coded(built, "numpy", image, SceneHeader.of(image), Options(ratio=9.0))
    for other in (
        *(pixels.transpose(2, 0, 1), np.asfortranarray(image), image.astype(">u2"), odd),
        *(image[:, ::-1].copy()[:, ::-1], np.repeat(image, 2, 2)[:, :, ::2]),
        np.pad(image, ((1, 0), (2, 3), (4, 5)))[1:, 2:-3, 4:-5],
    ):
        assert np.array_equal(other, image)
        found = coded(built, "c", other, SceneHeader.of(image), Options(ratio=9.0))
        assert found == expected


def test_the_error_is_told_at_any_step(built: Bundle) -> None:
    images = procedural(3, 64, 64).image, procedural(4, 50, 64).image >> 5
    for image, quantizer in product(images, ("deadzone", "trellis")):
        rows, cols = image.shape[1:]
        tiles = np.pad(image, ((0, 0), (0, 64 - rows), (0, 0)), mode="symmetric")[None]
        here = np.ones((1, 64, 64), np.bool_)
        guesses = []
        for engine in ("c", "numpy"):
            coder = built.for_scene(4, 16).codec.open(engine).using(quantizer)
            prepared = coder.prepare(tiles, here, (rows, cols))
            codes = coder.finest(prepared) + np.array([[0], [40], [0], [90]])
            told = [coder.guess_error(prepared, codes[0]).tolist()]
            for code in codes:
                coder.plan(Chosen(prepared, code, [0], 900), False)
                told.append([coder.guess_error(prepared, each).tolist() for each in codes])
            guesses.append(told)
        assert guesses[0] == guesses[1]


def test_commands_take_it_first_and_say_so(
    built: Bundle, run: Run, tmp_path: Path, engine_c: Path
) -> None:
    image = procedural(6, 130, 100).image
    np.save(tmp_path / "scene.npy", image)
    image.transpose(1, 0, 2).tofile(tmp_path / "scene.bil")
    encode = ["onboard", "encode", "scene.npy", "--bundle", NAME]
    stream = ["onboard", "stream", "--input", "scene.bil", "--layout", "bil", "--width", "100"]
    commands = [*encode, "--plain"], [*stream, "--bundle", NAME, "--trellis"]
    for number, command in enumerate(commands):
        streams = {}
        for engine in ("c", "numpy"):
            chosen = [] if engine == "c" else ["--engine", "numpy"]
            output = f"{number}-{engine}.pkt"
            done = run(*command, *chosen, "-o", output, "--json", f"{output}.json")
            assert done.returncode == 0, done.stderr
            assert re.search(rf"[( ]{engine}\)?, ", done.stdout)
            told = json.loads((tmp_path / f"{output}.json").read_text())
            assert (told["engine"], told["indices"]) == (engine, ("plain", "trellis")[number])
            streams[engine] = (tmp_path / output).read_bytes()
        assert streams["c"] == streams["numpy"]
    for trellis in (False, True):
        assert onboard.encode(image, ratio=8.0, trellis=trellis) == b"".join(
            Encoder(built, "numpy").encode(image, None, Options(ratio=8.0, trellis=trellis))
        )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sources_digest", lambda: "another", "built from other sources; build it again"),
        ("processor", lambda: "", "built for another processor; build it again"),
    ],
)
def test_a_library_of_others_is_left_alone(
    built: Bundle,
    engine_c: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: Any,
    said: str,
) -> None:
    own = Path(shutil.copy(next(engine_c.glob("*.so")), tmp_path))
    monkeypatch.setenv("SKYBOOK_ENGINES", str(own.parent))
    if name == "processor" and not library.processor():
        pytest.skip("this system does not tell what its processor can do")
    monkeypatch.setattr(library, name, value)
    with pytest.raises(EngineError, match=said):
        built.codec.open("c")
    assert built.codec.open().engine == "numpy"


def test_without_a_library_numpy_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYBOOK_ENGINES", str(tmp_path))
    bundle = bundles.load(NAME)
    assert Encoder(bundle).engine == "numpy"
    with pytest.raises(EngineError, match="not built for this model") as caught:
        Encoder(bundle, "c")
    assert caught.value.exit_code == 7
    (tmp_path / f"skybook-{'0' * 16}.so").write_bytes(b"no library")
    with pytest.raises(EngineError, match="cannot be loaded"):
        library.open_library(tmp_path / f"skybook-{'0' * 16}.so")


def test_what_it_cannot_code_goes_to_numpy(built: Bundle) -> None:
    cube = np.repeat(procedural(1, 64, 64, 4).image, 5, 0)
    encoder = Encoder(built.for_scene(20, 16), "c")
    assert encoder.engine == "numpy"
    two = Options(max_error=Bound((1,)), max_error_first=Bound((8,)))
    assert encoder.engine_of(two) == "numpy"
    assert encoder.engine_of(Options(max_error=Bound((1,)))) == "c"
    assert list(encoder.encode(cube)) == list(Encoder(built.for_scene(20, 16)).encode(cube))


def test_a_model_on_a_network_has_none() -> None:
    with pytest.raises(EngineError, match="engine c: cannot run int8 networks"):
        Encoder(bundles.load("corsa-2level-1024"), "c")


def test_no_compiler_is_told(
    built: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYBOOK_ENGINES", str(tmp_path))
    for compiler, said in (("nosuch-cc", "expected a C compiler"), ("false", "false fails")):
        monkeypatch.setenv("CC", compiler)
        with pytest.raises(EngineError, match=said):
            build_library(built)
    assert not list(tmp_path.iterdir())


def test_a_compiler_does_without_what_it_does_not_know(
    built: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYBOOK_ENGINES", str(tmp_path))
    compiler = tmp_path / "cc"
    monkeypatch.setenv("CC", str(compiler))
    native, tuned = "-march=native", "-mtune=generic"
    for unknown, taken in (("-none", {native, tuned}), ("-mtune", {native}), ("-m", set[str]())):
        refusal = f"case $word in {unknown}*) exit 1;; esac"
        compiler.write_text(f'#!/bin/sh\nfor word; do {refusal}; done\necho "$@" > library.so\n')
        compiler.chmod(0o755)
        words = build_library(built).read_text().split()
        assert {word for word in words if word.startswith("-m")} == taken
