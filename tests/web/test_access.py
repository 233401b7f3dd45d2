"""Who may ask and who may change something: the web configuration file, users, headers, and foreign pages."""

from __future__ import annotations

import asyncio
import base64
import math
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import pytest

from exporter.errors import ConfigError, Problem
from exporter.meters import Meters
from exporter.web.access import Access
from exporter.web.passwords import MAX_REMEMBERED, MAX_WAITING_EACH, Passwords, TooBusyError
from exporter.web.server import application
from tests.views import shop
from tests.web.daemon import FakeDaemon

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

PASSWORD = "corr3ct-horse"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users:\n  alice: {HASHED}\n"


def file_with(directory: Path, text: str) -> Path:
    """A web configuration file."""
    path = directory / "web.yml"
    path.write_text(text)
    return path


def app_with(path: Path | None, daemon: FakeDaemon | None = None, clock: Any = None) -> Starlette:
    """The application behind the rules of a file."""
    access = Access(path, clock) if clock else Access(path)
    return application(shop.shop_board(), daemon or FakeDaemon(), Meters("0.1.0"), lambda: shop.NOW, access)


def ask(app: Starlette, path: str = "/metrics", method: str = "GET", **options: Any) -> httpx.Response:
    """One request."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.request(method, path, **options)

    return asyncio.run(request())


def test_a_user_with_the_right_password_is_let_in(tmp_path: Path) -> None:
    """Everybody else gets 401 and a challenge, everywhere but at the two probes."""
    app = app_with(file_with(tmp_path, USERS))
    assert ask(app, auth=("alice", PASSWORD)).status_code == 200
    for path in ("/", "/metrics", "/scrape?target=cache", "/sd", "/api/v1/status", "/health", "/assets/page.css", "/x"):
        reply = ask(app, path)
        assert (reply.status_code, reply.text.count("\n")) == (401, 1)
        assert reply.headers["www-authenticate"].startswith("Basic realm=")
        assert reply.headers["content-security-policy"]
    for path in ("/-/healthy", "/-/ready"):
        assert ask(app, path).status_code == 200


@pytest.mark.parametrize(
    "auth", [("alice", "wrong"), ("bob", PASSWORD), ("", ""), ("alice", ""), ("alice", "x" * 73), ("alice", "x" * 5000),
             ("alice", "nul\0nul"), ("älice", "pässword"), ("alice:" + PASSWORD, "")],
)  # fmt: skip
def test_wrong_credentials_are_all_refused_alike(tmp_path: Path, auth: tuple[str, str]) -> None:
    """The same answer to a wrong password and an unknown user; too long a password is refused, and nothing crashes."""
    app = app_with(file_with(tmp_path, USERS))
    reply, other = ask(app, auth=auth), ask(app)
    for name in ("x-request-id", "traceparent"):  # of one request each
        assert reply.headers.pop(name) != other.headers.pop(name)
    assert (reply.status_code, reply.text, reply.headers) == (401, other.text, other.headers)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Basic YWxpY2U=", "Bearer abc", "Basic \xe9", "Digest x"])
def test_a_header_that_cannot_be_read_is_refused(tmp_path: Path, header: str) -> None:
    """401, not 500."""
    app = app_with(file_with(tmp_path, USERS))
    assert ask(app, headers=[(b"authorization", header.encode("latin-1"))]).status_code == 401


def test_a_long_password_is_not_cut() -> None:
    """Bcrypt sees 72 bytes: what only agrees in those is refused, what fits is accepted."""
    password = "p" * 72
    passwords = Passwords({"alice": bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()})

    async def both() -> tuple[bool, bool]:
        return await passwords.verified(basic("alice", password)), await passwords.verified(
            basic("alice", password + "x")
        )

    assert asyncio.run(both()) == (True, False)


def test_an_unknown_user_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bcrypt of the same cost for whoever is wrong; one for who is right, and none when they come again."""
    costs: list[bytes] = []
    real = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, hashed: costs.append(hashed[:7]) or real(password, hashed))
    passwords = Passwords({"alice": HASHED})

    async def guesses() -> list[bool]:
        tries = [("alice", "wrong"), ("bob", "wrong"), ("bob", "x" * 80), ("alice", PASSWORD), ("alice", PASSWORD)]
        return [await passwords.verified(basic(*one)) for one in tries]

    assert asyncio.run(guesses()) == [False, False, False, True, True]
    assert costs == [b"$2b$04$"] * 4


def test_users_with_different_costs_cost_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """In rounds of bcrypt, whoever is asked for: no time tells that a user exists."""
    work: list[int] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        work[-1] += 2 ** int(hashed[4:6])
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    passwords = Passwords({"alice": HASHED, "bob": bcrypt.hashpw(b"b", bcrypt.gensalt(7)).decode()})

    async def guesses() -> list[bool]:
        answers = []
        for user, password in (("alice", "wrong"), ("bob", "wrong"), ("nobody", "wrong"), ("alice", PASSWORD)):
            work.append(0)
            answers.append(await passwords.verified(basic(user, password)))
        return answers

    assert asyncio.run(guesses()) == [False, False, False, True]
    assert work == [2**7] * 4


