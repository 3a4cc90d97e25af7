"""Benchmarks: each scenario is compared with its baseline, in one run on one machine."""
