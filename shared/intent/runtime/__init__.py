"""What a process of Intent needs around it: settings, logs, traces, metrics, services for development.

Nothing is imported here: each part is taken from its own module, so that the command
line starts quickly and a serving process loads only what it uses.
"""
