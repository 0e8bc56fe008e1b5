"""Model bundles, as SPEC.md alone tells them. Numbers in brackets are its sections."""

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
    """A model bundle of coder `rans` [7, 12]."""

    def __init__(self, file):
        self.tag, wire, parts = unpack(file)
        self.bands, self.tile = wire["bands"], wire["tile"]
        self.cuts, self.groups = wire["coder"]["cuts"], wire["coder"]["groups"]
        self.skip = wire["coder"]["skip"]
        self.layers = 3 + len(self.cuts) - 1
        self.golden = list(self._golden(parts["golden"]))
        self._read(parts["lapped"])

    def _read(self, part):
        """Take the part `lapped` apart [12]."""
        bands, groups = self.bands, len(self.groups)
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
        """Yield step code, samples and body of each golden vector [7]."""
        place, samples = 2, self.bands * self.tile**2
        for _ in range(int.from_bytes(part[:2], "big")):
            length = int.from_bytes(part[place + 1 : place + 3], "big")
            tile = np.frombuffer(part, ">u2", samples, place + 3)
            stop = place + 3 + 2 * samples + length
            yield part[place], tile.reshape(self.bands, self.tile, -1), part[stop - length : stop]
            place = stop

    def channels(self, layer):
        """Which channels a layer has, in order [10]."""
        if layer <= 3:
            return slice(0, self.bands)
        return slice(self.cuts[layer - 4], self.cuts[layer - 3])
