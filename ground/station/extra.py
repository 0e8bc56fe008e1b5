"""Extra `station`: libraries that only a station's service needs, loaded where they are used."""

from functools import partial

from ground.extra import load

library = partial(load, "station")
"""Return a library of the extra by its name, or an EngineError that says how to install it."""
