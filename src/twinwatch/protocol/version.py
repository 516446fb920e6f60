"""The version of the wire words. It is part of every agent route (``/api/v1/agent/…``)."""

PROTOCOL_VERSION = 1
AGENT_ROUTES = f"/api/v{PROTOCOL_VERSION}/agent"