def test_one_address_cannot_take_all_checks() -> None:
    """Who guesses as fast as it goes is refused without a check, and somebody else is still heard."""
    passwords = Passwords({"alice": HASHED})

    async def guess(client: str, password: str) -> str:
        try:
            return str(await passwords.verified(basic("alice", password), client))
        except TooBusyError:
            return "busy"

    async def flood() -> tuple[list[str], str]:
        guesses = [asyncio.ensure_future(guess("10.0.0.1", f"x{number}")) for number in range(100)]
        await asyncio.sleep(0)
        right = await guess("10.0.0.2", PASSWORD)
        return await asyncio.gather(*guesses), right

    answers, right = asyncio.run(flood())
    assert right == "True"
    assert (answers.count("False"), answers.count("busy")) == (MAX_WAITING_EACH, 100 - MAX_WAITING_EACH)
    assert asyncio.run(guess("10.0.0.1", PASSWORD)) == "True"


def test_what_is_remembered_is_bounded_and_no_password() -> None:
    """Only right ones, by a keyed hash, and at most so many."""
    users = {f"u{number}": HASHED for number in range(MAX_REMEMBERED + 5)}
    passwords = Passwords(users)

    async def everybody() -> None:
        for user in users:
            assert await passwords.verified(basic(user, PASSWORD))

    asyncio.run(everybody())
    assert len(passwords._remembered) == MAX_REMEMBERED
    assert not any(PASSWORD.encode() in mark for mark in passwords._remembered)


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_headers_of_the_file_win(tmp_path: Path) -> None:
    """On every answer, refusals included."""
    text = USERS + "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=31536000\n"
    app = app_with(file_with(tmp_path, text + "    X-Frame-Options: SAMEORIGIN\n"))
    for reply in (ask(app), ask(app, auth=("alice", PASSWORD)), ask(app, "/-/healthy")):
        assert reply.headers["strict-transport-security"] == "max-age=31536000"
        assert reply.headers.get_list("x-frame-options") == ["SAMEORIGIN"]


