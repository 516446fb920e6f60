"""Media types of exporters: what they are asked for, and what they answer with."""

from __future__ import annotations

OPENMETRICS = "application/openmetrics-text"
ACCEPT = f"{OPENMETRICS};version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8,*/*;q=0.1"
"""What a scrape asks for."""
