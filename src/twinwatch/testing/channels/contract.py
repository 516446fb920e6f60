"""What every channel owes, whoever wrote it: tests to inherit from.

In a plug-in's own tests::

    class TestPigeon(HttpChannelContract):
        cases = [ChannelCase("pigeon", Pigeon, {"url": "https://…", "token": "s3cret"}, structure=form_of)]

``structure`` gives what of a payload is markup: it may not change with the text. ``check`` asserts the provider's
limits. Payloads of ``notes.golden()`` are compared with files in ``vectors``; where there is none yet, run the tests
with ``WRITE_VECTORS=1`` and read what was written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.notify import Channel, Delivered, Note, Occasion, Outcome, Refused, Retry
from twinwatch.notify.discover import flaw_of
from twinwatch.notify.settings import schema_of, secrets_of, settings_of
from twinwatch.testing.cases import secrets_in
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.paper import Asked, ScriptedHttp
from twinwatch.testing.paper import PaperCommands, PaperMail
from twinwatch.testing.virtual_time import run
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer, NotAllowed, Unreachable

EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))
PASSING = {408, 425, 429, *range(500, 600)}


def as_text(payload: Any) -> str:
    """A payload as a text that a file can keep: JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(payload, order="sorted"), indent=2).decode() + "\n"


def nothing(_: Any) -> None:
    """No limits."""


@dataclass(frozen=True)
class ChannelCase:
    """A channel with settings, as in a file. ``good`` is what its provider says when it has taken a message."""

    name: str
    kind: type[Channel]
    settings: Mapping[str, Any]
    structure: Callable[[Any], Any]
    check: Callable[[Any], None] = nothing
    good: Answer | Callable[[Asked], Answer] = field(default_factory=lambda: Answer(200))
    good_statuses: range = range(200, 300)
    text: Callable[[Any], str] = as_text
    """All that a payload says, in a form for a file."""
    golden: bool = True
    """Whether its payloads are kept; False for one that is as another."""
    reference: str = ""
    """One that a conversation may have; empty: the channel needs none."""
    doors: Mapping[str, Any] = field(default_factory=dict)
    """Doors that it needs besides the one to HTTP."""

    def made(self) -> Channel:
        """A fresh instance."""
        return self.kind(settings_of(self.kind, self.settings))

    def secrets(self) -> list[str]:
        """Its secrets, in clear."""
        return [secret.reveal() for secret in secrets_of(settings_of(self.kind, self.settings))]


def paper_outside(http: ScriptedHttp, **doors: Any) -> Outside:
    """Doors made of paper."""
    return Outside(**{"http": http, "mail": PaperMail(), "commands": PaperCommands({}), **doors})


