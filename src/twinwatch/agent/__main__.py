"""``python -m twinwatch.agent``: the agent without the rest of the command line."""

from __future__ import annotations

import sys

from twinwatch.agent.main import main

sys.exit(main())
