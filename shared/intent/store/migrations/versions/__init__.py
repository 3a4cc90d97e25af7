"""The platform's own revisions."""
