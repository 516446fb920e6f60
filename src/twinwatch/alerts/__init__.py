"""Rules and the pure engine that judges observations by them; used by agent and hub alike."""
