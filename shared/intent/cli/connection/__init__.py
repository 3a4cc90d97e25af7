"""Where a command calls and on whose behalf: options, variables, profiles, and what `intent dev` runs."""

from intent.cli.connection.addresses import address_of, addresses, problems_at
from intent.cli.connection.callers import CallOptions
from intent.cli.connection.decorating import calls_context, variables_of
from intent.cli.connection.options import AsJson, ContextName, Reason
from intent.cli.connection.profiles import PROFILE_FIELDS, Profile, Profiles, profile_names
from intent.cli.connection.running import running_issuer
from intent.cli.connection.values import completed

__all__ = [
    "PROFILE_FIELDS",
    "AsJson",
    "CallOptions",
    "ContextName",
    "Profile",
    "Profiles",
    "Reason",
    "address_of",
    "addresses",
    "calls_context",
    "completed",
    "problems_at",
    "profile_names",
    "running_issuer",
    "variables_of",
]
