"""Requests to an OpenAI-compatible server, with OPENAI_API_KEY where that is set: which failures are tried again, and when."""

import datetime
import email.utils
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from command_line import at_least, say
from refused import Refused

KEY = "OPENAI_API_KEY"
FIRST_WAIT_S = 1.0  # before the first retry, doubled for each further one
LONGEST_WAIT_S = 600.0  # also of what a server asks for
SHOWN = 200  # characters of a server's complaint


class _Failed(Exception):
    """Worth another try. wait_s: what the server asks for, or 0."""

    def __init__(self, what, wait_s=0.0):
        super().__init__(what)
        self.wait_s = wait_s


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and the key would go to another server."""

    def redirect_request(self, *_):
        return None


def _seconds_asked_for(header):
    """Retry-After is a number of seconds or a date."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
        return max(0.0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def add_options(parser):
    server = parser.add_argument_group("an OpenAI-compatible server", f"The key is taken from {KEY}, where that is set.")
    server.add_argument("--endpoint", metavar="URL", help="such as http://localhost:8080/v1")
    server.add_argument("--timeout", type=at_least(0.1, float), default=60.0, metavar="S", help="seconds of silence (60)")
    server.add_argument("--retries", type=at_least(0, int), default=6, metavar="N", help="of one request (6)")
    server.add_argument("--requests-per-minute", type=at_least(0.01, float), metavar="N", help="at most (no limit)")
    return server


def _parts_of(url):
    """None where no request can be sent to it."""
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    return parts if is_plain and parts.scheme in ("http", "https") and parts.hostname else None


def _key():
    """'' where there is none"""
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise Refused(f"{KEY}: must be printable ASCII on one line; it is not shown here")
    return key


class Endpoint:
    """One thing that a server does, such as "embeddings". Several threads may ask."""

    def __init__(self, options, does):
        parts = _parts_of(options.endpoint)
        if parts is None:
            raise Refused(f"--endpoint {options.endpoint!r}: must be a URL like http://localhost:8080/v1, to which /{does} is "
                          "added")
        path = parts.path.rstrip("/").removesuffix(f"/{does}") + f"/{does}"
        self.url = urllib.parse.urlunsplit(parts._replace(path=path))
        self.does, self.timeout_s, self.retries = does, options.timeout, options.retries
        self.least_seconds_apart = 60.0 / options.requests_per_minute if options.requests_per_minute else 0.0
        self.next_request, self.turns = 0.0, threading.Lock()  # not before
        self.opener = urllib.request.build_opener(_StayHere)
        self.headers = {"Content-Type": "application/json"}
        if key := _key():
            self.headers["Authorization"] = f"Bearer {key}"

    def ask(self, message, read):
        """What read makes of the answer's JSON. It may fail as one does who looks for what is not there."""
        answer = self._answer(json.dumps(message).encode())
        try:
            return read(json.loads(answer))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Refused(f"{self.url}: the answer is not the JSON of {self.does}, but begins with "
                          f"{answer[:40].decode(errors='replace')!r}") from None

    def _answer(self, body):
        for attempt in range(self.retries + 1):
            self._wait_until(self._turn())
            try:
                return self._request(body)
            except _Failed as failure:
                if attempt == self.retries:
                    raise Refused(f"{self.url}: {failure}, {attempt + 1} times") from None
                wait_s = min(LONGEST_WAIT_S, max(failure.wait_s, FIRST_WAIT_S * 2**attempt))
                say(f"{self.url}: {failure}; again in {wait_s:.0f} s ({attempt + 1} of {self.retries})")
                again = time.monotonic() + wait_s
                if failure.wait_s:  # it holds for all that ask
                    with self.turns:
                        self.next_request = max(self.next_request, again)
                self._wait_until(again)

    def _turn(self):
        with self.turns:
            turn = max(self.next_request, time.monotonic())
            self.next_request = turn + self.least_seconds_apart
        return turn

    def _wait_until(self, moment):
        time.sleep(max(0.0, moment - time.monotonic()))

    def _request(self, body):
        request = urllib.request.Request(self.url, body, self.headers)
        try:
            with self.opener.open(request, timeout=self.timeout_s) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            what = f"HTTP {error.code} {error.reason}"
            if error.code in (408, 409, 429) or error.code >= 500:
                raise _Failed(what, _seconds_asked_for(error.headers.get("Retry-After"))) from None
            try:
                complaint = " ".join(error.read().decode(errors="replace").split())[:SHOWN]
            except (OSError, http.client.HTTPException):  # cut off, or silent
                complaint = ""
            raise Refused(f"{self.url}: {what}{': ' if complaint else ''}{complaint}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _Failed(f"no answer within {self.timeout_s:g} s") from None
            raise _Failed(f"no answer ({reason})") from None
