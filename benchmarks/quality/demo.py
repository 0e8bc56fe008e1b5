"""Demo: a real scene through the commands a user types, with a table that tells the truth."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.codecs.codec import round_trip
from benchmarks.codecs.table import BASELINES
from benchmarks.quality.figures import figures
from benchmarks.quality.report import codec_table
from ground.products import geotiff
from ground.scene import Scene, raw_bytes
from ground.scenes.patch import PATCH_BANDS
from onboard import bundle as bundles


def run_demo(folder: Path, names: list[str]) -> dict[str, Any]:
    """Encode and decode the spyndex scene with each bundle; print commands and a table.

    Returns:
        `codecs`: figures by codec; `onboard`: what the encoder printed, by bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tif = folder / "scene.tif"
    _run("ground", "scene", "spyndex", "-o", str(tif))
    original = geotiff.read(tif).image.astype(np.uint16)
    np.save(folder / "scene.npy", original)
    codecs: dict[str, Any] = {}
    onboard: dict[str, Any] = {}
    for name in names:
        stream, result, output = (folder / f"{name}.{end}" for end in ("sky", "json", "tif"))
        picture = folder / f"{name}.png"
        command = ["onboard", "encode", str(folder / "scene.npy"), "-o", str(stream)]
        _run(*command, "--bundle", name, "--plain", "--json", str(result))
        command = ["ground", "decode", str(stream), "-o", str(output)]
        _run(*command, "--original", str(tif), "--quicklook", str(picture))
        onboard[name] = json.loads(result.read_text())
        codecs[name] = figures(original, geotiff.read(output).image, stream.stat().st_size)
        budget = codecs[name]["bytes"]
        for baseline, codec in BASELINES.items() if name == names[0] else ():
            spent, decoded = round_trip(codec, Scene(original), budget)
            codecs[baseline] = figures(original, decoded, spent)
    bands, rows, cols = original.shape
    print(f"\nSentinel-2 scene, {bands} bands, {rows} x {cols}, {raw_bytes(original)} bytes raw.")
    print("PSNR16: peak 65535, PSNR: that of the samples' bits, in dB.")
    print(f"JPEG 2000 at the bytes of {names[0]}.\n")
    print(codec_table(codecs))
    return {"codecs": codecs, "onboard": onboard}


def _run(*command: str) -> None:
    """Run one of our commands, showing it as a user would type it."""
    print("$ python -m " + " ".join(command), flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


def default_names() -> list[str]:
    """Return the shipped bundles for the bands of the spyndex scene, sorted."""
    return sorted(n for n in bundles.known() if bundles.load(n).bands == len(PATCH_BANDS))
