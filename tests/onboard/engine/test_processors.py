"""Golden tiles and streams on x86-64 processors that lack what this one has, emulated.

qemu-user from 7.2 on emulates AVX2, none emulates AVX-512 or VNNI; whatever asks the processor what
it can do sees the emulated one.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zlib
from functools import cache

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder
from tests.conftest import ROOT

EMULATOR = "qemu-x86_64"
LEAST_VERSION = (7, 2)
LONGEST = 1800
"""Seconds; an emulator on a busy machine takes minutes."""
ENGINES = ("ort", "litert", "numpy")
CORSA, FLAGSHIP = ("corsa-2level-1024", "corsa-3level-1024"), "skybook"
PROCESSORS = {"AVX2 alone": "Haswell", "SSE4.2 alone": "Nehalem"}
"""The second is what numpy and onnxruntime need at least (x86-64-v2)."""
SCRIPT = """
import json, sys, zlib
import numpy as np
from numpy._core._multiarray_umath import __cpu_features__ as features
from onboard import bundle
from onboard.encoder import Encoder
image = np.load(sys.argv[1])
found = {}
for name, engine in json.loads(sys.argv[2]):
    opened = bundle.load(name)
    agreement = opened.codec.open(engine).golden()
    stream = b"".join(Encoder(opened, engine).encode(image))
    found[f"{name} {engine}"] = [agreement.agree, agreement.total, zlib.crc32(stream)]
print("FOUND" + json.dumps([{n: features[n] for n in ("SSE42", "AVX2", "AVX512F")}, found]))
"""
PAIRS = [
    *((name, engine) for name in CORSA for engine in ("ort", "litert")),
    *((FLAGSHIP, engine) for engine in ENGINES),
]
IMAGE = procedural(9, 130, 140, nodata=False).image.astype(np.uint16)


def _need_emulator() -> None:
    """Skip the test, with a word on what is missing."""
    if platform.machine() != "x86_64":
        pytest.skip(f"this Python is for {platform.machine()}, not for x86-64")
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"{EMULATOR} is not installed")
    told = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+)\.(\d+)", told.stdout)
    if version is None or tuple(map(int, version.groups())) < LEAST_VERSION:
        pytest.skip(f"{EMULATOR}: expected 7.2 or later, found {told.stdout.splitlines()[0]}")


@cache
def _here(name: str, engine: str) -> int:
    """Return the CRC of the stream that this processor gives."""
    return zlib.crc32(b"".join(Encoder(bundles.load(name), engine).encode(IMAGE)))


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_golden_tiles_and_streams(processor: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _need_emulator()
    scene = tmp_path_factory.mktemp("scene") / "scene.npy"
    np.save(scene, IMAGE)
    emulated = (EMULATOR, "-cpu", PROCESSORS[processor])
    done = subprocess.run(
        [*emulated, sys.executable, "-c", SCRIPT, scene, json.dumps(PAIRS)],
        cwd=ROOT,
        # OpenBLAS takes the emulated Nehalem for a Haswell.
        env=os.environ | {"OPENBLAS_CORETYPE": PROCESSORS[processor]},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    features, found = json.loads(done.stdout.split("FOUND")[1])
    assert features == {"SSE42": True, "AVX2": "AVX2" in processor, "AVX512F": False}
    for name, engine in PAIRS:
        agree, total, stream = found[f"{name} {engine}"]
        assert agree == total, (name, engine)
        assert stream == _here(name, engine), (name, engine)


@pytest.mark.parametrize("name", CORSA)
def test_engines_give_the_same_stream(name: str) -> None:
    assert _here(name, "ort") == _here(name, "litert")
