"""Checkpoint: how the state of any training is kept."""

import os
from collections.abc import Mapping
from pathlib import Path
from pickle import PickleError
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
DAMAGED = (OSError, KeyError, TypeError, RuntimeError, ValueError, EOFError, PickleError)
"""What is raised where a file is read that is missing, damaged or of another training."""


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill leaves the old one or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    os.replace(partial, path)
