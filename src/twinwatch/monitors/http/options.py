"""What can be set on an HTTP endpoint."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from twinwatch.monitors import Options, SecretText
from twinwatch.monitors.http.expressions import header_condition, json_condition
from twinwatch.monitors.http.patterns import PATTERN_CHARACTERS, pattern_of, statuses_of
from twinwatch.monitors.http.target import URL_CHARACTERS, target_of
from twinwatch.monitors.options import lasting
from twinwatch.monitors.patience import Failures, Successes, Window
from twinwatch.monitors.reach import (
    AddressFamily,
    CaFile,
    CheckInterval,
    ExpiryWarning,
    Timeout,
    Verify,
    refuse_timeout,
)
from twinwatch.protocol.durations import Duration

ENDPOINTS = 100
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")
OWN_HEADERS = ("connection", "content-length", "transfer-encoding")
"""Headers that say how the request is sent, which is not for a person to say."""

Condition = Annotated[str, Meta(min_length=1, max_length=500)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page to ask for."""

    url: Annotated[
        str,
        Meta(min_length=1, max_length=URL_CHARACTERS, title="URL", description="Where to ask; http or https."),
    ]
    name: Annotated[
        str, Meta(max_length=100, title="Name", description="What its check is called; the URL if not set.")
    ] = ""
    check_interval: CheckInterval = None
    timeout: Timeout = lasting("10s")
    expected_status: Annotated[
        int | str | tuple[int | str, ...],
        Meta(title="Expected status", description="A status, a class such as 2xx, a range 200-299, or a list."),
    ] = 200
    slow: Annotated[
        Duration | None, Meta(title="Slow", description="Degraded when the whole answer takes longer than this.")
    ] = None
    method: Annotated[Method, Meta(title="Method", description="How to ask.")] = "GET"
    headers: Annotated[
        dict[str, SecretText], Meta(title="Headers", description="Sent with the request; the values are kept secret.")
    ] = {}
    body: Annotated[str, Meta(max_length=65536, title="Body", description="Sent with the request.")] = ""
    username: Annotated[str, Meta(max_length=200, title="User", description="For basic authentication.")] = ""
    password: Annotated[
        SecretText | None, Meta(title="Password", description="For basic authentication, with the user.")
    ] = None
    bearer_token: Annotated[
        SecretText | None, Meta(title="Bearer token", description="Sent as Authorization: Bearer.")
    ] = None
    keyword: Annotated[
        str, Meta(max_length=500, title="Keyword", description="Must occur in the body, letter for letter.")
    ] = ""
    keyword_absent: Annotated[
        str, Meta(max_length=500, title="Forbidden keyword", description="Must not occur in the body.")
    ] = ""
    regex: Annotated[
        str,
        Meta(
            max_length=PATTERN_CHARACTERS,
            title="Pattern",
            description="A regular expression that must match; with * or +, in the first 16384 letters of the body.",
        ),
    ] = ""
    json: Annotated[
        tuple[Condition, ...],
        Meta(
            max_length=20,
            title="JSON conditions",
            description='Each must hold for the body, such as $.status == "ok" or $.items length >= 1.',
        ),
    ] = ()
    header_conditions: Annotated[
        tuple[Condition, ...],
        Meta(
            max_length=20,
            title="Header conditions",
            description="Each must hold for the answer's headers, such as content-type contains json or etag exists.",
        ),
    ] = ()
    follow_redirects: Annotated[
        bool,
        Meta(
            title="Follow redirects",
            description="Where the status is not expected. Headers, body and credentials go to no other host.",
        ),
    ] = True
    max_redirects: Annotated[
        int, Meta(ge=0, le=20, title="Redirects at most", description="More in a row are a failure.")
    ] = 5
    max_body: Annotated[
        int,
        Meta(ge=1024, le=16 << 20, title="Body at most", description="Bytes of the body that are read and judged."),
    ] = 1 << 20
    verify: Verify = True
    ca_file: CaFile = ""
    certificate_file: Annotated[
        str, Meta(title="Client certificate", description="A PEM file that this agent shows to the server.")
    ] = ""
    key_file: Annotated[
        str, Meta(title="Client key", description="Its private key, where it is in a PEM file of its own.")
    ] = ""
    certificate_warning: ExpiryWarning = lasting("21d")
    family: AddressFamily = "any"
    failures_before_down: Failures = 1
    failures_within: Window = 0
    successes_before_up: Successes = 1

    def __post_init__(self) -> None:
        """Refuses what could not be run."""
        refuse_timeout(self.timeout)
        target_of(self.url)
        statuses_of(self.expected_status)
        pattern_of(self.regex)
        for text in self.json:
            json_condition(text)
        for text in self.header_conditions:
            header_condition(text)
        if not self.name.isprintable():
            raise ValueError("name: expected no control characters")
        if self.failures_within and self.failures_within < self.failures_before_down:
            raise ValueError("failures_within: expected at least failures_before_down, or 0")
        for name, value in self.headers.items():
            if not NAME.fullmatch(name) or name.lower() in OWN_HEADERS:
                raise ValueError(f"headers: {name[:100]!r} cannot be set; expected a header's name")
            if not VALUE.fullmatch(value.reveal()):
                raise ValueError(f"headers: the value of {name} has letters that cannot be sent")
        if self.bearer_token is not None and not VALUE.fullmatch(self.bearer_token.reveal()):
            raise ValueError("bearer_token: has letters that cannot be sent")
        if self.bearer_token is not None and (self.username or self.password is not None):
            raise ValueError("bearer_token: expected either it, or username and password")

    @property
    def shown(self) -> str:
        """What its check is called."""
        return self.name or target_of(self.url).shown


class HttpOptions(Options, frozen=True, kw_only=True):
    """Which pages are asked for."""

    endpoints: Annotated[
        tuple[Endpoint, ...],
        Meta(min_length=1, max_length=ENDPOINTS, title="Endpoints", description="The pages to ask for."),
    ]

    def __post_init__(self) -> None:
        """Refuses two checks of one name."""
        names = [endpoint.shown for endpoint in self.endpoints]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two endpoints are called {name}; give each a name of its own")
