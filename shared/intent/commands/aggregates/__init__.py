"""The aggregates of a batch: kept from before, guessed to be new, or restored from their streams."""
