"""Source: the encoding of a scene that is opened, out of all that recordings hold."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from ground.decode.choice import best_first
from ground.decode.decoder import Decoded, Decoder
from ground.decode.rows import Give
from ground.decode.wanted import Wanted
from ground.products.origin import Origin
from ground.station.index.kept import keep, kept
from ground.station.index.records import Index, Indexed
from ground.station.model import find_bundle, tag_of
from ground.station.recording import Bytes, Pass, open_recording, read_pass
from onboard import bundle as bundles
from onboard.bundle.profiles import load_profile
from onboard.errors import SkybookError, UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS
from onboard.link.binding import NO_RUN, Encoding, bind
from onboard.link.resync import Damage
from onboard.link.segment import Segment


@dataclass(frozen=True)
class Choice:
    """What the caller chooses.

    Attributes:
        scene_id: id of the scene; None where there is one alone.
        run: encoding of the scene; None for the one of which most arrived.
        bundle: name or path of the bundle; None for the known one that the stream names.
        linear: whether to leave the image as the bundle alone gives it, without the decoder graph.
        max_pixels: most pixels (rows x columns) that a scene may have.
        profile: spectral profile, or its folder of slots; None for the known one that is named.
        threads: tiles decoded at once.
        width: columns of a scene whose header did not arrive.
        bands: bands of such a scene; None takes as many as the bundle has classes of.
        tile: rows and columns of its tiles; None finds them by what the tiles say.
    """

    scene_id: int | None = None
    run: int | None = None
    bundle: str | None = None
    linear: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    profile: str | Path | None = None
    threads: int = 1
    width: int | None = None
    bands: int | None = None
    tile: int | None = None

    def wanted(self) -> Wanted:
        """Return what is wanted of the segments of one encoding; reads the spectral profile.

        Raises:
            BundleError: it cannot be read, or is damaged.
        """
        profile = None if self.profile is None else load_profile(Path(self.profile))
        return Wanted(
            width=self.width,
            bands=self.bands,
            tile=self.tile,
            profile=profile,
            max_pixels=self.max_pixels,
        )


@dataclass(frozen=True)
class Source:
    """An encoding, and what decodes it.

    Attributes:
        decoder: decoder of its bundle.
        encoding: which it is.
        segments: what arrived of it.
        choice: what the caller chose.
        wanted: what is wanted of these segments.
    """

    decoder: Decoder
    encoding: Encoding
    segments: Sequence[Segment | Damage]
    choice: Choice
    wanted: Wanted

    @classmethod
    def open(cls, paths: Sequence[Path], choice: Choice, keep_index: bool = False) -> "Source":
        """Find the encoding in recordings of one pass; one alone is read through an index.

        Args:
            paths: recordings.
            choice: what the caller chooses.
            keep_index: keep the index beside the recording; one that is there is used anyway.

        Raises:
            UsageError: there is no one index of several recordings, of KISS frames, or of packets
                that are restored.
            as `of`, and InputError: a file cannot be read.
        """
        recordings = [open_recording(path) for path in paths]
        tags = _known(choice)
        found = None
        if len(recordings) == 1 and isinstance(recordings[0], mmap):
            found = kept(paths[0], recordings[0], tags)
            if found is None and keep_index and (found := Index.build(recordings[0], tags)):
                keep(paths[0], found)
        if keep_index and found is None:
            raise UsageError(
                "index: expected one recording with nothing to restore, and not in KISS frames; "
                "`ground merge` makes one of several"
            )
        return cls.of(recordings, choice, index=found)

    @classmethod
    def of(
        cls,
        recordings: Sequence[Bytes],
        choice: Choice,
        opened: Callable[[Path, bool], Decoder] | None = None,
        index: Index | None = None,
        received: Pass | None = None,
    ) -> "Source":
        """Find the encoding in recordings of one pass.

        Args:
            recordings: recordings.
            choice: what the caller chooses.
            index: of the only recording, through which it is read.
            opened: function that returns the decoder of a bundle's file, linear or not, in place
                of a new one.
            received: what they hold, where they were read already.

        Raises:
            UsageError: there are several scenes, and none was chosen.
            StreamError: there is none like the chosen one.
            BundleError: its bundle or spectral profile is not known, or damaged.
        """
        tags = known_tags(choice.bundle)
        if received is None:
            received = index.received() if index else read_pass(recordings, None, _known(choice))

        def segments_of(encoding: Encoding) -> Sequence[Segment | Damage]:
            return index.of(encoding) if index else received.of(encoding)

        def bundle_of(encoding: Encoding) -> Path:
            known = None if choice.bundle is None else bundles.find(choice.bundle)
            heads = index.of(encoding).heads() if index else received.of(encoding)
            return known or find_bundle(heads)

        wanted = choice.wanted()
        found = received.of_one_scene(choice.scene_id, choice.run, tags)
        if len(found) > 1:
            every = {encoding: segments_of(encoding) for encoding in found}
            found = [best_first(every, bundle_of, wanted)[0].encoding]
        path = bundle_of(found[0])
        if opened is not None:
            decoder = opened(path, choice.linear)
        else:
            decoder = Decoder(path, choice.threads, choice.linear)
        return cls(decoder, found[0], segments_of(found[0]), choice, wanted)

    def decode(self, give: Give | None = None) -> Decoded:
        """Decode all of it; `give` takes its rows, see `Decoder.decode_segments`."""
        return self.decoder.decode_segments(self.segments, self.wanted, give=give)

    @property
    def size(self) -> int:
        """Bytes of the segments that arrived."""
        if isinstance(self.segments, Indexed):
            return self.segments.size
        return sum(segment.size for segment in self.segments if isinstance(segment, Segment))

    @property
    def bytes_read(self) -> int:
        """Bytes of the segments that were read so far."""
        return self.segments.bytes_read if isinstance(self.segments, Indexed) else self.size

    def origin(self, run: int | None, decoded: Decoded | None = None) -> Origin:
        """Return what a dataset says of it and its run, and of what it was decoded to."""
        bundle, psnr, peak = self.decoder.bundle, None, None
        if decoded is not None:
            peak = decoded.scene.peak
            psnr = decoded.expected_psnr(peak)
        return Origin(
            bundle.name,
            bundle.model_hash.hex(),
            self.encoding.scene_id,
            run or NO_RUN,
            self.size,
            None if decoded is None else decoded.complete,
            self.choice.linear,
            psnr,
            peak,
        )


def _known(choice: Choice) -> set[bytes]:
    """Return the bindings that are known whatever recordings tell."""
    tags = known_tags(choice.bundle)
    return tags if choice.run is None else tags | {bind(tag, choice.run) for tag in tags}


def known_tags(bundle: str | None) -> set[bytes]:
    """Return the tag of the bundle that was chosen, or of all known ones."""
    if bundle is not None:
        return {bundles.load(bundle).tag}
    found = set()
    for path in bundles.known_paths():
        with suppress(SkybookError):
            found.add(tag_of(path))
    return found