class ChannelContract:
    """The tests that need no provider. ``vectors``: the folder of golden payloads; None: there are none."""

    cases: ClassVar[Sequence[ChannelCase]]
    vectors: ClassVar[Path | None] = None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test that asks for ``case`` runs on every case; one that asks for ``sample``, on every golden note."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", self.cases, ids=[case.name for case in self.cases])
        if "sample" in metafunc.fixturenames:
            metafunc.parametrize("sample", list(notes.golden()))
        if "occasion" in metafunc.fixturenames:
            metafunc.parametrize("occasion", notes.OCCASIONS)

    def test_its_declaration_is_lawful(self, case: ChannelCase) -> None:
        """Names, sentences, times."""
        kind = case.kind
        assert flaw_of(kind) is None
        assert kind.title
        assert (kind.__doc__ or "").strip().partition("\n")[0].endswith("."), (
            "the first line of its docstring is its help"
        )
        assert 0 < kind.deadline_seconds <= 60

    def test_its_settings_make_a_form(self, case: ChannelCase) -> None:
        """Each field says what it is; what is secret is marked so, and has no default."""
        schema = schema_of(case.kind)
        for part in (schema, *schema.get("$defs", {}).values()):
            for name, field_schema in part.get("properties", {}).items():
                assert field_schema.get("title"), f"{name} has no title"
                assert field_schema.get("description"), f"{name} has no description"
        assert sorted(secrets_in(case.settings, schema)) == sorted(case.secrets())
        with pytest.raises(msgspec.ValidationError):
            settings_of(case.kind, {**case.settings, "no_such_setting": 1})

    def test_nothing_that_is_shown_holds_a_secret(self, case: ChannelCase) -> None:
        """Not the channel, not its settings, not whom it reaches, not what is rendered."""
        channel = case.made()
        assert channel.reaches()
        shown = [repr(channel), str(channel), repr(settings_of(case.kind, case.settings)), channel.reaches()]
        shown += [case.text(channel.render(notes.note(occasion))) for occasion in notes.OCCASIONS]
        for secret in case.secrets():
            assert not [text for text in shown if secret in text]

    def test_rendering_is_pure(self, case: ChannelCase) -> None:
        """The same note gives the same payload, from any instance."""
        for sample in notes.golden().values():
            before = deepcopy(sample)
            assert case.text(case.made().render(sample)) == case.text(case.made().render(sample))
            assert sample == before

    def test_every_occasion_is_told_within_the_limits(self, case: ChannelCase, occasion: Occasion) -> None:
        """From agent and hub, alone and with others, at the beginning of a conversation and later."""
        for teller in ("agent", "hub"):
            for first in (True, False):
                sample = notes.note(occasion, teller=teller, first=first, reference="" if first else case.reference)
                assert isinstance(self.sent(case, ScriptedHttp(case.good), sample), Delivered)
                case.check(case.made().render(sample))

    def test_a_rehearsal_is_marked_as_one(self, case: ChannelCase) -> None:
        """Whatever its subject says."""
        for occasion in ("test", "drill"):
            payload = case.made().render(notes.note(occasion, notes.subject(occasion="firing"), teller="hub"))
            assert occasion in case.text(payload).lower()

    @pytest.mark.parametrize("count", [2, 41, 100, 101, 300])
    def test_a_crowd_fits_and_is_counted(self, case: ChannelCase, count: int) -> None:
        """The first cause on top."""
        crowd = notes.crowd(count)
        payload = case.made().render(crowd)
        case.check(payload)
        assert "web-1" in case.text(payload)
        assert isinstance(self.sent(case, ScriptedHttp(case.good), crowd), Delivered)

    @EXAMPLES
    @given(data=st.data())
    def test_text_of_others_stays_text(self, case: ChannelCase, data: st.DataObject) -> None:
        """No markup, no header, no mention comes of it, and nothing outgrows its limit."""
        wild, tame = data.draw(notes.hostile())
        payload = case.made().render(wild)
        case.check(payload)
        assert case.structure(payload) == case.structure(case.made().render(tame))

    def test_long_texts_are_cut(self, case: ChannelCase) -> None:
        """A megabyte of each."""
        long = "long words " * 100_000
        facts = tuple((f"{number} {long}", long) for number in range(50))
        evidence = (long,) * 2_000
        subject = notes.subject(server=long, title=long, message=long, facts=facts, evidence=evidence, cause=long)
        payload = case.made().render(notes.note("firing", subject, subject, organization=long))
        case.check(payload)
        assert "…" in case.text(payload) or "..." in case.text(payload)

    def test_strange_times_do_no_harm(self, case: ChannelCase) -> None:
        """Before 1970, after 9999, and an end before the beginning."""
        for since, resolved_at, now in ((-1, None, 0), (1 << 62, None, 5), (5, 3, 4), (0, 1 << 62, 1 << 62)):
            subject = notes.subject(since=since, resolved_at=resolved_at, occasion="resolved")
            case.check(case.made().render(notes.note("resolved", subject, now=now)))

    def test_its_payloads_are_the_golden_ones(self, case: ChannelCase, sample: str) -> None:
        """What people see changes on purpose only."""
        if self.vectors is None or not case.golden:
            return
        file = self.vectors / f"note_{case.name}_{sample}.txt"
        text = case.text(case.made().render(notes.golden()[sample]))
        if os.environ.get("WRITE_VECTORS") and not file.exists():
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{file.name} is missing; see twinwatch.testing.channels.contract"
        assert text == file.read_text(encoding="utf-8")

    def sent(self, case: ChannelCase, http: ScriptedHttp, note: Note | None = None, **doors: Any) -> Outcome:
        """What sending comes to, in virtual time; never later than the channel's deadline."""

        async def send() -> tuple[Outcome, float]:
            import asyncio  # noqa: PLC0415

            loop = asyncio.get_running_loop()
            began = loop.time()
            outside = paper_outside(http, **{**case.doors, **doors})
            outcome = await case.made().send(note or notes.note(), outside)
            return outcome, loop.time() - began

        outcome, seconds = run(send())
        assert seconds < case.kind.deadline_seconds, "it is the channel that keeps its deadline"
        return outcome


