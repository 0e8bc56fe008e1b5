"""Exact rivals: JPEG-LS, CCSDS 121, JPEG 2000, HTJ2K, JPEG XL and geozl, each at its best."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.exact import Exact, Quantised, shortest
from benchmarks.codecs.liftedklt import LiftedKlt
from onboard.image.files import Image

AEC_BLOCKS, AEC_REFERENCES = (8, 16, 32, 64), (64, 128, 1024, 4096)
"""Samples of a block, and blocks from one reference to the next, of which the best are taken."""
JXL_EFFORTS = (3, 7)
GEOZL_PREDICTORS = ("planar", "med")


class JpegLs:
    """JPEG-LS, its own NEAR for a bound, by CharLS; each band is a part."""

    def encode(self, image: Image, bound: int) -> list[bytes]:
        """See `Exact`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        return [bytes(imagecodecs.jpegls_encode(band, level=bound)) for band in image]

    def decode(self, parts: list[bytes], shape: tuple[int, ...], bound: int) -> NDArray[Any]:
        """See `Exact`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        return np.stack([imagecodecs.jpegls_decode(part) for part in parts]).reshape(shape)


class Geozl:
    """geozl, its own error for a bound; each band is a part, the best of its usual graphs."""

    def encode(self, image: Image, bound: int) -> list[bytes]:
        """See `Exact`."""
        import geozl  # noqa: PLC0415 (an optional package)

        return [
            min(
                (
                    bytes(geozl.compress(band, graph=_graph(band, name, bound)))
                    for name in GEOZL_PREDICTORS
                ),
                key=len,
            )
            for band in map(np.ascontiguousarray, image)
        ]

    def decode(self, parts: list[bytes], shape: tuple[int, ...], bound: int) -> NDArray[Any]:
        """See `Exact`."""
        import geozl  # noqa: PLC0415 (an optional package)

        bands = [np.frombuffer(bytes(geozl.decompress(part)), np.uint8) for part in parts]
        size = bands[0].size // (shape[1] * shape[2])
        return np.stack([band.view(f"<u{size}") for band in bands]).reshape(shape)


def _graph(band: Image, name: str, bound: int) -> Any:
    import geozl  # noqa: PLC0415 (an optional package)

    # Bytes of wider samples are coded apart.
    apart = "transpose>" if band.dtype.itemsize > 1 else ""
    return geozl.graph(band, f"{name}>zigzag>{apart}entropy", error=bound or None)


def _aec(image: Image) -> list[bytes]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    forms = [
        _aec_form(image.dtype.itemsize, number)
        for number in range(len(AEC_BLOCKS) * len(AEC_REFERENCES))
    ]
    code = partial(imagecodecs.aec_encode, out=2 * image[0].nbytes + 1024)
    found = shortest([[bytes(code(band, **form)) for band in image] for form in forms])
    found[0] += bytes([image.dtype.itemsize])
    return found


def _aec_back(parts: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    kind = np.dtype(f"<u{parts[0][1]}")
    pixels, form = shape[1] * shape[2], _aec_form(kind.itemsize, parts[0][0])
    # libaec wants room for whole blocks.
    room = kind.itemsize * (pixels + AEC_BLOCKS[-1])
    bands = [bytes(imagecodecs.aec_decode(packed, **form, out=room)) for packed in parts[1:]]
    return np.stack([np.frombuffer(band, kind)[:pixels] for band in bands]).reshape(shape)


def _aec_form(itemsize: int, number: int) -> dict[str, Any]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    block, reference = divmod(number, len(AEC_REFERENCES))
    return {
        "bitspersample": 8 * itemsize,
        "blocksize": AEC_BLOCKS[block],
        "rsi": AEC_REFERENCES[reference],
        "flags": imagecodecs.AEC.FLAG.DATA_PREPROCESS,
    }


def _jpeg2000(image: Image) -> list[bytes]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    def code(bands: Image) -> list[bytes]:
        lossless = partial(imagecodecs.jpeg2k_encode, reversible=True, level=0, mct=False)
        return [bytes(lossless(band)) for band in bands]

    candidates = [code(image)]
    if len(image) > 1:
        klt = LiftedKlt.of(image)
        planes = klt.forward(image)
        if planes is not None:
            candidates.append([klt.pack(), *code(planes)])
    return shortest(candidates)


def _jpeg2000_back(parts: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    number, *rest = parts
    klt, streams = (rest[0], rest[1:]) if number[0] else (b"", rest)
    planes = np.stack([imagecodecs.jpeg2k_decode(stream) for stream in streams]).reshape(shape)
    return LiftedKlt.unpack(klt, shape[0]).backward(planes) if klt else planes


def _htj2k(image: Image) -> list[bytes]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    return [bytes(imagecodecs.htj2k_encode(band, reversible=True)) for band in image]


def _jpegxl(effort: int, image: Image) -> list[bytes]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    code = partial(imagecodecs.jpegxl_encode, lossless=True, effort=effort)
    candidates = [[bytes(code(band)) for band in image]]
    if len(image) > 1:
        candidates.append([bytes(code(np.ascontiguousarray(image), planar=True))])
    if len(image) == 3:
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
        candidates.append([bytes(code(pixels, photometric="rgb"))])
    return shortest(candidates)


def _jpegxl_back(parts: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    found = [imagecodecs.jpegxl_decode(part) for part in parts[1:]]
    if parts[0][0] == 2:
        return np.asarray(found[0].transpose(2, 0, 1))
    return np.stack(found).reshape(shape)


def _each(decode: str) -> Callable[[list[bytes], tuple[int, ...]], NDArray[Any]]:
    """Return what decodes bands by a function of imagecodecs."""

    def back(parts: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
        import imagecodecs  # noqa: PLC0415 (an optional package)

        return np.stack([getattr(imagecodecs, decode)(part) for part in parts]).reshape(shape)

    return back


@dataclass(frozen=True)
class ExactRival:
    """A rival and how it is named.

    Attributes:
        key: its name in results.
        label: its name for people.
        codec: the codec.
        library: module that it needs.
        flies: whether it is known to fly, as JPEG XL is not.
    """

    key: str
    label: str
    codec: Exact
    library: str = "imagecodecs"
    flies: bool = True

    @property
    def reason(self) -> str:
        """Why it cannot run here; empty where it can."""
        if find_spec(self.library):
            return ""
        return f"{self.library} is not installed; pip install 'skybook[bench]'"


EXACT_RIVALS = (
    ExactRival("jpegls", "JPEG-LS (CharLS), NEAR D", JpegLs()),
    ExactRival("ccsds121", "CCSDS 121.0 (libaec), best settings", Quantised(_aec, _aec_back)),
    ExactRival(
        "jp2",
        "JPEG 2000 5/3 (OpenJPEG), better of per band and integer KLT",
        Quantised(_jpeg2000, _jpeg2000_back),
    ),
    ExactRival("htj2k", "HTJ2K 5/3 (OpenJPH)", Quantised(_htj2k, _each("htj2k_decode"))),
    *(
        ExactRival(
            f"jpegxl_e{effort}",
            f"JPEG XL effort {effort}, better of per band and extra channels",
            Quantised(partial(_jpegxl, effort), _jpegxl_back),
            flies=False,
        )
        for effort in JXL_EFFORTS
    ),
    ExactRival("geozl", "geozl, its own error bound", Geozl(), "geozl"),
)
"""In the order of tables."""
