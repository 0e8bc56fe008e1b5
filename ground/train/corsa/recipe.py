"""Recipe of CORSA: all that decides a training run."""

from dataclasses import dataclass, fields

from ground.train.corsa.model import Architecture
from ground.train.recipe import TomlRecipe
from onboard.codec.corsa.frontend import AffineFrontEnd


@dataclass(frozen=True)
class Recipe(TomlRecipe, Architecture):
    """All that decides a training run, as a TOML file holds it (recipes/corsa-*.toml)."""

    name: str
    target_rms: int
    stride: int
    steps: int
    batch: int
    decoder_steps: int
    decoder_rate: float
    encoder_rate: float
    linear_rate: float
    commitment: float
    structure: float
    validate_every: int
    seed: int
    start_from: str

    @property
    def architecture(self) -> Architecture:
        """The part of the recipe that shapes the network."""
        return Architecture(**{f.name: getattr(self, f.name) for f in fields(Architecture)})

    @property
    def front_end(self) -> AffineFrontEnd:
        """The front end, the very code that flies."""
        return AffineFrontEnd(self.bands, self.target_rms)
