"""Benchmarks: each scenario beside its baseline, in one run on one machine."""
