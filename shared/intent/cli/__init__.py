"""The command line of Intent: `intent --help`."""

from __future__ import annotations

from intent.cli.app import main, run

__all__ = ["main", "run"]
