"""The services of the platform itself, served by every context."""
