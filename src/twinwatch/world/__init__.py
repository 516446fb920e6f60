"""The only doors to the outside: clock, HTTP, the host's files, secrets, and the pure back-off between tries."""