WRONG = [
    (
        "tls_server_config: {cert_file: x, key_file: y, key_fil: z}\n",
        "tls_server_config.key_fil: unknown setting",
    ),
    ("tls_server_config:\n  cert: x\n  cert_file: x\n  key_file: y\n", "tls_server_config.cert: is not supported, put"),
    ("tls_server_config:\n  key_file: y\n", "tls_server_config.cert_file: is required"),
    ("tls_server_config: {cert_file: x, key_file: y, min_version: TLS10}\n", "min_version: must be 'TLS12' or 'TLS13'"),
    ("tls_server_config: {cert_file: x, key_file: y, client_auth_type: RequestClientCert}\n", "client_auth_type: must"),
    ("tls_server_config: {cert_file: x, key_file: y, client_ca_file: z}\n", "client_ca_file and client_auth_type need"),
    ("tls_server_config: {cert_file: x, key_file: y, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}\n", "1 of them are"),
    ("tls_server_config: {cert_file: none.pem, key_file: none.pem}\n", "cert_file, key_file or client_ca_file cannot"),
    ("basic_auth_users: {alice: plain-s3cret}\n", "basic_auth_users: a password is given as its bcrypt hash"),
    ("http_server_config: {headers: {Server: x}}\n", "only these can be set: Content-Security-Policy"),
    ('http_server_config: {headers: {X-Frame-Options: "a\\r\\nb: c"}}\n', "printable ASCII on one line"),
    ("basic_auth_user: {}\n", "basic_auth_user: unknown setting; did you mean basic_auth_users?"),
    ("- a\n", "must be a mapping of settings"),
    ("a: [\n", "not valid YAML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """Every problem is one of `web.config_file`, with the path inside it, and repeats no value."""
    with pytest.raises(ConfigError) as refusal:
        Access(file_with(tmp_path, text))
    [problem] = refusal.value.problems
    assert problem.path == "web.config_file"
    assert said.replace("'", "") in problem.message.replace("'", "")
    assert "s3cret" not in problem.message


def test_a_changed_file_takes_effect_and_a_broken_one_does_not(tmp_path: Path) -> None:
    """The next request sees the new users; a broken file leaves the last good ones in force."""
    now = [0.0]
    path = file_with(tmp_path, USERS)
    app = app_with(path, clock=lambda: now[0])
    other = bcrypt.hashpw(b"n3w", bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users:\n  alice: {other}\n  bob: {other}\n")
    now[0] += 2
    assert ask(app, auth=("alice", PASSWORD)).status_code == 401
    assert ask(app, auth=("bob", "n3w")).status_code == 200
    path.write_text("basic_auth_users: {alice: nonsense}\n")
    now[0] += 2
    assert ask(app, auth=("bob", "n3w")).status_code == 200
    path.unlink()
    now[0] += 2
    assert ask(app, auth=("bob", "n3w")).status_code == 200
    assert ask(app).status_code == 401


CHANGES = ["/-/reload", "/api/v1/sampling", "/api/v1/warming/sessions"]


@pytest.mark.parametrize("path", CHANGES)
def test_changes_need_authentication_to_be_configured(path: str) -> None:
    """403 where everybody may ask: somebody must have proven who they are."""
    daemon = FakeDaemon()
    reply = ask(app_with(None, daemon), path, "POST", json={"state": "off"})
    assert reply.status_code == 403
    assert "authentication" in reply.text
    assert (daemon.reloads, daemon.off) == (0, {})


FOREIGN = [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
           {"Origin": "null"}, {"Origin": "http://exporter.evil.example"}]  # fmt: skip


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_other_sites_change_nothing(tmp_path: Path, path: str, headers: dict[str, str]) -> None:
    """Although the browser sends the password along."""
    daemon = FakeDaemon()
    app = app_with(file_with(tmp_path, USERS), daemon)
    reply = ask(app, path, "POST", json={"state": "off"}, auth=("alice", PASSWORD), headers=headers)
    assert reply.status_code == 403
    assert (daemon.reloads, daemon.off) == (0, {})


def test_a_reload_over_http(tmp_path: Path) -> None:
    """200 when it was applied; 500 with every problem when it was not."""
    daemon = FakeDaemon()
    app = app_with(file_with(tmp_path, USERS), daemon)
    same_origin = {"Origin": "http://exporter", "Sec-Fetch-Site": "same-origin"}
    assert ask(app, "/-/reload", "POST", auth=("alice", PASSWORD), headers=same_origin).status_code == 200
    daemon.problems = (Problem("sampling.tops", "unknown setting"), Problem("targets", "must be a list"))
    reply = ask(app, "/-/reload", "POST", auth=("alice", PASSWORD))
    assert reply.status_code == 500
    assert reply.text.splitlines()[1:] == ["sampling.tops: unknown setting", "targets: must be a list"]
    assert daemon.reloads == 2


def test_the_kill_switch(tmp_path: Path) -> None:
    """One target for ten minutes, all until further notice, and on again; the answer says how things are then."""
    daemon = FakeDaemon()
    app = app_with(file_with(tmp_path, USERS), daemon)

    def post(**order: object) -> httpx.Response:
        return ask(app, "/api/v1/sampling", "POST", json=order, auth=("alice", PASSWORD))

    reply = post(state="off", target="cache", **{"for": "10m"})
    assert reply.json()["targets"][0] == {"target": "cache", "state": "off", "seconds_left": 600}
    assert daemon.off == {"cache": 600.0}
    reply = post(state="off")
    assert {one["state"] for one in reply.json()["targets"]} == {"off"}
    assert daemon.off["queue"] == math.inf
    assert {one["state"] for one in post(state="on").json()["targets"]} == {"on"}


ORDERS: list[tuple[dict[str, Any], int, str]] = [
    ({"json": {"state": "of"}}, 400, "state: must be on or off"),
    ({"json": {}}, 400, "state: must be on or off"),
    ({"json": {"state": ["off"]}}, 400, "state: must be on or off"),
    ({"json": {"state": "off", "target": "nobody"}}, 404, "target: 'nobody' is not configured"),
    ({"json": {"state": "off", "target": 5}}, 400, "target: must be the name"),
    ({"json": {"state": "off", "for": "soon"}}, 400, "for: "),
    ({"json": {"state": "off", "for": "30d"}}, 400, "for: "),
    ({"json": {"state": "on", "for": "5m"}}, 400, "for: only goes with state off"),
    ({"json": {"state": "off", "why": "x"}}, 400, "the body must be an object"),
    ({"json": ["off"]}, 400, "the body must be an object"),
    ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "the body is not JSON"),
    ({"content": b"[" * 4000, "headers": {"Content-Type": "application/json"}}, 400, "the body is not JSON"),
    ({"content": b" " * 5000, "headers": {"Content-Type": "application/json"}}, 413, "longer than 4096 bytes"),
    ({"data": {"state": "off"}}, 415, "the body must be application/json"),
    ({"content": b'{"state":"off"}', "headers": {"Content-Type": "text/plain"}}, 415, "must be application/json"),
]


@pytest.mark.parametrize(("options", "status", "said"), ORDERS)
def test_an_order_that_is_wrong_changes_nothing(
    tmp_path: Path, options: dict[str, Any], status: int, said: str
) -> None:
    """One line that names the fault; forms of foreign pages cannot be JSON."""
    daemon = FakeDaemon()
    app = app_with(file_with(tmp_path, USERS), daemon)
    reply = ask(app, "/api/v1/sampling", "POST", auth=("alice", PASSWORD), **options)
    assert reply.status_code == status
    assert said in reply.json()["error"]
    assert daemon.off == {}
