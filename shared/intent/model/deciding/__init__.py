"""Deciding commands: handlers are run and their events applied, and nothing else changes an aggregate."""
