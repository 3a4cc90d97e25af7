"""``python -m intent.cli``: the command line, without the script `intent`."""

from __future__ import annotations

from intent.cli.app import run

run()
