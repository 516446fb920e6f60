"""The laws of a buffer on a disk that fails, heals, is spoilt and crashes, in any order of events."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.contract.test_buffer import CPU, DISK, NOW, tick, times
from tests.contract.test_buffer_faults import FAULTS, fates
from twinwatch.agent.buffer import Buffer, Parcel
from twinwatch.testing.faulty_disk import Fault, FaultyDisk


class Faults(RuleBasedStateMachine):
    """A buffer on a disk that fails, heals, is spoilt and crashes, and a hub that counts a number once.

    The accounts balance after every step; the hub never gets a tick twice; while nothing crashed and no file was
    spoilt, every tick is brought, waits, or was counted as dropped.
    """

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "buffer.sqlite3"
        self.disk = FaultyDisk()
        self.now = NOW
        self.kept: list[int] = []
        self.hub: list[int] = []
        self.mark = 0
        self.contents: dict[int, list[int]] = {}
        self.sent: Parcel | None = None
        self.lost_memory = False
        self.reopen()

    def reopen(self) -> None:
        self.now += 1
        self.buffer = Buffer(self.path, self.now, connect=self.disk.connect, spare_ticks=12, most_bytes=1 << 20)

    def teardown(self) -> None:
        if not hasattr(self, "buffer"):
            return
        self.disk.fault = ""
        self.buffer.trim(self.now)
        while (parcel := self.buffer.next_batch(ticks=3)) is not None:
            self.deliver(parcel)
            self.sent = parcel
            self.answer()
        assert sorted(self.hub) == sorted(set(self.hub))
        assert set(self.hub) <= set(self.kept)
        figures = self.buffer.figures()
        assert figures.waiting == figures.in_flight == 0
        if not self.lost_memory:
            assert figures.collected == len(self.kept)
            assert figures.delivered == len(self.hub)
        self.buffer.close()
        shutil.rmtree(self.folder)

    def deliver(self, parcel: Parcel) -> None:
        content = times(parcel)
        assert self.contents.setdefault(parcel.sequence, content) == content, "a number was used twice"
        if parcel.sequence > self.mark:
            self.mark = parcel.sequence
            self.hub += content

    @rule(count=st.integers(1, 4), minutes=st.integers(0, 300), other=st.booleans())
    def keep(self, count: int, minutes: int, other: bool) -> None:
        self.now += minutes * 60_000
        ticks = [tick(self.now + n, DISK if other else CPU) for n in range(count)]
        self.now += count
        self.buffer.keep(ticks)
        self.kept += [one.time for one in ticks]

    @rule(count=st.integers(1, 5), arrives=st.booleans())
    def send(self, count: int, arrives: bool) -> None:
        parcel = self.buffer.next_batch(ticks=count)
        if self.sent is not None:
            assert parcel is not None
            assert (parcel.sequence, times(parcel)) == (self.sent.sequence, times(self.sent))
        self.sent = parcel
        if parcel is not None and arrives:
            self.deliver(parcel)

    @rule()
    def answer(self) -> None:
        if self.sent is not None:
            self.deliver(self.sent)
            if self.mark > self.sent.sequence and not self.sent.inherited:  # as the uplink does
                self.buffer.raise_sequence(self.mark)
                self.buffer.release()
            else:
                assert self.buffer.acknowledged(self.sent.sequence)
            self.sent = None

    @rule(aside=st.booleans())
    def refuse(self, aside: bool) -> None:
        if self.sent is not None and self.sent.sequence > self.mark:
            self.contents.pop(self.sent.sequence, None)
            (self.buffer.set_aside if aside else self.buffer.release)()
            self.lost_memory |= aside
            self.sent = None

    @rule(fault=st.sampled_from(["", *FAULTS]))
    def turn(self, fault: Fault) -> None:
        self.disk.fault = fault

    @rule()
    def spoil(self) -> None:
        if len(list(self.folder.glob("*.damaged-*"))) < 5 and self.disk.fault != "broken":
            self.disk.damage()

    @rule()
    def crash(self) -> None:
        fresh = Path(tempfile.mkdtemp())
        for part in self.folder.iterdir():
            if not part.name.endswith("-shm"):
                shutil.copy(part, fresh)
        fault, self.disk.fault = self.disk.fault, "broken"
        self.buffer.close()
        shutil.rmtree(self.folder)
        self.folder, self.path = fresh, fresh / self.path.name
        self.disk.fault = fault
        self.lost_memory = True
        self.sent = None
        self.reopen()

    @rule()
    def trim(self) -> None:
        self.buffer.trim(self.now)

    @invariant()
    def the_accounts_agree(self) -> None:
        if not hasattr(self, "buffer"):
            return
        figures = self.buffer.figures()
        assert figures.collected == fates(self.buffer)
        assert min(figures.delivered, figures.waiting, figures.in_flight, figures.dropped, figures.set_aside) >= 0
        delivery = self.buffer.delivery()
        assert delivery.collected == delivery.delivered + delivery.pending + delivery.dropped
        assert delivery.pending == figures.waiting + figures.in_flight
        assert (delivery.delivered, delivery.collected) == (figures.delivered, figures.collected)
        assert self.lost_memory or figures.collected == len(self.kept)


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
