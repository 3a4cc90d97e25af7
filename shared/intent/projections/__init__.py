"""The engine of projections: runs them, rebuilds them, and reads their rows."""
