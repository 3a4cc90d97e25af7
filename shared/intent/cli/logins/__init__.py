"""Logins of people and programs at issuers: how they are made, kept and renewed."""

from intent.cli.logins.files import Login, LoginFile
from intent.cli.logins.source import LoginSource

__all__ = ["Login", "LoginFile", "LoginSource"]
