"""Read models without a database: the shape of their tables, folding events into rows, page tokens."""
