"""Channels: where a notification goes, one file each."""
