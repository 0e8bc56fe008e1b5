"""onboard/skybook.ksy as a Python module, and what it parses as what our own readers would give."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from onboard.link.crc import crc32c
from onboard.link.end import EndOfScene
from onboard.link.facts import Facts
from onboard.link.header import SceneHeader
from onboard.link.packet import SpacePacket, crc16
from onboard.link.parts import Parts, ToldBound
from onboard.link.repair import Repair
from onboard.link.segment import Segment
from tests.conftest import ROOT

PACKAGE = "kaitai-struct-compiler"
MODULES = Path(sys.prefix) / "node_modules"
"""Where `make test` installs the package, where it may."""
LANGUAGES = ("python", "cpp_stl", "java", "javascript")
COMPILE = """
const compiler = require(process.argv[1]);
const description = JSON.parse(require("fs").readFileSync(0));
const compile = (language) => compiler.compile(language, description, null, false);
Promise.all(process.argv.slice(2).map(compile)).then(
    (files) => console.log(JSON.stringify(files)),
    (error) => { console.error(error.message || error); process.exitCode = 1; });
"""


def description() -> Any:
    """Return what the file says."""
    return yaml.safe_load((ROOT / "onboard/skybook.ksy").read_text())


@cache
def compiled() -> dict[str, dict[str, str]]:
    """Return the sources of a parser in each language; skip where there is no compiler."""
    paths = [str(MODULES), *filter(None, [os.environ.get("NODE_PATH")])]
    try:
        done = subprocess.run(
            ["node", "-e", COMPILE, PACKAGE, *LANGUAGES],
            input=json.dumps(description()),
            capture_output=True,
            text=True,
            env={**os.environ, "NODE_PATH": os.pathsep.join(paths)},
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no node to compile skybook.ksy with")
    if f"Cannot find module '{PACKAGE}'" in done.stderr:
        pytest.skip(f"{PACKAGE} is not in {MODULES} or NODE_PATH (npm)")
    assert done.returncode == 0, done.stderr
    return dict(zip(LANGUAGES, json.loads(done.stdout), strict=True))


@cache
def parser() -> Any:
    """Return the class that parses streams; skip without compiler or runtime."""
    pytest.importorskip("kaitaistruct", minversion="0.11")
    module = ModuleType("skybook_ksy")
    exec(compiled()["python"]["skybook.py"], module.__dict__)
    return module.Skybook


def parse(stream: bytes) -> list[Any]:
    """Return the packets and bare segments of a stream, as described."""
    return [element.content for element in parser().from_bytes(stream).elements]


def packet_of(told: Any) -> SpacePacket:
    """Return a packet of ours, its CRC-16 as told by the fields."""
    ours = told.data_field.ours
    segments = b"".join(segment_of(one).pack() for one in ours.segments)
    time = ours.time.seconds, ours.time.fraction
    control = hasattr(ours, "error_control")
    found = SpacePacket(told.apid, told.sequence_count, time, segments, control)
    assert told.length == len(found.pack()) - 7
    assert not control or ours.error_control == crc16(found.pack()[:-2])
    return found


def segment_of(told: Any) -> Segment:
    """Return a segment with the binding that body, or CRC and check, tell."""
    body = told.body
    edge = (body.edge.valid_rows, body.edge.valid_cols) if told.has_edge else None
    content = bytes(getattr(body, "_raw_content", body.content))
    unbound = bytes(4) if told.is_bound else body.binding.to_bytes(4, "big")
    place = told.tile, told.layer, told.first
    found = Segment(int(told.kind), told.scene_id, unbound, *place, edge, content)
    binding = (crc32c(found.pack()[:-4]) ^ told.check).to_bytes(4, "big")
    if told.is_bound:
        return replace(found, binding=binding)
    assert binding == bytes(4)
    return found


FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "nodata": ("nodata", lambda told: told.value),
    "geotransform": (
        "geotransform",
        lambda told: (told.x0, told.dx, told.rx, told.y0, told.ry, told.dy),
    ),
    "epsg": ("crs", lambda told: f"EPSG:{told.code}"),
    "wkt": ("crs", lambda told: told.unpacked.text),
    "start_time": ("start_time", lambda told: (told.seconds, told.fraction)),
    "band_list": ("band_ids", lambda told: tuple(told.text.split(","))),
    "sensor": ("sensor", lambda told: told.text),
    "band_texts": ("band_ids", lambda told: tuple(told.texts)),
    "run": ("run", lambda told: told.run),
    "profile": ("profile", lambda told: told.digest),
    "bayer": ("bayer", lambda told: told.pattern.name),
    "tile_size": ("tile", lambda told: 8 * told.eighths),
    "bounds": ("parts", lambda told: Parts(bound_of(told.first_part), bound_of(told.both_parts))),
}
FACTS: dict[str, Callable[[Any], Any]] = {
    "calibration": lambda told: tuple((band.scale, band.offset) for band in told.bands),
    "units": lambda told: tuple(told.texts),
    "colours": lambda told: tuple(told.colours),
    "tags": lambda told: tuple((tag.place, tag.key, tag.value) for tag in told.unpacked.tags),
}
"""Extensions of a scene header."""


def bound_of(told: Any) -> ToldBound:
    """Return a bound of tiles in two parts."""
    return ToldBound.of(told.root, tuple(told.bands))


def header_of(told: Any) -> SceneHeader:
    """Return a scene header."""
    fields, facts = {}, {}
    for extension in told.extensions:
        kind, content = extension.kind.name, extension.content
        if kind in FACTS:
            facts[kind] = FACTS[kind](content)
        else:
            name, read = FIELDS[kind]
            fields[name] = read(content)
    sizes = told.bands, told.width, told.height
    samples = told.sample_type.name
    return SceneHeader(samples, told.significant_bits, *sizes, facts=Facts(**facts), **fields)


def end_of(told: Any) -> EndOfScene:
    """Return the end of a scene."""
    run = told.run.run if hasattr(told, "run") else 0
    return EndOfScene(told.height, told.num_segments, run)


def repair_of(told: Any) -> Repair:
    """Return what a repair segment carries."""
    content = told.body.content
    size, symbol = content.num_packets, content.symbol
    return Repair(content.series, told.tile, size, told.first, symbol)


def mask_of(told: Any) -> NDArray[np.bool_]:
    """Return the pixels that a mask tells, the padding of a bitmap with them."""
    if told.form.name == "bitmap":
        return np.unpackbits(np.frombuffer(told.bitmap, np.uint8)).astype(np.bool_)
    runs = [run.pixels for run in told.runs]
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)
