"""Vectors from an OpenAI-compatible server: POST URL/embeddings, with OPENAI_API_KEY where that is set."""

import datetime
import email.utils
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

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


class Endpoint:
    """say: takes a line for the person who waits."""

    pooling, basis = None, None  # a server does not tell

    def __init__(self, url, model, timeout_s, retries, requests_per_minute, say):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Refused(f"--endpoint {url}: must be a URL like http://localhost:8080/v1, to which /embeddings is added")
        path = parts.path.rstrip("/").removesuffix("/embeddings") + "/embeddings"
        self.url = urllib.parse.urlunsplit(parts._replace(path=path))
        self.name, self.timeout_s, self.retries, self.say = model, timeout_s, retries, say
        self.least_seconds_apart = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self.next_request = 0.0  # not before
        self.opener = urllib.request.build_opener(_StayHere)
        self.headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY):
            self.headers["Authorization"] = f"Bearer {os.environ[KEY]}"

    def batches(self, texts, most):
        return [(list(range(first, min(first + most, len(texts)))), texts[first:first + most])
                for first in range(0, len(texts), most)]

    def vectors(self, texts):
        """[n, width] float32, and the tokens that the server counted, or None"""
        answer = self._answer(json.dumps({"model": self.name, "input": texts, "encoding_format": "float"}).encode())
        try:
            said = json.loads(answer)
            entries = sorted(said["data"], key=lambda entry: entry["index"])
            vectors = [entry["embedding"] for entry in entries]
            widths = {len(vector) for vector in vectors}
        except (ValueError, LookupError, TypeError):
            raise Refused(f"{self.url}: the answer is not the JSON of an embeddings endpoint, but begins with "
                          f"{answer[:40].decode(errors='replace')!r}") from None
        if [entry["index"] for entry in entries] != list(range(len(texts))):
            raise Refused(f"{self.url}: {len(entries)} vectors came for {len(texts)} texts, or not one for each")
        if len(widths) != 1:
            raise Refused(f"{self.url}: the vectors of one answer are {min(widths)} to {max(widths)} wide")
        try:
            with np.errstate(over="ignore"):  # infinite values are refused with the others
                vectors = np.array(vectors, np.float32).reshape(len(texts), *widths)
        except (ValueError, TypeError):
            raise Refused(f"{self.url}: the answer's vectors hold something that is not a number") from None
        usage = said.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return vectors, tokens if isinstance(tokens, int) else None

    def _answer(self, body):
        for attempt in range(self.retries + 1):
            self._wait_until(self.next_request)
            self.next_request = time.monotonic() + self.least_seconds_apart
            try:
                return self._request(body)
            except _Failed as failure:
                if attempt == self.retries:
                    raise Refused(f"{self.url}: {failure}, {attempt + 1} times") from None
                wait_s = min(LONGEST_WAIT_S, max(failure.wait_s, FIRST_WAIT_S * 2**attempt))
                self.say(f"{self.url}: {failure}; again in {wait_s:.0f} s ({attempt + 1} of {self.retries})")
                self._wait_until(time.monotonic() + wait_s)

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
            complaint = " ".join(error.read().decode(errors="replace").split())[:SHOWN]
            raise Refused(f"{self.url}: {what}: {complaint}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _Failed(f"no answer within {self.timeout_s:g} s") from None
            raise _Failed(f"no answer ({reason})") from None
