"""Our own bundles as codecs."""

import tempfile
from typing import Any

from numpy.typing import NDArray

from benchmarks.codecs.codec import Codec
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options

BUNDLE = "skybook-s2"
"""Measured unless told otherwise."""

PLAIN = "-plain"
"""Ends the name of a bundle that is encoded without trellis."""


class BundleCodec:
    """A bundle with its encoder and decoder.

    Attributes:
        trellis: whether indices are chosen along a trellis.
    """

    def __init__(self, name: str, trellis: bool = False) -> None:
        self.encoder = Encoder(load(name))
        self.decoder = Decoder(find(name))
        bundle = self.encoder.bundle
        self.name, self.bands, self.tile = bundle.name, bundle.bands, bundle.tile
        self.variable_rate = bundle.variable_rate
        self.trellis = trellis

    def code(self, scene: Scene, budget: int | None = None) -> tuple[int, NDArray[Any]]:
        """Encode and decode; return the bytes on disk and the decoded image."""
        options = Options(budget=budget, trellis=self.trellis)
        with tempfile.TemporaryFile() as stream:
            for segment in self.encoder.encode(scene.image, scene.header(), options):
                stream.write(segment)
            length = stream.tell()
            stream.seek(0)
            return length, self.decoder.decode(stream.read()).scene.image


def bundle_codecs(name: str) -> list[Codec]:
    """Return what is measured of a bundle.

    That of variable rate is encoded along a trellis and, named `PLAIN`, without.
    """
    plain = BundleCodec(name)
    if not plain.variable_rate:
        return [plain]
    along = BundleCodec(name, trellis=True)
    plain.name += PLAIN
    return [along, plain]
