"""Our own bundles as codecs."""

from dataclasses import dataclass, replace
from functools import partial

from benchmarks.codecs.codec import Coded, OnePass
from ground.decode.decoder import Decoder
from ground.decode.wanted import Wanted
from ground.scene import Scene
from onboard.bundle import find, load
from onboard.codec.profile import Profile
from onboard.encoder import Encoder, Options
from onboard.image.files import Image

BUNDLE = "skybook"
"""Measured unless told otherwise."""

PLAIN = "-plain"
"""Ends the name of a bundle that is encoded without trellis."""


@dataclass(frozen=True)
class BundleCodec:
    """A bundle with its encoder and decoder.

    Attributes:
        name: name of the bundle in results.
        encoder: encoder with the bundle, on the engine of a caller who names none.
        decoder: decoder of the bundle's streams, on one thread.
        trellis: whether indices are chosen along a trellis.
        asked_tile: rows and columns of tiles; None for those that the encoder gives a scene.
    """

    name: str
    encoder: Encoder
    decoder: Decoder
    trellis: bool = False
    asked_tile: int | None = None

    @classmethod
    def open(cls, name: str, profile: Profile | None = None) -> "BundleCodec":
        """Open a bundle by name or path, to be encoded without trellis.

        With a spectral profile it is for scenes of that profile's bands.

        Raises:
            BundleError: there is no such bundle, or it has no decoder.
        """
        encoder = Encoder(load(name), profile=profile)
        return cls(encoder.bundle.name, encoder, Decoder(find(name)))

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.encoder.bundle.bands

    def tile_of(self, scene: Scene) -> int:
        """Return rows and columns of a tile of a scene."""
        header = replace(scene.header(), tile=self.asked_tile)
        return self.encoder.for_scene(header, Options(trellis=self.trellis).tiling).bundle.tile

    @property
    def variable_rate(self) -> bool:
        """Whether a budget can be given."""
        return self.encoder.bundle.variable_rate

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Return the stream of segments, see `Codec`."""
        options = Options(budget=budget, trellis=self.trellis)
        header = replace(scene.header(), tile=self.asked_tile)
        stream = b"".join(self.encoder.encode(scene.image, header, options))
        return Coded((stream,), scene.image.shape)

    def decode(self, coded: Coded) -> Image:
        """Decode the stream, see `Codec`."""
        wanted = Wanted(profile=self.encoder.profile)
        return self.decoder.decode(coded.parts[0], wanted).scene.image

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Return the encode itself: the search of its rate is a part of it."""
        if not self.variable_rate:
            return OnePass("rate: fixed", partial(self.encode, scene))
        budget = int(scene.raw_bytes / ratio)
        return OnePass("rate: a byte budget", partial(self.encode, scene, budget))


def bundle_codecs(name: str, profile: Profile | None = None) -> list[BundleCodec]:
    """Return what is measured of a bundle, perhaps with a spectral profile.

    That of variable rate is encoded along a trellis and, named `PLAIN`, without.
    """
    plain = BundleCodec.open(name, profile)
    if not plain.variable_rate:
        return [plain]
    return [replace(plain, trellis=True), replace(plain, name=plain.name + PLAIN)]
