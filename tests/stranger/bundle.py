"""Model bundles, as SPEC.md alone tells them. Numbers in brackets are its sections."""

import copy
import hashlib
import json

import numpy as np


def unpack(file):
    """Return the tag of a model bundle, `wire` of its manifest, and its parts by name [7]."""
    assert file[:8] == b"SKYB\x01\0\0\0"
    length = int.from_bytes(file[8:12], "big")
    packed = file[108 : 108 + length]
    assert hashlib.sha256(packed).digest() == file[12:44]
    manifest = json.loads(packed)
    wire = manifest["wire"]
    canonical = json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    assert digest == manifest["model_hash"]
    parts, place = {}, 108 + length
    for part in manifest["parts"]:
        parts[part["name"]] = file[place : place + part["bytes"]]
        assert hashlib.sha256(parts[part["name"]]).hexdigest() == part["sha256"]
        place += part["bytes"]
    assert place == len(file)
    return int(digest[:8], 16), wire, parts


class Bundle:
    """A model bundle of coder `rans` [7, 12]; for scenes of as many bands as it has classes, or of
    others, see `scene`.
    """

    def __init__(self, file):
        self.tag, wire, parts = unpack(file)
        self.classes = self.bands = wire["classes"]
        self.tile, self.fraction = wire["tile"], 0
        self.band_groups, self.profile = 1, None
        self.cuts, self.groups = wire["coder"]["cuts"], wire["coder"]["groups"]
        self.skip = wire["coder"]["skip"]
        self.golden = list(self._golden(parts["golden"]))
        self._read(parts["lapped"])

    @property
    def layers(self):
        return 3 + len(self.cuts) - 1

    def scene(self, bands, bits, profile=None):
        """Return the bundle for scenes of so many bands and significant bits [1, 9, 10, 21]."""
        if bands > 16:
            count = -(-bands // 16)
            found = self.scene(-(-bands // count), bits)
            found.band_groups, found.profile = count, profile
            if profile:
                found.fraction = profile.fraction(bits)
            return found
        found, last = copy.copy(self), self.classes - 1
        found.bands, found.fraction = bands, min(4, 16 - bits)
        found.tile = 2 * self.tile if bands == 1 else self.tile
        channels, found.cuts = [], []
        for place, channel in enumerate(self.order.tolist()):
            if place in self.cuts and len(channels) > (found.cuts or [0])[-1]:
                found.cuts.append(len(channels))
            of_class, frequency = divmod(channel, 64)
            alike = (
                range(last, bands)
                if of_class == last
                else range(of_class, min(of_class + 1, bands))
            )
            channels += [(64 * component + frequency, place) for component in alike]
        if len(channels) > found.cuts[-1]:
            found.cuts.append(len(channels))
        found.order, places = np.array(channels).T
        component = np.arange(bands)
        of_class, of_channel = np.minimum(component, last), found.order // 64
        ac, own = places[bands:] - self.classes, of_channel[bands:]

        def heeded(one, other):
            """Say where weights from some components to others count."""
            both = (one[:, None] >= last) & (other >= last)
            return ~both | (one[:, None] == other)

        for name in ("same", "near"):
            weights = getattr(self, name)[np.ix_(places, ac)]
            setattr(found, name, weights * heeded(of_channel, own))
        slopes = np.concatenate([of_class, self.classes + of_class])
        found.slope = self.slope[np.ix_(slopes, ac)] * heeded(np.tile(component, 2), own)
        found.bias, found.dc_bias = self.bias[ac], self.dc_bias[:, of_class]
        rows = (4 * of_class[:, None] + np.arange(4)).reshape(-1)
        found.dc = self.dc[:, rows][..., of_class] * heeded(np.repeat(component, 4), component)
        return found

    def _read(self, part):
        """Take the part `lapped` apart [12]."""
        bands, groups = self.classes, len(self.groups)
        c = 64 * bands
        a, place, self.offsets = c - bands, 0, {}
        for name, kind, *shape in (
            ("analysis", ">i1", 64, 16, 16),
            ("synthesis", ">i2", 64, 16, 16),
            ("mantissas", ">u2", 16),
            ("order", ">u2", c),
            ("same", ">u2", c, a),
            ("near", ">u2", c, a),
            ("slope", ">u2", 2 * bands, a),
            ("bias", ">u2", a),
            ("dc", ">u2", 2, 4 * bands, bands),
            ("dc_bias", ">u2", 3, bands),
            ("dead", ">u2", 64 * groups),
            ("rounding", ">u2", 64 * groups),
            ("codewords", ">u2", 192 * groups, 4),
            ("frequencies", ">u2", 192 * groups, 64),
            ("shifts", ">u1", 64),
        ):
            count = int(np.prod(shape))
            array = np.frombuffer(part, kind, count, place).reshape(shape).astype(np.int64)
            setattr(self, name, array)
            self.offsets[name] = place
            place += count * int(kind[2])
        assert place == len(part)
        self.starts = np.cumsum(self.frequencies, axis=1) - self.frequencies

    def _golden(self, part):
        """Yield fraction bits, samples and body of each golden vector [7]."""
        place = 2
        for _ in range(int.from_bytes(part[:2], "big")):
            bands, rows, fraction, _step = part[place : place + 4]
            length = int.from_bytes(part[place + 4 : place + 6], "big")
            tile = np.frombuffer(part, ">u2", bands * rows * rows, place + 6)
            stop = place + 6 + 2 * tile.size + length
            yield fraction, tile.reshape(bands, rows, rows), part[stop - length : stop]
            place = stop

    def channels(self, layer):
        """Which channels a layer has, in order [10]."""
        if layer <= 3:
            return slice(0, self.bands)
        return slice(self.cuts[layer - 4], self.cuts[layer - 3])
