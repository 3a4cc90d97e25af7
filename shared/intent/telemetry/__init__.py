"""Logs, metrics and traces of a process.

Nothing is imported here: what serves calls needs the protocols of `intent.telemetry.spans`
alone, and a process loads OpenTelemetry only where it exports traces.
"""
