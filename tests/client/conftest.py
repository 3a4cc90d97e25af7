from __future__ import annotations

from ..service.conftest import orders

__all__ = ["orders"]
