"""Along a trellis by default where engine `c` codes a scene at a rate; recordings gone on with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import onboard
from ground.batch.jobs import Job, Plan
from ground.batch.work import work
from ground.chunks.quality import Quality
from ground.products import geotiff
from ground.scenes.procedural import procedural
from onboard.__main__ import main
from onboard.bundle import load
from onboard.encoder import Encoder, Options
from onboard.encoder.indices import open_encoder
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, Segment

NAME = "skybook"
IMAGE = procedural(6, 200, 140).image
STREAM = ["stream", "--layout", "bil", "--width", "140", "--bundle", NAME, "--ratio", "15"]
ENGINES = ("c", "numpy")


@pytest.fixture(autouse=True)
def _built(engine_c: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine `c` is there."""
    monkeypatch.setenv("SKYBOOK_ENGINES", str(engine_c))


def encoded(folder: Path, *options: str, image: NDArray[Any] = IMAGE) -> tuple[bytes, Any]:
    """A scene encoded by command: its stream, and what the command told in JSON."""
    np.save(folder / "scene.npy", image)
    out = ["-o", str(folder / "scene.sky"), "--json", str(folder / "told.json")]
    assert main(["encode", str(folder / "scene.npy"), "--bundle", NAME, *options, *out]) == 0
    return (folder / "scene.sky").read_bytes(), json.loads((folder / "told.json").read_text())


def how(told: Any) -> tuple[str | None, bool | None]:
    return told["indices"], told["indices_by_default"]


@pytest.mark.parametrize("rate", [["--ratio", "15"], ["--bytes", "12000"], []])
def test_engine_c_goes_along_a_trellis_and_numpy_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: list[str]
) -> None:
    numpy = ["--engine", "numpy"]
    plain, along = (encoded(tmp_path, *numpy, way, *rate)[0] for way in ("--plain", "--trellis"))
    assert plain != along
    for engine, expected, words in (
        (["--engine", "c"], (along, ("trellis", True)), "along a trellis by default)"),
        ([], (along, ("trellis", True)), "along a trellis by default)"),
        (numpy, (plain, ("plain", True)), "plain by default)"),
        (["--plain"], (plain, ("plain", False)), "plain)"),
        (["--trellis"], (along, ("trellis", False)), "along a trellis)"),
    ):
        capsys.readouterr()
        stream, told = encoded(tmp_path, *engine, *rate)
        assert (stream, how(told)) == expected
        assert f", {words}, expected PSNR16" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bands", "options", "expected"),
    [
        (4, ["--psnr", "60"], ("plain", True)),
        (4, ["--rmse", "40", "--quality-block", "32"], ("plain", True)),
        (4, ["--psnr", "60", "--ratio", "9"], ("plain", True)),
        (4, ["--max-error", "9"], (None, None)),
        (17, ["--ratio", "20"], ("plain", True)),
        (3, ["--ratio", "20"], ("trellis", True)),
        (4, ["--ratio", "9", "--region-max-error", "0,0,9,9", "30"], ("trellis", True)),
    ],
)
def test_what_engine_c_does_not_code_alone_stays_plain(
    tmp_path: Path, bands: int, options: list[str], expected: tuple[str | None, bool | None]
) -> None:
    image = np.resize(IMAGE[:, :70, :80], (bands, 70, 80))
    stream, told = encoded(tmp_path, *options, image=image)
    assert how(told) == expected
    if expected[0] == "plain":
        assert stream == encoded(tmp_path, *options, "--plain", image=image)[0]


def test_a_mosaic_goes_along_a_trellis(tmp_path: Path) -> None:
    options = ["--bayer", "rggb", "--ratio", "9"]
    stream, told = encoded(tmp_path, *options, image=IMAGE[:1])
    assert how(told) == ("trellis", True)
    assert stream == encoded(tmp_path, *options, "--trellis", image=IMAGE[:1])[0]


def test_a_model_on_a_network_has_no_trellis() -> None:
    bundle = load("corsa-2level-1024")
    assert not bundle.codec.is_compiled()
    header = SceneHeader.of(IMAGE)
    assert not open_encoder(bundle, header, Options(), None, "ort")[1].trellis


def test_arrays_do_as_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, along = (onboard.encode(IMAGE, ratio=15, trellis=trellis) for trellis in (False, True))
    assert onboard.encode(IMAGE, ratio=15) == along
    assert onboard.encode(IMAGE, psnr=60) == onboard.encode(IMAGE, psnr=60, trellis=False)
    monkeypatch.setenv("SKYBOOK_ENGINES", "no library is here")
    assert onboard.encode(IMAGE, ratio=15) == plain


