"""One process of a context: how it is assembled and how it stops.

Nothing is imported here: import each part from its own module, so that the command line
starts quickly and a serving process loads only what it uses.
"""
