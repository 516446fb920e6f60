"""What the agent shall do, and where each part of that was said: arguments, environment, file, hub, defaults.

PyYAML is imported when a file is read, not before.
"""

from twinwatch.agent.configuration.settings import (
    Misconfigured,
    Settings,
    add_arguments,
    default_state_dir,
    hub_address,
    settings_from,
)

__all__ = ["Misconfigured", "Settings", "add_arguments", "default_state_dir", "hub_address", "settings_from"]
