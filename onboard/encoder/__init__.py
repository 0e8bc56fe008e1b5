"""Encoder: scenes to segments at the rate asked for."""

from onboard.encoder.encoder import Encoder
from onboard.encoder.options import Options

__all__ = ["Encoder", "Options"]
