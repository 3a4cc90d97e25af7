"""Where a client gets its access tokens: a file, a command, a function, or OAuth client credentials."""

from intent.client.tokens.client_credentials import ClientCredentials
from intent.client.tokens.commands import TokenCommand
from intent.client.tokens.files import TokenFile
from intent.client.tokens.functions import FixedToken, TokenFunction
from intent.client.tokens.source import FetchedToken, TokenSource

__all__ = [
    "ClientCredentials",
    "FetchedToken",
    "FixedToken",
    "TokenCommand",
    "TokenFile",
    "TokenFunction",
    "TokenSource",
]
