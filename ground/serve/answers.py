"""Answers: what is sent back over HTTP."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        status: HTTP status.
        kind: media type.
        body: content.
    """

    status: HTTPStatus
    kind: str
    body: bytes

    @classmethod
    def of(cls, document: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> "Answer":
        """Return an answer in JSON."""
        return cls(status, _JSON, json.dumps(document, indent=2).encode() + b"\n")

    @classmethod
    def refusal(cls, status: HTTPStatus, reason: str) -> "Answer":
        """Return an answer that says why there is no other."""
        return cls.of({"error": reason}, status)
