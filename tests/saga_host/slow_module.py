"""A module whose loading takes until a test releases it, by a flag in `intent`, which sandboxes share."""

from __future__ import annotations

import intent

while getattr(intent, "loading_is_held", False):
    pass
