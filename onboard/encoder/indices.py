"""Indices: whether a scene's are chosen along a trellis, and the encoder that chooses them so."""

from dataclasses import replace

from onboard.bundle import Bundle
from onboard.codec.profile import Profile
from onboard.encoder.encoder import Encoder
from onboard.encoder.options import Options
from onboard.link.header import SceneHeader


def open_encoder(
    bundle: Bundle,
    header: SceneHeader,
    options: Options,
    along_trellis: bool | None,
    engine: str | None = None,
    threads: int = 1,
    profile: Profile | None = None,
) -> tuple[Encoder, Options]:
    """Return the encoder of a scene, and options that say how it chooses indices.

    Where nobody asks, it does so along a trellis if compiled code codes the scene at a rate, which
    is quick enough. What that leaves to numpy stays plain: groups of bands, components of a
    profile, the search for a quality. So do tiles within a bound on the error: they have none.

    Args:
        bundle: bundle.
        header: header of the scene.
        options: the other options.
        along_trellis: whether indices are chosen along a trellis; None if nobody asks.
        engine: name of the engine; None is the first there is.
        threads: of the engine.
        profile: spectral profile that the scene is coded with.

    Raises:
        InputError: the bundle takes no such scene.
        UsageError: a trellis for tiles within a bound on the error.
        EngineError: the engine is not installed or cannot run here.
    """
    if along_trellis is None:
        plain = options.max_error is not None or options.quality is not None
        scene = bundle.to_encode(header, profile)
        along_trellis = not plain and scene.codec.is_compiled(engine)
    options = replace(options, trellis=along_trellis)
    scene = bundle.to_encode(options.as_sent(header), profile, options.tiling)
    return Encoder(scene, engine, threads, profile), options
