"""Tables of the modulated hyperprior: what is asked for and reached, curves, costs."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.codecs.modulated import command
from benchmarks.codecs.modulated.command import trained
from benchmarks.codecs.modulated.frames import TEST, TRAIN, evenly, read_frames
from benchmarks.codecs.modulated.layout import Layout, decoder_macs, encoder_macs
from benchmarks.reproduce.mcos import costs, figure7
from benchmarks.reproduce.mcos import frames as mcosframes
from benchmarks.reproduce.mcos.accuracy import measured
from benchmarks.reproduce.mcos.coder import CODERS
from benchmarks.reproduce.mcos.scenes import KINDS
from benchmarks.reproduce.table import flat, nested
from ground.products.geotiff import write
from ground.scene import Scene
from onboard.errors import InputError

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny network."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    frames = read_frames(None, TRAIN)[:2]
    path.write_bytes(trained(frames, 6, Layout(64, 24), lambda _text: None).pack())
    return path


@pytest.fixture
def tiny(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mcosframes, figure7):
        monkeypatch.setattr(module, "WEIGHTS", weights)
    monkeypatch.setattr(mcosframes, "QUICK_SIDE", 128)
    monkeypatch.setattr(mcosframes, "QUICK_FRAMES", 1)
    monkeypatch.setattr(figure7, "CODES", (6, 56, 255))
    monkeypatch.setattr(costs, "SIDE", 128)


def test_rows_belong_together() -> None:
    figures = {"ours": {"block64.mean_db": 1.0, "block64.std_db": 2.0, "psnr": None}}
    document = nested(figures)
    assert document == {"ours": {"block64": {"mean_db": 1.0, "std_db": 2.0}, "psnr": None}}
    assert flat(document["ours"]) == figures["ours"]


@pytest.mark.usefixtures("tiny")
def test_the_figure(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert main(["reproduce", "mcos-fig7", "--quick", "--json", str(target)]) == 0
    table = json.loads(target.read_text())["mcos-fig7"]
    ours, flagship = table["modulated/sentinel2"], table["skybook/sentinel2"]
    assert flagship["bd_rate_vs_jp2"] < 0
    assert ours["bd_psnr_vs_skybook"] < flagship["bd_psnr_vs_jp2"]
    assert 0 < ours["bits_least"] < ours["bits_most"]
    for codec in ("modulated", "skybook"):
        assert table[codec]["encode_mpixel_s"] > 0
        assert table[codec]["ram_mib"] >= 0
    assert table["modulated"]["encoder_mac_pixel"] > table["skybook"]["encoder_mac_pixel"]


def test_products_of_the_published_network() -> None:
    """The layers of torch, one after the other, have as many as the formula."""
    import torch
    from torch import nn

    from benchmarks.codecs.modulated.network import Gdn, ModulatedHyperprior

    layout = Layout()
    network = ModulatedHyperprior(layout)
    counted = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(layer, nn.Conv2d):
            counted += layer.weight.numel() * output[0, 0].numel()
        elif isinstance(layer, nn.ConvTranspose2d):
            counted += layer.weight.numel() * inputs[0][0, 0].numel()
        elif isinstance(layer, Gdn):
            counted += layer.root_gamma.numel() * output[0, 0].numel()

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        latents = network.analysis(torch.zeros(1, 1, 128, 128))
        network.hyper_synthesis(network.hyper_analysis(latents))
        assert counted / 128**2 == pytest.approx(encoder_macs(layout))
        counted = 0
        network.synthesis(latents)
        network.hyper_synthesis(torch.zeros(1, 64, 2, 2))
        assert counted / 128**2 == pytest.approx(decoder_macs(layout))


def test_blocks_of_a_quality_that_was_asked_for() -> None:
    """The shipped network is better where more is asked of it, and knows no other kinds."""
    image = read_frames(None, TEST)[1].samples[None, :128, :128]
    of_kind = {kind.name: CODERS["modulated"](kind) for kind in KINDS}
    coder = of_kind["sentinel-2"]
    assert coder is not None
    assert of_kind["12-bit"] is None
    lengths, reached = [], []
    for psnr in (56.0, 62.0):
        length, decoded = coder.code(Scene(image), psnr, 64)
        lengths.append(length)
        reached.append(psnr + measured(image, decoded, psnr, 64).mean)
    assert 2 < reached[1] - reached[0] < 10
    assert lengths[0] < lengths[1]


def test_frames_of_a_folder(tmp_path: Path) -> None:
    lines = ["path,place,split"]
    for name, bands, split in (
        ("a", 1, "train"),
        ("b", 4, "test"),
        ("c", 7, "test"),
        ("d", 2, "test"),
    ):
        write(tmp_path / f"{name}.tif", Scene(np.full((bands, 40, 40), 9, np.uint16)))
        lines.append(f"{name}.tif,{name},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    told: list[str] = []
    found = read_frames(tmp_path, TEST, told.append)
    assert [(f.sensor.name, f.place) for f in found] == [("sentinel2", "b")] * 4 + [
        ("landsat8-sr", "c")
    ] * 7
    assert told == ["d.tif: 2 bands"]
    assert [f.sensor.name for f in read_frames(tmp_path, TRAIN)] == ["pan"]
    assert len(evenly(found, 3)) == 6
    (tmp_path / "manifest.csv").write_text("path,place,split\n" + "\n".join(lines[1:2]))
    with pytest.raises(InputError, match="expected test scenes of 1, 4, 7 or 12 bands"):
        read_frames(tmp_path, TEST)


def test_the_places_of_our_data_are_parted_by_number(tmp_path: Path) -> None:
    folder = tmp_path / "other/l8_water/images"
    folder.mkdir(parents=True)
    for number in (3, 5):
        image = np.full((12, 20, 20), number, np.int16)
        image[2, 0, 0] = -1
        write(folder / f"{number}.tif", Scene(image))
    frames = {split: read_frames(tmp_path, split) for split in (TRAIN, TEST)}
    assert [f.name for f in frames[TRAIN]] == [f"3 {band}" for band in range(1, 8)]
    assert frames[TEST][2].samples.min() == 0
    assert frames[TEST][0].samples.max() == 5


def test_training_goes_on_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.codecs.modulated import training

    monkeypatch.setattr(training, "_TOLD", 2)
    monkeypatch.setattr(command, "Layout", lambda: Layout(64, 16))
    output, kept = str(tmp_path / "w.npz"), str(tmp_path / "kept.pt")
    told = ["modulated", "-o", output, "--checkpoint", kept]
    assert main([*told, "--steps", "2"]) == 0
    assert "step 2:" in capsys.readouterr().err
    assert main([*told, "--steps", "4", "--json"]) == 0
    printed = capsys.readouterr()
    assert "step 4:" in printed.err
    assert "step 2:" not in printed.err
    assert set(json.loads(printed.out)["sensors"]) == {"sentinel2"}
    assert main(["modulated", "-o", output, "--steps", "-1"]) == 2
    assert main(["modulated", "-o", output, "--sensor", "pan"]) == 2
