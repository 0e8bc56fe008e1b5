"""Table of the rival codecs: the names under which each is measured, and which cannot run here."""

from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.codecs.ccsds121 import Ccsds121
from benchmarks.codecs.codec import Codec
from benchmarks.codecs.htj2k import Htj2k
from benchmarks.codecs.jpeg2000 import Jpeg2000
from benchmarks.codecs.jpegls import JpegLs
from benchmarks.codecs.klt import gradient_covariance, scene_covariance
from benchmarks.codecs.kltjpeg2000 import KltJpeg2000


@dataclass(frozen=True)
class Name:
    """What a codec is called in one benchmark.

    Attributes:
        key: its name in results.
        label: its name for people.
    """

    key: str
    label: str


@dataclass(frozen=True)
class Rival:
    """A rival codec and where it is measured.

    Attributes:
        codec: the codec.
        quality: its name among the baselines at equal bytes; None where it is none of them, as
            all whose rate is not variable.
        speed: its name among the codecs whose speed is measured; None where it is none of them.
        library: module that it needs; empty without one.
    """

    codec: Codec
    quality: Name | None
    speed: Name | None
    library: str = ""

    @property
    def reason(self) -> str:
        """Why it cannot run here; empty where it can."""
        if not self.library or find_spec(self.library):
            return ""
        return f"{self.library} is not installed; pip install 'skybook[bench]'"


RIVALS = (
    Rival(
        Jpeg2000(),
        Name("jp2", "JPEG 2000 per band"),
        Name("openjpeg", "JPEG 2000 per band (OpenJPEG)"),
    ),
    Rival(
        KltJpeg2000(scene_covariance),
        Name("jp2_scene_klt", "JPEG 2000 after scene KLT"),
        speed=None,
    ),
    Rival(
        KltJpeg2000(gradient_covariance),
        Name("jp2_gradient_klt", "JPEG 2000 after gradient KLT"),
        Name("klt_openjpeg", "gradient KLT + JPEG 2000"),
    ),
    Rival(
        Htj2k(),
        Name("htj2k", "HTJ2K per band"),
        Name("htj2k", "HTJ2K per band (OpenJPH)"),
        "imagecodecs",
    ),
    Rival(JpegLs(), None, Name("jpegls", "JPEG-LS (CharLS)"), "imagecodecs"),
    Rival(Ccsds121(), None, Name("ccsds121", "CCSDS 121.0 (libaec)"), "imagecodecs"),
)
"""In the order of all tables."""


KLTS = ("jp2_scene_klt", "jp2_gradient_klt")
BETTER_KLT = "jp2_klt"
"""Of the two KLT baselines the one that, on the scene at hand, leaves us less."""

BASELINES: dict[str, Codec] = {
    rival.quality.key: rival.codec for rival in RIVALS if rival.quality and not rival.reason
}
"""What is coded at the bytes of our bundles."""
BASELINE_LABELS = {
    **{rival.quality.key: rival.quality.label for rival in RIVALS if rival.quality},
    BETTER_KLT: "JPEG 2000, better KLT",
}
BASELINES_LEFT_OUT = {
    rival.quality.key: rival.reason for rival in RIVALS if rival.quality and rival.reason
}
"""Baselines that cannot run here, and why."""

TIMED: dict[str, Codec] = {
    rival.speed.key: rival.codec for rival in RIVALS if rival.speed and not rival.reason
}
"""What is timed beside our bundles."""
TIMED_LABELS = {rival.speed.key: rival.speed.label for rival in RIVALS if rival.speed}
TIMED_LEFT_OUT = {rival.speed.key: rival.reason for rival in RIVALS if rival.speed and rival.reason}
"""Timed codecs that cannot run here, and why."""
