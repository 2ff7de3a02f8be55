"""Who may ask for what: logins, sessions, and requests that come from another page.

A cookie is only sent by our own pages (SameSite), every change says where it comes from (Origin), and
without TLS only this computer is served.
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dmvpn_lab.classroom.passwords import Passwords
from dmvpn_lab.classroom.roster import Roster
from dmvpn_lab.classroom.sessions import LIFETIME_S, Failures, Sessions
from dmvpn_lab.watch.browser import HEADERS, HOSTS

COOKIE = "session"
OPEN = frozenset({"/login", "/page/class.css", "/page/login.js"})
"""What is there without a login."""
LONGEST = 128
"""Octets of a name or a password that are looked at."""
AT_ONCE = 2
"""Passwords that are tried at the same time: each costs a processor 50 ms."""


class Gate:
    """The doors of one class."""

    def __init__(self, roster: Roster, passwords: Passwords, *, tls: bool) -> None:
        self._roster = roster
        self._passwords = passwords
        self._tls = tls
        self._sessions = Sessions()
        self._failures = Failures()
        self._trying = asyncio.Semaphore(AT_ONCE)

    def middleware(self) -> Middleware:
        """Every request goes through it."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self._tls and _host(request.host) not in HOSTS:
                raise web.HTTPForbidden(text="without TLS this class is served at 127.0.0.1 only\n")
            changes = request.method not in ("GET", "HEAD") or "Upgrade" in request.headers
            if changes and not self._ours(request):
                raise web.HTTPForbidden(text="this did not come from a page of the class\n")
            if request.path not in OPEN:
                self._known(request)
            return await handler(request)

        return guarded

    def person(self, request: web.Request) -> str | None:
        """Who asks; None for nobody that is logged in."""
        session = self._sessions.find(request.cookies.get(COOKIE, ""), time.monotonic())
        return session.name if session is not None and session.name in self._roster.people else None

    def instructor(self, request: web.Request) -> str:
        """Who asks, if it is an instructor. Raises HTTPForbidden."""
        name = self._known(request)
        if name not in self._roster.instructors:
            raise web.HTTPForbidden(text="this is for instructors\n")
        return name

    def learner(self, request: web.Request) -> str:
        """Who asks, if it is a learner. Raises HTTPForbidden."""
        name = self._known(request)
        if name not in self._roster.learners:
            raise web.HTTPForbidden(text="this is for learners\n")
        return name

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Compare a password. The same answer for a wrong name and a wrong password."""
        form = await request.post()
        name, password = (str(form.get(key, ""))[:LONGEST] for key in ("name", "password"))
        key = f"{request.remote} {name}"
        wait_s = self._failures.wait_s(key, time.monotonic())
        if wait_s > 0:
            raise web.HTTPTooManyRequests(
                text=f"too many tries; wait {wait_s:.0f} s\n", headers={"Retry-After": f"{wait_s:.0f}"}
            )
        self._failures.failed(key, time.monotonic())  # before the comparison: tries at once count, too
        async with self._trying:
            right = await asyncio.to_thread(self._passwords.right, name, password)
        if not right or name not in self._roster.people:
            raise web.HTTPForbidden(text="name or password is wrong\n")
        self._failures.succeeded(key)
        answer = web.HTTPSeeOther("/")
        answer.set_cookie(
            COOKIE, self._sessions.begin(name, time.monotonic()), max_age=int(LIFETIME_S), path="/",
            httponly=True, samesite="Strict", secure=self._tls,
        )  # fmt: skip
        raise answer

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(COOKIE, path="/")
        raise answer

    def _known(self, request: web.Request) -> str:
        name = self.person(request)
        if name is not None:
            return name
        if request.path == "/":
            raise web.HTTPSeeOther("/login")
        raise web.HTTPUnauthorized(text="log in first\n")

    def _ours(self, request: web.Request) -> bool:
        """Whether a change comes from one of our pages, as the browser tells."""
        origin = urlsplit(request.headers.get("Origin", ""))
        return origin.scheme == ("https" if self._tls else "http") and origin.netloc == request.host


async def with_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Of every answer. The terminal's own styles are inline: xterm.js writes them itself."""
    policy = HEADERS["Content-Security-Policy"]
    policy = policy.replace("form-action 'none'", "form-action 'self'")
    policy = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    own = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}  # else a form has no Origin
    response.headers.update(HEADERS | own)


def _host(host: str) -> str:
    return host.partition(":")[0].lower()
