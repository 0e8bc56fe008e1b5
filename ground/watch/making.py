"""Making: a scene of the journal to a product and its STAC item, published whole or not at all."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from ground.api.source import Choice, Source
from ground.decode.decoder import Decoded, Decoder
from ground.products.kinds import product_of
from ground.products.origin import Origin
from ground.products.stac import item_path, write_item
from ground.station.recording import Bytes, Pass, open_recording, read_pass
from ground.station.salvage.madeout import Salvage
from ground.watch.records import Heard, Part
from onboard import bundle as bundles
from onboard.errors import BundleError, SkybookError, StreamError, UsageError
from onboard.link.binding import NO_RUN, bind, run_of
from onboard.link.segment import BOUND, MAJOR, SYNC, Kind, Segment

_REPAIR_MARK = SYNC + bytes([MAJOR << 4 | Kind.REPAIR])
_AROUND = 4 << 20
"""Bytes before and after a scene that are read, too, where there are repair packets."""
_PREFIX = ".making-"


class RoomError(UsageError):
    """There is no room for products, or no place: none can be made now."""


@dataclass(frozen=True)
class Made:
    """What was made of a scene.

    Attributes:
        name: name of its product.
        complete: whether all of it arrived.
        reasons: what was left out, and why.
    """

    name: str
    complete: bool
    reasons: list[str]


@dataclass
class Maker:
    """Makes products; bundles and decoder graphs are loaded once.

    Attributes:
        folder: where products go.
        suffix: of a product, one of `ground.products.kinds.PRODUCTS`.
        linear: whether to leave images as the bundle alone gives them.
        max_pixels: most pixels that a scene may have.
    """

    folder: Path
    suffix: str
    linear: bool
    max_pixels: int
    models: dict[bytes, Path] = field(default_factory=dict)
    """Paths of the known bundles by their tags."""
    _decoders: dict[Path, Decoder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in bundles.known_paths():
            try:
                self.models[bundles.load(str(path)).tag] = path
            except SkybookError:
                continue
        for left in self.folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)

    def make(self, scene: Heard, parts: list[Part]) -> Made:
        """Decode a scene and publish it; what was published before is replaced.

        Raises:
            StreamError: less of it is left than its product was made of.
            RoomError: there is no room for it.
        SkybookError: it cannot be decoded.
        """
        received = _received(parts, self.models.keys() | {scene.encoding.binding})
        # Damage beside the scene is not its own; what it lacks the mask tells.
        all_of_it = received.of(scene.encoding)
        segments = [s for s in all_of_it if isinstance(s, Segment)]
        salvage = [s for s in all_of_it if isinstance(s, Salvage)]
        count = len({(s.kind, s.tile, s.layer, s.first) for s in segments if s.kind in BOUND})
        if count < scene.made:
            raise StreamError(
                f"recordings: expected the {scene.made} segments that its product was made of, "
                f"found {count}: it stays as it is"
            )
        heard = received.heard.get(scene.encoding)
        if heard is None:
            raise StreamError("recordings: expected segments of it, found none")
        decoder, run = self._decoder(scene, heard.told), heard.run(scene.encoding, self.models)
        choice = Choice(scene.encoding.scene_id, run, None, self.linear, self.max_pixels)
        source = Source(decoder, scene.encoding, [*segments, *salvage], choice, choice.wanted())
        decoded = source.decode()
        origin = source.origin(run, decoded)
        name = f"scene-{scene.encoding.scene_id:05}-{scene.encoding.binding.hex()}{self.suffix}"
        try:
            reasons = self._write(name, decoded, origin)
        except (UsageError, OSError) as error:
            raise RoomError(f"{self.folder}: expected room for products: {error}") from error
        return Made(name, decoded.complete, reasons)

    def _write(self, name: str, decoded: Decoded, origin: Origin) -> list[str]:
        """Write a product and its item beside their place, then move them there, the item last."""
        product = product_of(Path(name))
        making = Path(mkdtemp(prefix=_PREFIX, dir=self.folder))
        try:
            path = making / name
            reasons = product.write(path, decoded.scene, decoded.mask, origin)
            beside = product.files_of(path)
            reasons += write_item(path, beside, decoded.scene, origin, decoded.mask)
            for file in (*beside.values(), path, item_path(path)):
                if file.exists():
                    _publish(file, self.folder / file.name)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return reasons

    def _decoder(self, scene: Heard, told: int | None) -> Decoder:
        """Return the decoder of the model of a scene."""
        binding = scene.encoding.binding
        for tag, path in self.models.items():
            run = run_of(binding, tag)
            if run is not None and told in (None, run):
                if path not in self._decoders:
                    self._decoders[path] = Decoder(path, linear=self.linear)
                return self._decoders[path]
        model = bind(binding, told or NO_RUN).hex()
        raise BundleError(f"stream: made by model {model}, expected a known bundle's")


def _received(parts: list[Part], bindings: set[bytes]) -> Pass:
    """Read what there is of a scene, in all recordings that are still there."""
    return read_pass([_slice(part) for part in parts if part.path.exists()], None, bindings)


def _slice(part: Part) -> Bytes:
    """Return the bytes of a recording in which a scene is, and what may restore more of it."""
    recording = open_recording(part.path)
    wide = bytes(recording[max(0, part.start - _AROUND) : part.stop + _AROUND])
    return wide if _REPAIR_MARK in wide else bytes(recording[part.start : part.stop])


def _publish(made: Path, path: Path) -> None:
    """Put a file, or a folder of a Zarr, in the place of what is there."""
    if not path.is_dir():
        if made.is_file():
            with made.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(made, path)
        return
    old = made.with_name(f"{made.name}.old")
    os.rename(path, old)
    os.rename(made, path)
