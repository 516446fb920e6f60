"""The examples of docs/network-checks.md are lawful options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from twinwatch.monitors.discover import discover
from twinwatch.monitors.options import options_of

PAGE = Path(__file__).parents[3] / "docs" / "network-checks.md"


def test_the_examples_are_lawful() -> None:
    if not PAGE.exists():
        pytest.skip("the documents are not here")
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    kinds = discover(()).monitors
    entries = yaml.safe_load(example)["monitors"]
    for entry in entries:
        assert options_of(kinds[entry.pop("type")], entry)
    assert len(entries) == 4
