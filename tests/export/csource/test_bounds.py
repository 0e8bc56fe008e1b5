"""`export c` refuses a bundle whose numbers the C types do not hold, and says which."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.csource.write import write
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import ContextWeights
from onboard.codec.lapped.model import LappedModel
from onboard.errors import BundleError


def changed(change: Callable[[LappedModel], LappedModel]) -> Bundle:
    """Return the shipped bundle with another model."""
    bundle = bundles.load("skybook")
    codec = LappedCodec.of(bundle.codec)
    return replace(bundle, codec=replace(codec, model=change(codec.model)))


def of(part: str, **arrays: Any) -> Callable[[LappedModel], LappedModel]:
    """Return a change of arrays of a part of a model, each a function of what it was."""

    def change(model: LappedModel) -> LappedModel:
        own = getattr(model, part)
        new = {name: function(getattr(own, name)) for name, function in arrays.items()}
        return replace(model, **{part: replace(own, **new)})

    return change


def biased(weights: ContextWeights, more: int) -> ContextWeights:
    """Return weights with a larger bias, as wide as it needs."""
    wide: Any = weights.bias.astype(np.int64) + more
    return replace(weights, bias=wide)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of("contexts", by_class=lambda w: biased(w, 65_536)), "table bias: .* 65535, found"),
        (of("contexts", by_class=lambda w: biased(w, -65_536)), "table bias: .* takes 0 to"),
        (of("transform", mantissas=lambda m: m * 8), "do not fit 32"),
        (of("quantisation", dead=lambda d: d + 200), "table dead: .* 254, found"),
        (of("transform", analysis=lambda a: a + np.eye(16, dtype=a.dtype)), "neither even nor odd"),
        (of("transform", synthesis=lambda s: s * (np.arange(64) > 0)[:, None, None]), "31 bits"),
    ],
)
def test_numbers_that_do_not_fit_are_named(
    change: Callable[[LappedModel], LappedModel], words: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=words):
        write(changed(change), tmp_path)
    assert not list(tmp_path.iterdir())
