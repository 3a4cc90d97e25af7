"""Rebuilding a projection beside the generation that is read."""
