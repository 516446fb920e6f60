"""The daemon on a monitored server: runs monitors, keeps every tick for 24 h, brings them to the hub."""
