"""``intent profile``: named sets of options."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from intent.cli.connection import PROFILE_FIELDS, AsJson, CallOptions, Profile, Profiles, profile_names
from intent.cli.exits import UsageError
from intent.cli.output import echo, echo_json
from intent.cli.user_files import DEFAULT_PROFILE

if TYPE_CHECKING:
    from intent.cli.logins import Login

__all__ = ["register"]

HELP = """Name sets of options: where to call, for which tenant, as whom.

\b
  intent profile set staging --target orders.staging.example.com:443 --tls --tenant acme
  intent profile set staging --issuer https://id.example.com --client-id intent-cli
  intent login --profile staging
  intent query orders.v1.ListOrders {} --profile staging
  intent profile use staging             from now on, without --profile

Options win over variables, variables over the profile. INTENT_PROFILE names one for a whole shell.
Profiles hold no secrets; each has a login of its own.
"""
_SET = """Make a profile, or change what it says. An empty value takes an option out: --tenant ''."""
_SHOW = """Show what a profile says, what variables say instead, and who is logged in."""

_app = typer.Typer(name="profile", help=HELP, no_args_is_help=True, rich_markup_mode="rich")
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.", autocompletion=profile_names)]
_AnyName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The profile. [the one in use]", autocompletion=profile_names),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


def _declared() -> dict[str, tuple[Any, typer.models.OptionInfo]]:
    """Return the type and the option of each field that a profile may have."""
    parameters = inspect.signature(CallOptions, eval_str=True).parameters
    declared = {}
    for name in PROFILE_FIELDS:
        kind, option = get_args(parameters[name].annotation)
        declared[name] = (kind, option)
    return declared


_OPTIONS: Final = _declared()


def _takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that a profile may hold, which do not come from variables."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    for name, (kind, option) in _OPTIONS.items():
        plain = copy.copy(option)
        plain.envvar = None
        plain.rich_help_panel = None
        plain.exists = False
        wanted = bool | None if bool in (kind, *get_args(kind)) else str | None
        option_of = Annotated[wanted, plain]  # type: ignore[valid-type]
        own.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option_of)
        )

    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return command


@_app.command("list")
def list_() -> None:
    """List the profiles; the one in use has a star."""
    profiles = Profiles.read()
    names = sorted({DEFAULT_PROFILE, profiles.current, *profiles.known})
    for name in names:
        values = profiles.known[name].values if name in profiles.known else {}
        star = "*" if name == (os.environ.get("INTENT_PROFILE") or profiles.current) else " "
        echo(f"{star} {name:<20} {values.get('target', '')}".rstrip())


@_app.command("show", help=_SHOW)
def show(name: _AnyName = "", as_json: AsJson = False) -> None:
    """Show a profile."""
    profiles = Profiles.read()
    profile = profiles.get(name or os.environ.get("INTENT_PROFILE", ""))
    rows = list(_rows(profile))
    login = _login_of(profile)
    if as_json:
        values = {field: {"value": value, "from": source} for field, value, source in rows}
        echo_json({"profile": profile.name, "file": str(profiles.path), "values": values, "login": login})
        return
    echo(f"profile {profile.name}, in {profiles.path}")
    for field, value, source in rows:
        echo(f"  {field:<20} {value}{'' if source == 'profile' else f'   ({source})'}")
    echo(f"  {'login':<20} {login}")


@_app.command("set", help=_SET)
@_takes_options
def set_(name: _Name, **values: Any) -> None:
    """Make or change a profile."""
    given = {field: value for field, value in values.items() if value is not None}
    if not given:
        raise UsageError("give what the profile is to say, e.g. --target host:port; see --help")
    for field, value in given.items():
        if value and (field.endswith("_file") or field in ("tls_ca", "tls_cert", "tls_key")):
            given[field] = str(Path(value).absolute())
    profiles = Profiles.read().changed(name, given)
    profiles.write()
    echo(f"profile {name} is in {profiles.path}")


@_app.command("use")
def use(name: _Name) -> None:
    """Use a profile from now on, where no other one is asked for."""
    profiles = Profiles.read()
    replace(profiles, current=profiles.get(name).name).write()
    echo(f"profile {name} is in use")


@_app.command("delete")
def delete(name: _Name) -> None:
    """Delete a profile, and forget its login."""
    from intent.cli.logins import LoginFile

    Profiles.read().without(name).write()
    LoginFile(name).remove()
    echo(f"profile {name} is deleted")


def _rows(profile: Profile) -> Iterator[tuple[str, str | bool, str]]:
    """Yield what counts: each option's name, its value, and where that comes from."""
    for field, (_, option) in _OPTIONS.items():
        variable = str(option.envvar)
        if os.environ.get(variable):
            yield field, os.environ[variable], variable
        elif field in profile.values:
            yield field, profile.values[field], "profile"
    if os.environ.get("INTENT_TOKEN"):
        yield "token", "given, not shown", "INTENT_TOKEN"


def _login_of(profile: Profile) -> str:
    from intent.cli.logins import LoginFile
    from intent.errors import ConfigurationError

    try:
        login = LoginFile(profile.name).read()
    except ConfigurationError as error:
        return str(error)
    return "none" if login is None else _described(login)


def _described(login: Login) -> str:
    renewable = bool(login.refresh_token or login.own)
    states = {
        (True, True): "its token counts, and is renewed",
        (True, False): "its token counts",
        (False, True): "its token is renewed when it is needed",
        (False, False): "its token has ended: log in again",
    }
    return f"as {login.client_id} at {login.issuer}; {states[login.counts, renewable]}"