def test_archives_are_the_same_whatever_the_engine(tmp_path: Path) -> None:
    """Chunks of a Zarr do as their metadata say; a batch may run on machines that differ."""
    assert not Quality(ratio=15).options().trellis
    assert "trellis" not in Quality(ratio=15).configuration()
    source = tmp_path / "scene.tif"
    geotiff.write(source, procedural(6, 200, 140))
    outcome = work(Job("scene", source), Plan(tmp_path, ".sky", NAME, ratio=15.0))
    assert not outcome.failed
    header = procedural(6, 200, 140).header()
    expected = onboard.encode(IMAGE, header=header, ratio=15, trellis=False)
    assert (tmp_path / "scene.sky").read_bytes() == expected


@pytest.fixture(scope="module")
def recordings(engine_c: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene of lines and a recording of it by each engine, never interrupted."""
    folder = tmp_path_factory.mktemp("recordings")
    np.ascontiguousarray(IMAGE.transpose(1, 0, 2)).tofile(folder / "scene.bil")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYBOOK_ENGINES", str(engine_c))
        for engine in ENGINES:
            assert main([*streaming(folder, folder / f"{engine}.pkt"), "--engine", engine]) == 0
    return folder


def streaming(folder: Path, output: Path) -> list[str]:
    return [*STREAM, "--input", str(folder / "scene.bil"), "-o", str(output)]


def header_of(stream: bytes) -> SceneHeader:
    """The scene header of a recording, which its first packet begins with."""
    segment, _ = Segment.unpack(stream[stream.index(b"SK") :])
    assert segment.kind == Kind.SCENE
    return SceneHeader.unpack(segment.body)


def test_engines_begin_recordings_with_the_same_tiles(recordings: Path) -> None:
    found = [(recordings / f"{name}.pkt").read_bytes() for name in ENGINES]
    assert [header_of(stream).tile for stream in found] == [72, 72]
    assert found[0] != found[1]


@pytest.mark.parametrize("begun", ENGINES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_recording_goes_on_as_it_was_begun(
    recordings: Path, tmp_path: Path, begun: str, engine: str
) -> None:
    """Whatever the engine, within a row of tiles or between two: the bytes of no interruption."""
    whole, output = (recordings / f"{begun}.pkt").read_bytes(), tmp_path / "cut.pkt"
    for share in (0.12, 0.5, 0.9):
        output.write_bytes(whole[: int(share * len(whole))])
        command = [*streaming(recordings, output), "--engine", engine, "--resume"]
        assert main(command) == 0
        assert output.read_bytes() == whole


@pytest.mark.parametrize("engine", ENGINES)
def test_a_header_alone_keeps_its_tiles(recordings: Path, tmp_path: Path, engine: str) -> None:
    """No tile tells how indices are chosen yet, so the engine does; the run stays."""
    other = ENGINES[engine == "c"]
    whole, output = (recordings / f"{other}.pkt").read_bytes(), tmp_path / "cut.pkt"
    output.write_bytes(whole[:200])
    command = [*streaming(recordings, output), "--engine", engine, "--resume"]
    assert main([*command, "--json", str(tmp_path / "told.json")]) == 0
    found = output.read_bytes()
    assert found != whole
    assert header_of(found) == header_of(whole)
    told = json.loads((tmp_path / "told.json").read_text())
    assert how(told) == ("trellis" if engine == "c" else "plain", True)


def test_a_recording_within_a_bound_goes_on(recordings: Path, tmp_path: Path) -> None:
    command = [*streaming(recordings, tmp_path / "bound.pkt"), "--max-error", "30"]
    command.remove("--ratio")
    command.remove("15")
    assert main([*command, "--engine", "numpy"]) == 0
    whole = (tmp_path / "bound.pkt").read_bytes()
    (tmp_path / "bound.pkt").write_bytes(whole[: len(whole) // 2])
    assert main([*command, "--engine", "c", "--resume"]) == 0
    assert (tmp_path / "bound.pkt").read_bytes() == whole


def test_what_a_recording_fixes_cannot_be_asked_otherwise(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = (recordings / "c.pkt").read_bytes()[:9_000]
    output = tmp_path / "cut.pkt"
    output.write_bytes(part)
    command = [*streaming(recordings, output), "--resume"]
    assert main([*command, "--tile", "64"]) == 2
    assert "--tile: expected that of the output, 72, found 64" in capsys.readouterr().err
    assert main([*command, "--plain"]) == 4
    assert part.startswith(output.read_bytes())


def test_the_encoder_of_no_library_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, header = load(NAME), SceneHeader.of(IMAGE)
    for folder, expected in ((None, True), ("no library is here", False)):
        if folder:
            monkeypatch.setenv("SKYBOOK_ENGINES", folder)
        encoder, options = open_encoder(bundle, header, Options(), None)
        assert isinstance(encoder, Encoder)
        assert (options.trellis, encoder.engine == "c") == (expected, expected)
        assert encoder.bundle.tile == 104
