"""What clients read of servers: errors with details."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from intent.errors import CommandError
from intent.wire.statuses import DETAILS_KEY, error_of_status

from ..inputs import Input, edited, edits, text
from ..messages import Draft, good
from .surface import Makes, Surface

__all__ = ["ANSWERS"]

_KINDS: Final = tuple(
    getattr(error_details_pb2, name).DESCRIPTOR for name in ("ErrorInfo", "BadRequest", "RetryInfo")
)
_CODES: Final = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def _answers(context: str) -> Makes:
    def make(dice: Sequence[Random]) -> Input:
        first, *others = dice
        kind = first.choice(_KINDS)
        draft = Draft(kind, good(kind)[0])
        for each in others:
            draft.alter(each)
        status = Status(code=first.randint(-1, 20), message=text(first))
        status.details.add(type_url=f"type.googleapis.com/{kind.full_name}", value=draft.encoded())
        details = edited(status.SerializeToString(), edits(first, 2))
        return {"code": first.choice(_CODES), "said": text(first), "details": details}

    return make


def _read(given: Input) -> None:
    error = error_of_status(grpc.StatusCode[given["code"]], given["said"], [(DETAILS_KEY, given["details"])])
    assert isinstance(error, CommandError)
    str(error)


ANSWERS = Surface("answers", "What servers answer clients: errors with details.", _answers, reads=_read)
