"""ENVI header: the text file beside a raw image that tells its geometry."""

import re
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import InputError, reading
from onboard.image.rawrows import LAYOUTS

_MOST_BYTES = 1 << 20
_MARK = "ENVI"
_ENTRY = re.compile(r"^([^=;\n]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", re.MULTILINE)
_DTYPES = {"1": "u8", "2": "i16", "12": "u16"}
_OTHER_DTYPES = {
    "3": "int32",
    "4": "float32",
    "5": "float64",
    "6": "complex64",
    "9": "complex128",
    "13": "uint32",
    "14": "int64",
    "15": "uint64",
}
_BYTE_ORDERS = {"0": "little", "1": "big"}
_SAY_NOTHING = ("description", "file type")
_OTHER_FORMS = ("file compression", "major frame offsets", "minor frame offsets")


@dataclass(frozen=True)
class EnviHeader:
    """What an ENVI header tells of a raw image.

    Attributes:
        path: file of the header.
        width: columns.
        rows: number of rows.
        bands: number of bands.
        dtype: 'u8', 'u16' or 'i16'.
        layout: 'bsq', 'bil' or 'bip'.
        byte_order: 'little' or 'big'.
        skip_bytes: bytes before the first sample.
        nodata: value that means no data, None if there is none.
        band_ids: names of the bands, none or one for each.
        unused: what else it says.
    """

    path: Path
    width: int
    rows: int
    bands: int
    dtype: str
    layout: str
    byte_order: str
    skip_bytes: int
    nodata: int | None
    band_ids: tuple[str, ...]
    unused: tuple[str, ...]

    @classmethod
    def beside(cls, raw: Path) -> "EnviHeader | None":
        """Read the header of a raw file: NAME.hdr or NAME.SUFFIX.hdr; None if there is none.

        A file of that name that is of another kind (they begin otherwise) is none.

        Raises:
            InputError: it cannot be read or understood; what was expected and found.
        """
        for path in (Path(f"{raw}.hdr"), raw.with_suffix(".hdr")):
            if path != raw and path.is_file():
                with reading(path), path.open("rb") as file:
                    text = file.read(_MOST_BYTES).decode("utf-8", "replace")
                if text.lstrip("\ufeff").split(maxsplit=1)[:1] == [_MARK]:
                    return cls.parse(path, text)
        return None

    @classmethod
    def parse(cls, path: Path, text: str) -> "EnviHeader":
        """Read the text of a header.

        Raises:
            InputError: something is missing or has a value that cannot be used.
        """
        entries = {key.strip().lower(): value.strip() for key, value in _ENTRY.findall(text)}

        def choice(key: str, choices: dict[str, str], default: str | None = None) -> str:
            found = entries.pop(key, default)
            if found is None or found.lower() not in choices:
                known = ", ".join(k if k == v else f"{k} ({v})" for k, v in choices.items())
                name = _OTHER_DTYPES.get(found or "", "") if key == "data type" else ""
                what = "none" if found is None else f"{found:.40}" + (f" ({name})" if name else "")
                raise InputError(f"{path}: {key}: expected one of {known}, found {what}")
            return choices[found.lower()]

        def whole(key: str, least: int, default: str | None = None) -> int:
            found = entries.pop(key, default)
            if found is None or not re.fullmatch(r"\d{1,12}", found) or int(found) < least:
                what = "none" if found is None else f"{found:.40}"
                raise InputError(f"{path}: {key}: expected a number from {least} on, found {what}")
            return int(found)

        width, rows, bands = whole("samples", 1), whole("lines", 1), whole("bands", 1)
        dtype = choice("data type", _DTYPES)
        layout = choice("interleave", {name: name for name in LAYOUTS})
        byte_order = choice("byte order", _BYTE_ORDERS, "0")
        skip_bytes = whole("header offset", 0, "0")
        _refuse_other_forms(path, entries)
        nodata = _nodata(path, entries.pop("data ignore value", None))
        names = entries.pop("band names", "").strip("{}")
        band_ids = tuple(" ".join(name.split()) for name in names.split(",")) if names else ()
        unused = [key for key, value in entries.items() if value and key not in _SAY_NOTHING]
        if len(band_ids) != bands:
            unused += ["band names"] if band_ids else []
            band_ids = ()
        return cls(
            path,
            width,
            rows,
            bands,
            dtype,
            layout,
            byte_order,
            skip_bytes,
            nodata,
            band_ids,
            tuple(unused),
        )


def _refuse_other_forms(path: Path, entries: dict[str, str]) -> None:
    """Refuse files whose samples do not simply follow each other."""
    for key in _OTHER_FORMS:
        found = entries.pop(key, "0")
        if set(found) - set("{}, 0"):
            raise InputError(f"{path}: {key}: expected 0, found {found:.40}")


def _nodata(path: Path, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        value = float(text)
        if value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{path}: data ignore value: expected a whole number, found {text:.40}")
