"""A small cluster on loopback: an API server that refuses what a real one refuses, and a kubelet.

It knows the kinds that the charts use. Jobs and pods run the commands of their containers as processes
on this machine, Deployments keep as many of them as they say, each with an address of its own on
loopback; probes are made as the containers say. It schedules nothing and has no network of its own.
"""

from .cluster import Cluster

__all__ = ["Cluster"]
