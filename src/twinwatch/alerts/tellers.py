"""Who tells people of an alert, the agent or the hub, and how long either waits for the other.

``agent_first``: the agent tells at once and says so; the hub adds what is missing. ``hub_first``: the agent asks, and
leaves it to the hub with ``yielded`` once it has an answer; without one it tells by itself, with a higher fence.
"""

from __future__ import annotations

from twinwatch.protocol.rules import Order, Rule, Severity

ORDERS: dict[Severity, Order] = {"critical": "agent_first", "warning": "hub_first", "down": "hub_first"}
"""Where a rule says nothing."""
ANSWER_MILLISECONDS = 8_000
"""How long an agent waits for the hub's answer before it tells by itself."""
NOTIFY_MILLISECONDS = 30_000
"""In so long a hub that was left an alert has told, or the agent does."""
TRY_MILLISECONDS = 30_000
"""What an agent's try may take before the hub counts it as lost."""


def order_of(order: Order, severity: Severity) -> Order:
    """Who is first, where ``order`` may be empty."""
    return order or ORDERS[severity]


def order_for(rule: Rule) -> Order:
    """Who is first to tell of this rule's alerts."""
    return order_of(rule.order, rule.severity)
