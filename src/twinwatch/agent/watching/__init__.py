"""What the agent watches besides its own server: the hub, the internet, and, when asked, what others cannot reach."""
