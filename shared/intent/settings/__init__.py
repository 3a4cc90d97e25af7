"""The settings of a process, from the environment."""

from intent.settings.config import Settings, load_settings

__all__ = [
    "Settings",
    "load_settings",
]
