"""Extra `cluster`: libraries that only a cluster needs, loaded where they are used."""

from functools import partial

from ground.extra import load

library = partial(load, "cluster")
"""Return a library of the extra by its name, or an EngineError that says how to install it."""
