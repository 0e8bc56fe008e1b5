"""Sessions: engines, their errors, and graphs that do not fit."""

import subprocess
import sys

import numpy as np
import pytest

from export.corsa.quantise import encoder_onnx
from export.corsa.tflite import encoder_tflite
from ground.decode.graphs.graph import open_float_session
from onboard.engine.engines import ENGINES, import_engine, open_ort
from onboard.engine.network import open_session
from onboard.errors import BundleError, EngineError, UsageError
from tests.networks import TWO_LEVELS, quantised, tiles

INSTALLED = ("ort", "litert")


@pytest.fixture(scope="module")
def graphs() -> tuple[bytes, bytes]:
    """ONNX and TFLite file of one encoder."""
    encoder = quantised(TWO_LEVELS)
    return encoder_onnx(encoder), encoder_tflite(encoder)


@pytest.mark.parametrize("engine", INSTALLED)
def test_latents_coarse_to_fine(graphs: tuple[bytes, bytes], engine: str) -> None:
    opened = open_session(*graphs, levels=2, engine=engine)
    latents = opened.run(tiles(TWO_LEVELS, 1)[0])
    assert opened.engine == engine
    assert [maps.shape for maps in latents] == [(8, 6, 6), (8, 12, 12)]
    assert all(maps.dtype == np.int8 and maps.flags.c_contiguous for maps in latents)


@pytest.mark.parametrize("engine", INSTALLED)
def test_results_are_not_overwritten_by_the_next_run(
    graphs: tuple[bytes, bytes], engine: str
) -> None:
    opened = open_session(*graphs, levels=2, engine=engine)
    first, second = tiles(TWO_LEVELS, 2)
    latents = opened.run(first)
    kept = [maps.copy() for maps in latents]
    opened.run(second)
    for maps, copy in zip(latents, kept, strict=True):
        np.testing.assert_array_equal(maps, copy)


def test_engines_are_tried_in_order(
    graphs: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_session(*graphs, levels=2).engine == "ort"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_session(*graphs, levels=2).engine == "litert"
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(EngineError, match="no inference engine: engine ort") as caught:
        open_session(*graphs, levels=2)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    ("engine", "module"),
    [
        ("ort", "onnxruntime"),
        ("litert", "ai_edge_litert.interpreter"),
        ("tflite", "tflite_runtime.interpreter"),
    ],
)
def test_missing_engine(
    graphs: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, engine: str, module: str
) -> None:
    monkeypatch.setattr(np, "__version__", "1.26.4")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=rf"engine {engine}: .*skybook\[{engine}\]"):
        open_session(*graphs, levels=2, engine=engine)


def test_tflite_needs_old_numpy(
    graphs: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "__version__", "2.4.6")
    with pytest.raises(EngineError, match=r"tflite needs numpy < 2, found 2\.4\.6"):
        open_session(*graphs, levels=2, engine="tflite")


def test_calls_that_make_no_sense(graphs: tuple[bytes, bytes]) -> None:
    with pytest.raises(EngineError, match="numpy"):
        open_session(*graphs, levels=2, engine="numpy")
    with pytest.raises(UsageError, match=", ".join(ENGINES)):
        open_session(*graphs, levels=2, engine="tensorrt")
    with pytest.raises(UsageError, match="threads"):
        open_session(*graphs, levels=2, threads=0)


@pytest.mark.parametrize("engine", INSTALLED)
@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_damaged_graph(graphs: tuple[bytes, bytes], engine: str, keep: int) -> None:
    onnx, tflite = graphs
    with pytest.raises(BundleError, match=f"engine {engine} refuses"):
        open_session(onnx[:keep], tflite[:keep], levels=2, engine=engine)


@pytest.mark.parametrize("engine", INSTALLED)
def test_graph_of_another_bundle(graphs: tuple[bytes, bytes], engine: str) -> None:
    with pytest.raises(BundleError, match="expected 3"):
        open_session(*graphs, levels=3, engine=engine)
    opened = open_session(*graphs, levels=2, engine=engine)
    with pytest.raises(BundleError, match=r"takes int8 \(4, 24, 24\)"):
        opened.run(np.zeros((3, 24, 24), np.int8))
    with pytest.raises(BundleError, match="uint8"):
        opened.run(np.zeros((4, 24, 24), np.uint8))


def test_float_session_refuses_what_does_not_fit(graphs: tuple[bytes, bytes]) -> None:
    with pytest.raises(BundleError, match="refuses"):
        open_float_session(b"not ONNX")
    with pytest.raises(BundleError, match="1 output"):
        open_float_session(graphs[0])


def test_import_loads_no_engine() -> None:
    code = (
        "import sys, onboard.engine.network, onboard.engine.planes; "
        "print([m for m in ('onnxruntime', 'ai_edge_litert', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_onnxruntime_is_told_to_be_exact_without_vnni(graphs: tuple[bytes, bytes]) -> None:
    opened = open_ort(import_engine("ort"), graphs[0], 1)
    options = opened.get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "1"


def test_onnxruntime_is_silent(graphs: tuple[bytes, bytes]) -> None:
    code = (
        "import sys, numpy as np, onboard.engine.network as s; "
        "s.open_session(sys.stdin.buffer.read(), b'', 2, 'ort').run(np.zeros((4, 24, 24), np.int8))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], input=graphs[0], capture_output=True, check=True
    )
    assert found.stdout == found.stderr == b""
