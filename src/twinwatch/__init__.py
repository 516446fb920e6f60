"""Twinwatch: monitoring with two watchers for every server, an agent on it and a hub elsewhere."""

__version__ = "0.1.0"
