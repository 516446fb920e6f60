"""The hub: takes heartbeats and samples, keeps them, and serves the API and the dashboard."""
