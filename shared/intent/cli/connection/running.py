"""What `intent dev` runs here says of itself."""

from __future__ import annotations

__all__ = ["running_issuer"]


def running_issuer() -> str | None:
    """Return the issuer of tokens of what `intent dev` runs here; empty: it has none; None: nothing runs."""
    from intent.dev.state import DevState, dev_folder

    state = DevState.read(dev_folder())
    return state.issuer if state else None
