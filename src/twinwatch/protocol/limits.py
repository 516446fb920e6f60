"""Bounds that the hub holds and the agent stays under; every refusal names the one it met."""

BODY_BYTES = 1 << 20
"""Largest request body as it travels, compressed or not."""

DECODED_BYTES = 8 << 20
"""Largest body after decompression."""

BATCH_FRAMES = 512
BATCH_SAMPLES = 100_000
BATCH_SHAPES = 256

SERIES_PER_SHAPE = 4_096
SERIES_PER_SERVER = 10_000

LABELS_PER_SERIES = 16
LABEL_NAME_CHARACTERS = 64
LABEL_VALUE_CHARACTERS = 256
METRIC_NAME_CHARACTERS = 128

FUTURE_MILLISECONDS = 5 * 60 * 1000
"""How far ahead of the hub's clock a sample may be."""

PAST_MILLISECONDS = 48 * 60 * 60 * 1000
"""How old a sample may be: the agent's 24 h buffer, doubled, so that a clock that is off loses nothing."""

HEARTBEAT_SECONDS = 60.0
PUSH_SECONDS = 30.0

CHECKS_PER_SERVER = 2_000
MONITORS_PER_SERVER = 200
CHECK_NAME_CHARACTERS = 256
MESSAGE_CHARACTERS = 500
"""Of a check's message, a monitor's reason, a problem of a configuration."""

CONFIGURATION_BYTES = 256 << 10
RULES_PER_SERVER = 500
