"""The commands by which a person says who they are and where they call, one module each."""
