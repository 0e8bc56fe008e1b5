"""Passes over a lossy channel: the channel, the truth of the measures, headers, the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.__main__ import main
from benchmarks.codecs.skybook import BUNDLE
from benchmarks.link import measure as link
from benchmarks.link.channel import Arrival, Channel
from benchmarks.link.codestream import Codestream
from benchmarks.link.headers import header_share, measure_headers
from benchmarks.link.measure import (
    Scale,
    compare,
    describe_pass,
    open_bundle,
    simulate,
    summarise,
)
from benchmarks.link.passes import Pass, Sent, decode_arrival, measure_pass, send
from benchmarks.link.sending import send_ours, with_repair
from benchmarks.scenes import mosaic
from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.metrics import psnr
from ground.products.jpeg2000 import jpeg2000_at_bytes, jpeg2000_decode, jpeg2000_encode
from ground.scene import Scene
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, InputError, UsageError
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.segment import Kind, Segment
from tests.conftest import NAME

FEW = (Channel(0.0), Channel(0.3, 3.0), Channel(0.0, bit_errors=1e-5))
CLEAN = Channel(0.0)


@pytest.fixture(scope="module")
def codec() -> tuple[Encoder, Decoder]:
    return open_bundle(BUNDLE)


@pytest.fixture(scope="module")
def sent(codec: tuple[Encoder, Decoder]) -> Sent:
    """Six tiles, two of them with 20 valid rows, in a stream that tells its height at the end."""
    options = Options(ratio=30, window="strip", packets=PacketOptions(256))
    return send(*codec, Scene(mosaic(228, 208)), options)


def arrival_without(sent: Sent, lost: NDArray[np.bool_]) -> Arrival:
    clean = CLEAN.transmit(sent.packets, np.random.default_rng(0))
    return replace(clean, lost=lost)


def measured(sent: Sent, decoder: Decoder, lost: NDArray[np.bool_]) -> Pass:
    arrival = arrival_without(sent, lost)
    return measure_pass(0, CLEAN, sent, arrival, decode_arrival(decoder, sent, arrival))


@pytest.mark.parametrize(("loss", "burst"), [(0.01, 1.0), (0.1, 3.0), (0.5, 1.0), (0.5, 10.0)])
def test_losses_have_their_rate_and_their_bursts(loss: float, burst: float) -> None:
    rng = np.random.default_rng(1)
    lost = Channel(loss, burst).losses(400_000, rng)
    assert lost.mean() == pytest.approx(loss, rel=0.1)
    begins = (np.diff(lost.astype(np.int8)) == 1).sum()
    assert lost.sum() / begins == pytest.approx(burst, rel=0.1)


def test_a_pass_may_begin_within_a_burst() -> None:
    channel = Channel(0.5, 10.0)
    first = [channel.losses(1, np.random.default_rng(seed))[0] for seed in range(400)]
    assert 0.4 < np.mean(first) < 0.6


def test_bits_flip_at_their_rate_in_what_arrives() -> None:
    packets = [bytes(1_000)] * 200
    arrival = Channel(0.2, 3.0, 1e-3).transmit(packets, np.random.default_rng(2))
    flipped = np.unpackbits(arrival.joined)
    assert flipped.mean() == pytest.approx(1e-3, rel=0.1)
    assert ((arrival.joined > 0) == arrival.touched).all()
    assert len(arrival.stream) == 1_000 * (~arrival.lost).sum()


def test_spans_are_intact_unless_lost_or_touched() -> None:
    lost = np.array([False, True, False])
    touched = np.zeros(30, np.bool_)
    touched[25] = True
    arrival = Arrival(np.arange(30, dtype=np.uint8), touched, lost, np.array([10, 10, 10]))
    starts, stops = np.array([0, 8, 12, 20, 24, 26]), np.array([10, 11, 14, 25, 26, 30])
    assert arrival.intact(starts, stops).tolist() == [True, False, False, True, False, True]
    assert arrival.stream == bytes([*range(10), *range(20, 30)])


@pytest.mark.parametrize("wrong", [{"loss": 0.6}, {"loss": -0.1}, {"burst": 0.5}])
def test_channels_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Channel(**({"loss": 0.1} | wrong))


def test_without_loss_nothing_is_masked(sent: Sent, codec: tuple[Encoder, Decoder]) -> None:
    found = measured(sent, codec[1], np.zeros(len(sent.packets), np.bool_))
    assert (found.wrong, found.lost, found.masked, found.reach) == (0, 0, 0, 0)
    assert found.received == found.area == 228 * 208
    assert found.error == found.error_without_loss > 0


def test_a_lost_packet_costs_its_tiles_and_the_ring(
    sent: Sent, codec: tuple[Encoder, Decoder]
) -> None:
    found = measured(sent, codec[1], np.arange(len(sent.packets)) == 1)
    assert (found.wrong, found.stray) == (0, 0)
    assert found.lost == 104 * 104
    assert found.lost < found.masked <= found.reach
    assert found.masked == found.lost + found.ring
    assert found.received > 0


def test_nothing_arrives(sent: Sent, codec: tuple[Encoder, Decoder]) -> None:
    found = measured(sent, codec[1], np.ones(len(sent.packets), np.bool_))
    assert found.lost == found.masked == found.area
    assert (found.arrived, found.received, found.wrong) == (0, 0, 0)
    assert 20 < found.psnr < 50  # the scene's mean


def test_rows_beyond_the_product_count_as_masked(
    sent: Sent, codec: tuple[Encoder, Decoder]
) -> None:
    """The end tells the height and is lost with the last row of tiles."""
    last = sent.starts[sent.tiles == 4].min()
    ends = np.cumsum([len(packet) for packet in sent.packets])
    found = measured(sent, codec[1], ends > last)
    assert found.lost == 20 * 208
    assert found.masked >= found.lost
    assert found.wrong == 0


@pytest.mark.parametrize(("shift", "flag", "wrong"), [(1, 0, 0), (2, 0, 6), (2, 2, 0), (0, 4, 6)])
def test_lies_are_found(sent: Sent, shift: int, flag: int, wrong: int) -> None:
    """More than 1 DN off in a pixel that the mask calls complete; nodata that has data."""
    image, mask = sent.whole.scene.image.astype(np.uint16), sent.whole.mask.copy()
    image[1, 3:5, 3:6] += np.uint16(shift)
    mask[3:5, 3:6] = flag
    told = replace(sent.whole, scene=Scene(image), mask=mask)
    arrival = arrival_without(sent, np.zeros(len(sent.packets), np.bool_))
    found = measure_pass(0, CLEAN, sent, arrival, told)
    assert found.wrong == wrong
    assert found.stray == (6 if flag == Mask.FINE_MISSING else 0)
    assert summarise([found])["wrong_passes"] == ([0] if wrong else [])


def test_a_pass_depends_on_its_number_alone() -> None:
    reported: list[str] = []
    found = simulate(BUNDLE, [7, 8], reported.append)
    assert reported == ["pass 7", "pass 8"]
    alone = [describe_pass(BUNDLE, number) for number in (7, 8)]
    assert found["passes"] == 2
    assert found["wrong_pixels_outside_mask"] == 0
    lost, masked = (sum(one[area] for one in alone) for area in ("lost", "masked"))
    assert found["masked_over_lost_area"] == masked / max(lost, 1)
    assert found["masked_over_lost_area"] <= 1 + found["ring_over_lost_area"]
    losses = {one["channel"]["loss"] for one in alone}
    assert {row["loss"] for row in found["losses"]} == losses


def test_header_share_counts_every_kind_of_header() -> None:
    model = b"\xa1\xb2\xc3\xd4"
    tile = Segment(Kind.TILE, 3, model, 0, 0, 0, (9, 9), bytes(50)).pack()
    end = Segment(Kind.END, 3, model, 0, 0, 0, None, bytes(8)).pack()
    packets = [
        SpacePacket(1, 0, (0, 0), tile + end, control=True).pack(),
        SpacePacket(1, 1, (0, 0), tile).pack(),
    ]
    found = header_share(packets)
    total = 2 * (12 + 14 + 4 + 50) + 2 + 14 + 4 + 8
    assert (found["bytes"], found["packets"], found["segments"]) == (total, 2, 3)
    assert found["header_share"] == pytest.approx((total - 100) / total)
    assert found["header_share_without_time"] == pytest.approx((total - 112) / (total - 12))


def test_headers_stay_below_their_targets() -> None:
    for row in measure_headers(BUNDLE, 512)["headers"]:
        assert row["header_share_without_time"] < row["header_share"] <= row["target"]
        assert 20.48 <= row["ratio"] < 21


def test_codecs_spend_no_more_bytes_than_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "COMPARED", FEW)
    found = compare(BUNDLE, Scale(1, 192, 1), 0.5, lambda _: None)
    ours = found["bytes"]["skybook"]
    for spent in found["bytes"].values():
        assert 0.9 * ours < spent <= ours
    rows = {(row["codec"], row["loss"], row["bit_errors"]): row for row in found["compared"]}
    assert len(rows) == len(FEW) * len(found["bytes"])
    for codec in found["bytes"]:
        assert rows[codec, 0.0, 0.0]["psnr16_median"] > 60
        assert rows[codec, 0.0, 0.0]["decoded"] == 1


def test_lost_parts_of_a_resilient_codestream_stay_in_their_tile() -> None:
    image = mosaic(256, 256)
    stream = jpeg2000_at_bytes(image, 30_000, 128)
    assert len(stream) <= 30_000
    codestream = Codestream.parse(stream)
    assert len(codestream.parts) == 4
    missing = np.zeros(len(stream), np.bool_)
    assert codestream.without(missing) == stream
    whole = jpeg2000_decode(stream)
    first = codestream.parts[3].packets
    missing[first[9] + 7] = missing[first[-1] - 1] = True
    damaged = jpeg2000_decode(codestream.without(missing))
    np.testing.assert_array_equal(damaged[:, :128], whole[:, :128])
    np.testing.assert_array_equal(damaged[:, :, :128], whole[:, :, :128])
    assert 40 < psnr(image, damaged, 65_535) < psnr(image, whole, 65_535)
    missing[:] = True
    assert jpeg2000_decode(codestream.without(missing)).shape == image.shape


@pytest.mark.parametrize("length", [1, 100, 200, 2_000])
def test_what_is_no_resilient_codestream_is_refused(length: int) -> None:
    stream = jpeg2000_encode(mosaic(128, 128), 20, 64)
    with pytest.raises(InputError, match="codestream"):
        Codestream.parse(stream[:length])
    with pytest.raises(InputError, match="SOP"):
        Codestream.parse(jpeg2000_encode(mosaic(128, 128), 20))


def test_repair_packets_restore_the_whole_image(codec: tuple[Encoder, Decoder]) -> None:
    image = mosaic(192, 192)
    plain = send_ours(*codec, image, 256, 0)
    repaired = with_repair(0.5)(*codec, image, 256, plain.length)
    assert repaired.length <= plain.length
    rng = np.random.default_rng(0)
    arrival = Channel(0.0).transmit(repaired.packets, rng)
    lost = np.arange(len(repaired.packets)) % 4 == 0
    whole, restored = (repaired.receive(found) for found in (arrival, replace(arrival, lost=lost)))
    np.testing.assert_array_equal(restored, whole)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_repair_share_out_of_range(share: float) -> None:
    with pytest.raises(UsageError, match="repair"):
        with_repair(share)


def test_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(link, "COMPARED", FEW)
    monkeypatch.setattr("benchmarks.link.command.QUICK", Scale(2, 128, 1))
    out, plot = tmp_path / "link.json", tmp_path / "link.png"
    assert main(["link", "--quick", "--json", str(out), "--plot", str(plot)]) == 0
    document = json.loads(out.read_text())
    assert (document["passes"], document["wrong_pixels_outside_mask"]) == (2, 0)
    assert "masked_over_lost_area" in document
    assert plot.read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    for text in ("wrong pixels outside the mask: 0", "JPEG 2000, one file", document["machine"]):
        assert text in shown


def test_wrong_pixels_end_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def lying(_name: str, number: int) -> dict[str, int]:
        return {"number": number, "wrong": 3}

    monkeypatch.setattr("benchmarks.link.command.describe_pass", lying)
    assert main(["link", "--pass", "5"]) == 1


@pytest.mark.parametrize("arguments", [["--pass", "-1"], ["--passes", "0"], ["--repair", "2"]])
def test_bad_arguments_end_with_exit_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.link.command.FULL", Scale(1, 128, 1))
    assert main(["link", *arguments]) == 2


def test_bundle_of_other_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BANDS", 7)
    with pytest.raises(BundleError, match="expected 7 bands"):
        open_bundle(NAME)


def test_bundles_of_fixed_rate_are_sent_too() -> None:
    encoder, decoder = open_bundle(NAME)
    found = send(encoder, decoder, Scene(mosaic(120, 150)), Options(packets=PacketOptions(128)))
    assert found.tiles.max() == 1
    assert measured(found, decoder, np.arange(len(found.packets)) == 5).wrong == 0
