"""The engine of projections: run them, rebuild them, and read their rows."""
