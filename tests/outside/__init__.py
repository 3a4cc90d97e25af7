"""Contexts that depend on partners outside, as processes of their own."""
