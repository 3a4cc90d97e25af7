"""`make demo`: a few hundred orders of several tenants, and a check that everything adds up."""
