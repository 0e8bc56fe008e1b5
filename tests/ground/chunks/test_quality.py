"""What a codec of chunks is asked to keep, as metadata have it, against its schema."""

import json
from dataclasses import fields
from typing import Any

import pytest

from ground.chunks.quality import RATES, Quality, path_of
from onboard import bundle as bundles
from onboard.errors import BundleError, UsageError
from tests.conftest import ROOT

SCHEMA = json.loads((ROOT / "ground" / "chunks" / "schema.json").read_text())
GOOD: list[dict[str, Any]] = [
    {"max_error": 0},
    {"max_error": "1,2,3"},
    {"max_error": "sqrt:0.5"},
    {"rmse": 2.5},
    {"psnr": 60.0, "trellis": True},
    {"ratio": 8},
    {"bytes": 5000},
]
BAD: list[dict[str, Any]] = [
    {},
    {"max_error": -1},
    {"max_error": 40_000},
    {"max_error": 1.5},
    {"max_error": "2;3"},
    {"max_error": 2, "rmse": 3.0},
    {"rmse": 0},
    {"rmse": "3"},
    {"ratio": -1},
    {"psnr": -1e9},
    {"psnr": 1e9},
    {"bytes": 0},
    {"ratio": True},
    {"psnr": "high"},
    {"max_error": 1, "trellis": 1},
    {"max_error": 1, "quality": 3},
    {"max_error": 1, "model_hash": "ab"},
]


def metadata(configuration: dict[str, Any]) -> dict[str, Any]:
    return {"name": "skybook", "configuration": configuration}


@pytest.mark.parametrize("asked", GOOD, ids=str)
def test_metadata_are_as_the_schema_says_and_come_back(asked: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    quality = Quality.of(asked)
    told = json.loads(json.dumps(quality.configuration()))
    jsonschema.validate(metadata(told), SCHEMA)
    assert Quality.of(told) == quality
    assert told["model_hash"] == bundles.load("skybook").model_hash.hex()


@pytest.mark.parametrize("asked", BAD, ids=str)
def test_what_makes_no_sense_is_refused_and_so_does_the_schema(asked: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(UsageError, match="expected"):
        Quality.of(asked)
    told = {"bundle": "skybook", "model_hash": "0" * 64, **asked}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(metadata(told), SCHEMA)


def test_the_schema_knows_every_parameter() -> None:
    known = SCHEMA["properties"]["configuration"]["properties"]
    assert list(known) == [field.name for field in fields(Quality)]
    assert [entry["required"] for entry in SCHEMA["properties"]["configuration"]["oneOf"]] == [
        [name] for name in RATES
    ]


def test_an_unknown_model_is_named_when_it_is_needed() -> None:
    quality = Quality(bundle="another", model_hash="ab" * 32, max_error=1)
    with pytest.raises(BundleError, match="abababab"):
        path_of(quality.model_hash)
    with pytest.raises(BundleError, match="no-such"):
        Quality(bundle="no-such", max_error=1)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"max_error": 2}, {"compression": "lossy: skybook, bundle skybook"}),
        ({"max_error": "sqrt:0.5"}, {"compression_max_error": "sqrt:0.5"}),
        ({"rmse": 2.5}, {"compression_rmse": 2.5}),
        ({"max_error": 0}, {"compression": "lossless: skybook, bundle skybook"}),
    ],
)
def test_attributes_say_what_is_lost(asked: dict[str, Any], told: dict[str, Any]) -> None:
    assert Quality.of(asked).attributes().items() >= told.items()
