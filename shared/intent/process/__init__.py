"""One process of a context: how it is put together and how it stops.

Nothing is imported here: each part is taken from its own module, so that the command
line starts quickly and a serving process loads only what it uses.
"""
