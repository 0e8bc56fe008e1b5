"""Framing: segments of tiles are those that `Segment` packs; headers come where they count."""

from hypothesis import given
from hypothesis import strategies as st

from onboard.link.framing import HEADER_EVERY, Coded, Framing, heads_among
from onboard.link.segment import MAX_NARROW_TILE, Kind, Segment

TAG = b"\x01\x23\x45\x67"
bodies = st.lists(st.tuples(st.integers(0, 31), st.integers(0, 65_535), st.binary(max_size=40)))
edges = st.none() | st.tuples(st.integers(1, 256), st.integers(1, 256))
indices = st.integers(0, 9) | st.integers(MAX_NARROW_TILE - 2, (1 << 32) - 1)


@given(st.lists(st.tuples(indices, edges, bodies), max_size=90), st.integers(0, 65_535))
def test_tiles_are_packed_as_segments_are(tiles: list[Coded], scene_id: int) -> None:
    framing = Framing(scene_id, TAG, 77, b"", 1_000, False, None)
    found = list(framing.pack(tiles))
    assert found == [
        [
            (layer, first, framing.tile(index, edge, layer, first, body).pack())
            for layer, first, body in own
        ]
        for index, edge, own in tiles
    ]
    for (index, edge, own), packed in zip(tiles, found, strict=True):
        around = framing.around(edge, index > MAX_NARROW_TILE)
        for (_, first, body), (*_, segment) in zip(own, packed, strict=True):
            assert len(segment) == len(body) + around[first > 0]
            assert Segment.unpack(segment, 0, [framing.binding])[0].kind == Kind.TILE


@given(st.integers(0, 300), st.integers(0, 300))
def test_headers_are_counted_as_they_come(count: int, written: int) -> None:
    heads = 0
    for _ in range(count):
        if written % HEADER_EVERY == 0:
            heads, written = heads + 1, written + 1
        written += 1
    assert heads_among(count, written - count - heads) == heads
