"""Checks what a context declares against its contracts."""
