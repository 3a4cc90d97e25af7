"""`make demo`: a few hundred orders of several tenants, and whether everything adds up in the end."""
