"""Logs, metrics and traces of a process.

Nothing is imported here: the gRPC server needs only the protocols of `intent.telemetry.spans`,
and a process loads OpenTelemetry only if it exports traces.
"""
