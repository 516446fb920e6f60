"""One endpoint: asks for its page, follows redirects, and judges what came."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from twinwatch import __version__
from twinwatch.monitors import Finding, Moment, Reading
from twinwatch.monitors.http.exchange import Answer, Ask, BadAnswer, exchange
from twinwatch.monitors.http.expressions import at, header_condition, header_of, json_condition
from twinwatch.monitors.http.options import Endpoint
from twinwatch.monitors.http.patterns import pattern_of, searched, statuses_of
from twinwatch.monitors.http.target import Target, next_target, target_of
from twinwatch.monitors.patience import Patience, Verdict
from twinwatch.monitors.reach import Place, Trip, expiry, failure, judged_expiry, reach, unverified
from twinwatch.world.doors import World
from twinwatch.world.net import NetFailed, TlsWanted

REDIRECTS = (301, 302, 303, 307, 308)
UNVERIFIED = ("tls-invalid", "tls-expired")


class Failed(Exception):
    """A request that came to nothing, with what that means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class Probe:
    """The endpoint, its conditions understood, and its last runs remembered."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._target = target_of(endpoint.url)
        self._statuses = statuses_of(endpoint.expected_status)
        self._pattern = pattern_of(endpoint.regex) if endpoint.regex else None
        self._json = [json_condition(text) for text in endpoint.json]
        self._headers = [header_condition(text) for text in endpoint.header_conditions]
        self._patience = Patience(endpoint.failures_before_down, endpoint.failures_within, endpoint.successes_before_up)
        self._reads_body = bool(endpoint.keyword or endpoint.keyword_absent or endpoint.regex or endpoint.json)
        self._labels = {
            "http.endpoint": endpoint.shown,
            "server.address": self._target.host,
            "url.full": self._target.shown,
        }

    async def run(self, world: World, moment: Moment) -> list[Finding]:
        """One try."""
        trip = Trip.begun(world.clock, self._endpoint.timeout)
        found: list[Finding] = []
        try:
            answer = await self._answer(world, trip)
        except Failed as err:
            verdict = err.verdict
            if verdict.reason in UNVERIFIED and trip.facts is None:
                trip.facts = await unverified(world.net, trip, self._place(self._target))
                over = judged_expiry(trip.facts, moment.time, 0)
                if verdict.reason == "tls-expired" and over is not None:
                    verdict = over
            found += trip.readings("http.check.duration", "http.check.phase.duration", "http.phase", self._labels)[1:]
        else:
            verdict = self._judged(answer, trip, moment)
            found += trip.readings("http.check.duration", "http.check.phase.duration", "http.phase", self._labels)
            found.append(Reading("http.check.status_code", answer.status, self._labels))
            found.append(Reading("http.check.body.size", answer.received_bytes, self._labels))
        found += expiry(trip.facts, moment.time, self._labels)
        return [*found, self._patience.check(self._endpoint.shown, verdict)]

    async def _answer(self, world: World, trip: Trip) -> Answer:
        """The last answer, once nothing is left to follow."""
        target, method, hops = self._target, self._endpoint.method, 0
        trusted = True
        while True:
            answer = await self._asked(world, trip, target, method, trusted=trusted)
            if not self._leads_on(answer):
                return answer
            if hops >= self._endpoint.max_redirects:
                told = f"redirected more than {hops} times, last by {target.shown}"
                raise Failed(Verdict("down", "too-many-redirects", told))
            hops += 1
            try:
                target = next_target(target, answer.headers["location"])
            except ValueError:
                told = f"{target.shown} redirects to what is no http or https address"
                raise Failed(Verdict("down", "bad-redirect", told)) from None
            trusted = target.origin == self._target.origin
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method = "HEAD" if method == "HEAD" else "GET"

    def _leads_on(self, answer: Answer) -> bool:
        wanted = self._endpoint.follow_redirects and answer.status in REDIRECTS and "location" in answer.headers
        return wanted and not self._expects(answer.status)

    async def _asked(self, world: World, trip: Trip, target: Target, method: str, *, trusted: bool) -> Answer:
        ask = self._ask(target, method, trusted=trusted)
        place = self._place(target, trusted=trusted)
        try:
            stream = await reach(world.net, trip, place)
            try:
                redirects = self._endpoint.follow_redirects
                return await exchange(stream, trip, ask, self._endpoint.max_body, redirects=redirects)
            finally:
                stream.close()
        except NetFailed as err:
            verdict = failure(err)
            if err.reason == "timeout":
                phase = {"send": "sending", "tls": "TLS"}.get(err.step, "the answer")
                told = f"{target.shown}: no complete answer within {self._endpoint.timeout:g} s (waited for {phase})"
                verdict = Verdict("down", "timeout", told)
            raise Failed(verdict) from err
        except BadAnswer as err:
            raise Failed(Verdict("down", "bad-answer", f"{target.shown}: {err}")) from err

    def _place(self, target: Target, *, trusted: bool = True) -> Place:
        endpoint = self._endpoint
        tls = None
        if target.scheme == "https":
            mine = (endpoint.certificate_file, endpoint.key_file) if trusted else ("", "")
            tls = TlsWanted(target.host.partition("%")[0], endpoint.verify, endpoint.ca_file, *mine)
        return Place(target.host, target.port, endpoint.family, tls)

    def _ask(self, target: Target, method: str, *, trusted: bool) -> Ask:
        endpoint = self._endpoint
        headers = {
            "host": target.authority,
            "user-agent": f"twinwatch/{__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
        }
        body = endpoint.body.encode() if trusted and method == endpoint.method else b""
        if body or method in ("POST", "PUT", "PATCH"):
            headers["content-length"] = str(len(body))
        if trusted:
            if endpoint.bearer_token is not None:
                headers["authorization"] = f"Bearer {endpoint.bearer_token.reveal()}"
            elif endpoint.username or endpoint.password is not None:
                password = endpoint.password.reveal() if endpoint.password is not None else ""
                pair = base64.b64encode(f"{endpoint.username}:{password}".encode()).decode("ascii")
                headers["authorization"] = f"Basic {pair}"
            headers |= {name.lower(): value.reveal() for name, value in endpoint.headers.items()}
        return Ask(method, target.path, list(headers.items()), body)

    def _expects(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self._statuses)

    def _judged(self, answer: Answer, trip: Trip, moment: Moment) -> Verdict:
        """The first thing that is wrong, the worst kinds first."""
        for judge in (self._of_status, self._of_headers, self._of_body):
            if wrong := judge(answer):
                return wrong
        took = sum(trip.phases.values())
        dated = judged_expiry(trip.facts, moment.time, self._endpoint.certificate_warning)
        if dated is not None:
            # One that need not be valid does not fail by its date.
            state = dated.state if self._endpoint.verify else "degraded"
            return Verdict(state, dated.reason, dated.message)
        if self._endpoint.slow is not None and took > self._endpoint.slow:
            slowest = max(trip.phases, key=lambda name: trip.phases[name])
            late = f"expected an answer within {self._endpoint.slow:g} s, it took {took:.2f} s, most of it {slowest}"
            return Verdict("degraded", "slow", late)
        return Verdict("up")

    def _of_status(self, answer: Answer) -> Verdict | None:
        if self._expects(answer.status):
            return None
        expected = self._endpoint.expected_status
        listed = ", ".join(map(str, expected)) if isinstance(expected, tuple) else str(expected)
        return Verdict("down", "wrong-status", f"expected status {listed}, seen {answer.status}")

    def _of_headers(self, answer: Answer) -> Verdict | None:
        for condition in self._headers:
            if seen := condition.failure(header_of(answer.headers, condition)):
                return Verdict("down", "header-mismatch", f"expected header {condition.text}; {seen}")
        return None

    def _of_body(self, answer: Answer) -> Verdict | None:
        if not self._reads_body:
            return None
        endpoint = self._endpoint
        if answer.cut:
            told = f"expected a body of at most {endpoint.max_body} bytes, seen more; raise max_body to judge it"
            return Verdict("down", "body-too-large", told)
        text = answer.text
        size = f"in {len(answer.body)} bytes"
        if endpoint.keyword and endpoint.keyword not in text:
            return Verdict("down", "keyword-missing", f"expected the text {endpoint.keyword!r}, not seen {size}")
        if endpoint.keyword_absent and endpoint.keyword_absent in text:
            return Verdict("down", "keyword-present", f"expected no text {endpoint.keyword_absent!r}, but it is there")
        if self._pattern is not None and not self._pattern.search(searched(self._pattern, text)):
            return Verdict("down", "regex-mismatch", f"expected a match of {endpoint.regex!r}, not seen {size}")
        if not self._json:
            return None
        try:
            document: Any = msgspec.json.decode(text.removeprefix("\ufeff"))
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return Verdict("down", "json-mismatch", f"expected JSON, seen {size} something else")
        for condition in self._json:
            if seen := condition.failure(at(document, condition.steps)):
                return Verdict("down", "json-mismatch", f"expected {condition.text}; {seen}")
        return None