class HttpChannelContract(ChannelContract):
    """The tests of channels that speak to their provider through the door to HTTP."""

    def test_each_status_has_its_outcome(self, case: ChannelCase) -> None:
        """Taken, tried again or refused: every one."""
        for status in range(200, 600):
            outcome = self.sent(case, ScriptedHttp(self.with_status(case, status)))
            wanted: type[Any] = Retry if status in PASSING else Refused
            if status in case.good_statuses:
                wanted = Delivered
            assert isinstance(outcome, wanted), f"{status}: {outcome}"
            assert isinstance(outcome, Delivered) or str(status) in outcome.reason, outcome

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_wait_that_is_asked_for_is_kept(self, case: ChannelCase, status: int) -> None:
        """Seconds or a date; nonsense is none; a day is not waited for."""
        for text, seconds in (
            ("7", 7.0),
            ("0", 0.0),
            ("Fri, 02 Jan 2026 14:04:20 GMT", 60.0),
            ("Fri, 02 Jan 2026 14:00:00 GMT", 0.0),
            ("86400000000000", 3600.0),
            ("soon", None),
            ("-5", None),
            ("", None),
        ):
            outcome = self.sent(case, ScriptedHttp(Answer(status, b"", {"retry-after": text})))
            assert isinstance(outcome, Retry)
            assert outcome.after_seconds == seconds, text

    def test_a_redirect_is_not_followed(self, case: ChannelCase) -> None:
        """One request, and it is refused."""
        for status in (301, 302, 303, 307, 308):
            http = ScriptedHttp(Answer(status, b"", {"location": "http://127.0.0.1/"}))
            assert isinstance(self.sent(case, http), Refused)
            assert len(http.asked) == 1

    def test_no_answer_is_tried_again(self, case: ChannelCase) -> None:
        """A hang, a connection that is refused, a cut."""
        assert isinstance(self.sent(case, ScriptedHttp(hangs=True)), Retry)
        crowd = notes.crowd(100)
        assert isinstance(self.sent(case, ScriptedHttp(hangs=True), crowd), Retry)
        refused = self.sent(case, ScriptedHttp(Unreachable("connection refused")))
        assert isinstance(refused, Retry)
        assert "connection refused" in refused.reason

    def test_what_the_guard_holds_back_is_refused(self, case: ChannelCase) -> None:
        """It would be held back later as well."""
        outcome = self.sent(case, ScriptedHttp(NotAllowed("10.0.0.5 is a private address")))
        assert isinstance(outcome, Refused)
        assert "private address" in outcome.reason

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
    def test_no_reason_holds_a_secret_though_the_provider_repeats_it(self, case: ChannelCase, status: int) -> None:
        """Whatever was sent comes back, in plain and as an error."""
        for wrap in ("{}", '{{"ok":false,"error":{0},"message":{0},"code":20003,"errors":[{0}]}}'):

            def echo(asked: Asked, wrap: str = wrap) -> Answer:
                heard = "; ".join((asked.url, *asked.headers.values(), asked.body.decode()))
                text = msgspec.json.encode(heard).decode() if "{0}" in wrap else heard
                return Answer(status, wrap.format(text).encode())

            http = ScriptedHttp(echo)
            outcome = self.sent(case, http)
            heard = "".join(part for asked in http.asked for part in (asked.url, *asked.headers.values()))
            for secret in (*case.secrets(), *_credentials(heard)):
                assert secret not in repr(outcome), outcome

    def test_noise_is_no_acceptance_and_no_crash(self, case: ChannelCase) -> None:
        """Whatever stands in the body."""
        for body in (b"", b"\xff\xfe", b"[]", b"null", b"{}", b'{"ok":1}', b"[" * 100_000, b'{"error":{"a":[]}}'):
            for status in (200, 400, 500):
                outcome = self.sent(case, ScriptedHttp(Answer(status, body)))
                assert isinstance(outcome, Delivered | Retry | Refused)

    def with_status(self, case: ChannelCase, status: int) -> Callable[[Asked], Answer]:
        """Answers with this status: what the provider says when all is well, if it is a good one."""

        def answer(asked: Asked) -> Answer:
            good = case.good(asked) if callable(case.good) else case.good
            return Answer(status, good.body if status in case.good_statuses else b"", good.headers)

        return answer


def _credentials(heard: str) -> list[str]:
    """What stands behind ``Basic`` and ``Bearer``."""
    return [word for mark in ("Basic ", "Bearer ") for word in [heard.partition(mark)[2][:30]] if len(word) > 10]
