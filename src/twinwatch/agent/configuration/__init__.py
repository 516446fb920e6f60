"""What the agent shall do, and where each part of that was said: arguments, environment, file, hub, defaults.

PyYAML is imported when a file is read, not before.
"""

from twinwatch.agent.configuration.configurator import Configurator, EffectiveMonitor
from twinwatch.agent.configuration.problems import Misconfigured
from twinwatch.agent.configuration.settings import (
    BufferSettings,
    LogSettings,
    Remote,
    Settings,
    default_state_dir,
    hub_address,
)
from twinwatch.agent.configuration.sources import Given, Source, Sources, add_arguments, settings_from

__all__ = [
    "BufferSettings",
    "Configurator",
    "EffectiveMonitor",
    "Given",
    "LogSettings",
    "Misconfigured",
    "Remote",
    "Settings",
    "Source",
    "Sources",
    "add_arguments",
    "default_state_dir",
    "hub_address",
    "settings_from",
]
