"""Spectral profiles, as SPEC.md alone tells them. Numbers in brackets are its sections."""

import hashlib

import numpy as np


class Profile:
    """A spectral profile [21]."""

    def __init__(self, file):
        assert file[:8] == b"SKYP\x01\0\0\0"
        rest = file[108:]
        digest = hashlib.sha256(rest).digest()
        assert len(rest) == int.from_bytes(file[8:12], "big")
        assert digest == file[12:44]
        self.name = digest[:8]
        self.bands = int.from_bytes(rest[:2], "big")
        assert 17 <= self.bands <= 1024
        assert rest[2] == 14
        self.offsets = np.frombuffer(rest, ">i4", self.bands, 3).astype(np.int64)
        matrix = np.frombuffer(rest, ">i2", offset=3 + 4 * self.bands)
        self.matrix = matrix.reshape(self.bands, self.bands).astype(np.int64)
        away = self.matrix @ self.matrix.T - (np.eye(self.bands, dtype=np.int64) << 28)
        assert abs(away).sum(axis=1).max() <= 1 << 24
        assert abs(self.offsets).max() < 1 << 16

    def fraction(self, bits):
        """Return F of scenes of so many significant bits."""
        g = 0
        while 16 * 4**g < 17 * self.bands:
            g += 1
        return min(4, 19 - bits - g)

    def components(self, samples, fraction):
        """Return the components (n, ...) of samples."""
        away = samples.astype(np.int64).reshape(self.bands, -1) - self.offsets[:, None]
        sums = self.matrix @ away
        return ((sums + (1 << 13 - fraction)) >> 14 - fraction).reshape(samples.shape)

    def samples(self, components):
        """Return samples (n, ...), not rounded, of components in DN."""
        flat = components.reshape(self.bands, -1)
        found = np.linalg.inv(self.matrix / 2.0**14) @ flat + self.offsets[:, None]
        return found.reshape(components.shape)


def side(body, bands):
    """Return angles and means that a body begins with after state and step code, and their end."""
    count = bands * (bands - 1) // 2
    assert body[2] in (0, 1)
    place = 3 + count * body[2]
    angles = body[3:place] if body[2] else bytes([128]) * count
    means = []
    for _ in range(bands):
        number = shift = 0
        while True:
            number |= (body[place] & 127) << shift
            shift += 7
            place += 1
            if body[place - 1] < 128:
                break
        assert shift <= 21
        means.append(-(number + 1) // 2 if number % 2 else number // 2)
    return angles, np.array(means), place
