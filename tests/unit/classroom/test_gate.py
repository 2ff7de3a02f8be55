"""The doors of a class: who gets in, who does not, and what other pages cannot do."""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from dmvpn_lab.classroom.server import PAGE
from dmvpn_lab.classroom.sessions import FREE
from dmvpn_lab.cli import classroom
from dmvpn_lab.render import pki
from tests.unit.classroom.served import Served, serving

LEARNERS = ("/state", "/topology", "/terminal/hub")
INSTRUCTORS = ("/board", "/look/anna/hub")


def test_without_a_login_there_is_the_form_and_nothing_else(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with aiohttp.ClientSession(served.url, headers=served.origin) as nobody:
            async with nobody.get("/") as answer:
                assert answer.url.path == "/login"
            for path in (*LEARNERS, *INSTRUCTORS, "/workshops", "/page/board.js", "/vendor/xterm.mjs", "/x"):
                async with nobody.get(path) as answer:
                    assert answer.status == 401, path
            for path in ("/do/start", "/stop/anna", "/logout"):
                async with nobody.post(path) as answer:
                    assert answer.status == 401, path

    serving(tmp_path, test)


def test_the_cookie_is_for_our_own_pages_and_no_script(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with aiohttp.ClientSession(served.url, headers=served.origin) as browser:
            form = {"name": "anna", "password": served.passwords["anna"]}
            async with browser.post("/login", data=form, allow_redirects=False) as answer:
                assert answer.status == 303
                cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert served.passwords["anna"] not in cookie

    serving(tmp_path, test)


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", "wrong"), ("", ""), ("anna", "")]
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike(name: str, password: str, tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with (
            aiohttp.ClientSession(served.url, headers=served.origin) as browser,
            browser.post("/login", data={"name": name, "password": password}) as answer,
        ):
            assert (answer.status, await answer.text()) == (403, "name or password is wrong\n")
            assert "Set-Cookie" not in answer.headers

    serving(tmp_path, test)


def test_who_fails_often_waits_though_the_password_is_right_then(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with aiohttp.ClientSession(served.url, headers=served.origin) as browser:
            for _ in range(FREE):
                async with browser.post("/login", data={"name": "anna", "password": "x"}) as answer:
                    assert answer.status == 403
            form = {"name": "anna", "password": served.passwords["anna"]}
            async with browser.post("/login", data=form) as answer:
                assert answer.status == 429
                assert 0 < int(answer.headers["Retry-After"]) <= 2
        await (await served.log_in("bob")).close()

    serving(tmp_path, test)


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
def test_what_comes_from_another_page_is_refused(origin: str | None, tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        browser = await served.log_in("anna")
        port = served.url.rstrip("/").rpartition(":")[2]
        headers = {} if origin is None else {"Origin": origin.format(port=port)}
        async with aiohttp.ClientSession(served.url, headers=headers, cookie_jar=browser.cookie_jar) as other:
            for path in ("/login", "/logout", "/do/hint"):
                async with other.post(path) as answer:
                    assert answer.status == 403, path
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await other.ws_connect("/terminal/hub")
        await browser.close()

    serving(tmp_path, test)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_without_tls_another_hosts_name_is_refused(host: str, tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with (
            aiohttp.ClientSession(served.url) as browser,
            browser.get("/login", headers={"Host": host}) as answer,
        ):
            assert answer.status == 403
            assert "Content-Security-Policy" in answer.headers

    serving(tmp_path, test)


def test_learners_and_instructors_have_their_own_doors(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for name, closed in (("anna", INSTRUCTORS), ("carla", LEARNERS)):
            browser = await served.log_in(name)
            for path in closed:
                async with browser.get(path) as answer:
                    assert answer.status == 403, (name, path)
            async with browser.post("/stop/bob" if name == "anna" else "/do/start") as answer:
                assert answer.status == 403
            await browser.close()

    serving(tmp_path, test)


def test_with_tls_the_cookie_never_crosses_in_clear(tmp_path: Path) -> None:
    ca = pki.authority("1" * 64, "unit")
    (tmp_path / "ca.pem").write_text(pki.pem(ca.certificate))
    server = pki.certificate(ca, "2" * 64, "class.example")
    (tmp_path / "cert.pem").write_text(pki.pem(server.certificate))
    (tmp_path / "key.pem").write_text(pki.key_pem(server))
    tls = classroom._tls("0.0.0.0", tmp_path / "cert.pem", tmp_path / "key.pem")
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

    async def test(served: Served) -> None:
        assert served.url.startswith("https://")
        form = {"name": "anna", "password": served.passwords["anna"]}
        other = {"Origin": served.origin["Origin"].replace("https", "http")}
        async with aiohttp.ClientSession(served.url, connector=aiohttp.TCPConnector(ssl=trust)) as browser:
            for headers, status in ((served.origin, 303), (other, 403)):
                async with browser.post(
                    "/login",
                    data=form,
                    headers=headers,
                    server_hostname="class.example",
                    allow_redirects=False,
                ) as answer:
                    assert answer.status == status
                    assert ("; Secure" in answer.headers.get("Set-Cookie", "")) == (status == 303)

    serving(tmp_path, test, tls)


def test_who_logs_out_is_out(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        browser = await served.log_in("anna")
        kept = aiohttp.CookieJar(unsafe=True)
        kept.update_cookies({each.key: each.value for each in browser.cookie_jar}, URL(served.url))
        async with browser.post("/logout") as answer:
            assert answer.url.path == "/login"
        async with aiohttp.ClientSession(served.url, cookie_jar=kept) as old:
            assert len(old.cookie_jar) == 1
            async with old.get("/workshops") as answer:
                assert answer.status == 401
        await browser.close()

    serving(tmp_path, test)


@pytest.mark.parametrize("path", ["/vendor/..%2f..%2fgate.py", "/page/%2e%2e/gate.py", "/page/none.js"])
def test_there_is_no_file_but_the_pages(path: str, tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        browser = await served.log_in("anna")
        async with browser.get(path) as answer:
            assert answer.status == 404
        await browser.close()

    serving(tmp_path, test)


def test_the_pages_load_nothing_from_elsewhere_and_run_no_inline_script(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for name in ("anna", "carla"):
            browser = await served.log_in(name)
            async with browser.get("/") as answer:
                text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert not re.findall(r"style=|\son[a-z]+=|<script(?![^>]*src=)|(?:https?:)?//[a-z]", text)
            for path in re.findall(r'(?:src|href)="(/[^"]*)"', text):
                async with browser.get(path) as answer:
                    assert answer.status == 200, path
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            await browser.close()

    serving(tmp_path, test)


def test_what_is_not_ours_is_as_it_was_published() -> None:
    told = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    files = re.findall(r"\| `(\S+)` \| .* \| ([0-9a-f]{64}) \|", told)
    assert {name for name, _ in files} == {
        path.name for path in (PAGE / "vendor").iterdir() if path.suffix in (".mjs", ".css")
    }
    for name, digest in files:
        assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == digest, name
