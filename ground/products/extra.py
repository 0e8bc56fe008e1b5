"""Extra `products`: libraries that only some products need, loaded where they are used."""

from functools import partial

from ground.extra import load

library = partial(load, "products")
"""Return a library of the extra by its name, or an EngineError that says how to install it."""
