"""Helpers for the tests of several areas."""
