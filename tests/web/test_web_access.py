"""Who may look, who may act, and what every answer carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_client import Ask

from daemon.errors import SettingsInvalid
from daemon.settings import Settings
from daemon.web.app import create_app
from daemon.web.guarding import policy
from daemon.web.listening import Listening, listening_at, may_be_asked_for
from daemon.web.signing_in import own_target
from daemon.web.tokens import FULL, READER, SESSION_SECONDS, Tokens, tokens_of

FULL_TOKEN, READ_TOKEN = "f" * 32, "r" * 32
STATUS = "/api/v1/status"


def token_file(folder: Path, name: str, text: str, *, mode: int = 0o600) -> Path:
    """Write a file with a token."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, Path]:
    """The settings of both tokens."""
    return {
        "web_token_file": token_file(tmp_path, "full", f"{FULL_TOKEN}\n"),
        "web_read_token_file": token_file(tmp_path, "read", READ_TOKEN),
    }


def bearing(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def test_a_local_page_is_for_everybody_on_the_machine(asking: Ask) -> None:
    """Without tokens a page on loopback is shown without one."""
    client = asking()
    assert client.get("/").status_code == 200
    assert client.get(STATUS).status_code == 200
    assert client.get("/sign-in").headers["location"] == "/"


@pytest.mark.parametrize("listen", ["0.0.0.0:8765", "192.168.1.5:80", "[::]:8765", "trainer.example:8765"])
def test_beyond_this_machine_it_does_not_start_without_a_token(web_settings: Settings, listen: str) -> None:
    """An address that others reach is refused as a setting, exit code 2, with the fix by name."""
    with pytest.raises(SettingsInvalid, match="web_token_file") as caught:
        create_app(web_settings, where=[listening_at(listen)])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:80", "[::1]:8765", "unix:/run/x.sock"])
def test_on_this_machine_it_starts_without_a_token(web_settings: Settings, listen: str) -> None:
    """Loopback and Unix sockets need no token."""
    assert create_app(web_settings, where=[listening_at(listen)]).state.site.tokens.by_role == {}


def test_tokens_are_asked_for_everywhere_but_for_what_anybody_may_know(
    asking: Ask, tokens: dict[str, Path]
) -> None:
    """With tokens page, API, stream and metrics need one; health, static files and the sign-in do not."""
    client = asking(**tokens)
    for path in ("/", STATUS, "/stream", "/metrics"):
        assert client.get(path).status_code == 401, path
    assert client.get(STATUS).json()["detail"] == "this page is shown to those who have a token"
    assert client.get(STATUS).headers["www-authenticate"].startswith("Bearer")
    for path in ("/healthz", "/sign-in", client.app.state.site.assets.address("page.css")):
        assert client.get(path).status_code == 200, path
    for token in (FULL_TOKEN, READ_TOKEN):
        assert client.get(STATUS, headers=bearing(token)).status_code == 200
    for wrong in ("", "x" * 32, FULL_TOKEN[:-1], f"{FULL_TOKEN}x", "\u00ff".encode("latin-1")):
        said = {"Authorization": b"Bearer " + (wrong if isinstance(wrong, bytes) else wrong.encode())}
        assert client.get(STATUS, headers=said).status_code == 401


def test_a_browser_signs_in_once_and_out_again(asking: Ask, tokens: dict[str, Path]) -> None:
    """The token gives a cookie that no script reads and no other site sends; the page it wanted follows."""
    client = asking(**tokens)
    page = client.get("/?q=state:failed", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert 'value="/?q=state:failed"' in page.text
    wrong = client.post("/sign-in", data={"token": "no"})
    assert (wrong.status_code, "no token of this host" in wrong.text) == (401, True)
    right = client.post("/sign-in", data={"token": READ_TOKEN, "target": "/?q=state:failed"})
    assert (right.status_code, right.headers["location"]) == (303, "/?q=state:failed")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert READ_TOKEN not in cookie
    assert client.get("/").status_code == 200
    assert client.get("/", headers=bearing("x" * 32)).status_code == 401, "a wrong token is nobody's"
    client.post("/sign-out")
    assert client.get("/").status_code == 401


def test_a_session_ends_with_its_time_or_its_token() -> None:
    """What a browser shows is good for its role alone, until its end, as long as the token is the same."""
    now = [1_000_000.0]
    known = Tokens(by_role={FULL: FULL_TOKEN, READER: READ_TOKEN}, clock=lambda: now[0])
    session = known.session(READER)
    assert known.role_of_session(session) == READER
    assert known.role_of_session(session.replace(READER, FULL)) is None
    role, end, signature = session.split(".")
    assert known.role_of_session(f"{role}.{int(end) + 1}.{signature}") is None
    assert (
        Tokens(by_role={READER: "another-token-of-16"}, clock=lambda: now[0]).role_of_session(session) is None
    )
    for broken in ("", ".", "..", "full", "full.x.y", "reader.9.", f"{role}.{end}"):
        assert known.role_of_session(broken) is None
    now[0] += SESSION_SECONDS
    assert known.role_of_session(session) is None


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (FULL_TOKEN, 0o644, "everybody"),
        (FULL_TOKEN, 0o602, "everybody"),
        ("short", 0o600, "fewer than 16"),
        ("two words are no token", 0o600, "one word"),
        ("", 0o600, "fewer than 16"),
        ("x" * 5000, 0o600, "one word"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(
    tmp_path: Path, web_settings: Settings, text: str, mode: int, problem: str
) -> None:
    """A token file must be closed to others and hold one word of 16 characters; it is never quoted."""
    from dataclasses import replace

    path = token_file(tmp_path, "token", text, mode=mode)
    with pytest.raises(SettingsInvalid, match=problem) as caught:
        tokens_of(replace(web_settings, web_token_file=path))
    assert not text or text not in str(caught.value)


def test_the_two_tokens_are_two(tmp_path: Path, web_settings: Settings) -> None:
    """A reader's token that is the full one as well would make readers into more; a missing file is told."""
    from dataclasses import replace

    path = token_file(tmp_path, "token", FULL_TOKEN)
    with pytest.raises(SettingsInvalid, match="holds the token of web_token_file"):
        tokens_of(replace(web_settings, web_token_file=path, web_read_token_file=path))
    with pytest.raises(SettingsInvalid, match="No such file"):
        tokens_of(replace(web_settings, web_token_file=tmp_path / "none"))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8765", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8765", 200),
        ("trainer.example", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.1.5", 421),
        ("", 421),
    ],
)
def test_a_foreign_name_that_leads_here_is_refused(asking: Ask, host: str, status: int) -> None:
    """Only names of this host are served (against DNS rebinding); `web_names` adds some."""
    client = asking(web_names=("trainer.example",))
    answer = client.get("/healthz", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        assert list(answer.json()) == ["type", "title", "status", "detail", "fix"], (
            "a problem like all others"
        )


def test_a_port_beside_a_unix_socket_is_asked_for_by_name() -> None:
    """Only where nothing but a Unix socket listens may the name be anything: browsers reach a port."""
    socket, port = Listening(path="/run/page.sock"), Listening(host="127.0.0.1", port=8765)
    assert may_be_asked_for("anything", {"localhost"}, [socket])
    assert not may_be_asked_for("evil.example", {"localhost"}, [socket, port])
    assert may_be_asked_for("localhost", {"localhost"}, [socket, port])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Origin": "http://trainer.example"}, 303),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
    ],
)
def test_no_other_site_acts_through_a_browser(asking: Ask, headers: dict[str, str], status: int) -> None:
    """What changes something comes from a page of ours, or from no browser at all."""
    client = asking(web_names=("trainer.example",))
    assert client.post("/sign-out", headers=headers).status_code == status
    assert client.get("/healthz", headers=headers).status_code == 200


def test_every_answer_has_a_strict_policy(asking: Ask) -> None:
    """Pages, documents, refusals and errors let nothing foreign or inline run, load or frame them."""
    client = asking()
    answers = [client.get(path) for path in ("/", STATUS, "/nowhere", "/healthz")]
    answers.append(client.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        said = answer.headers["content-security-policy"]
        assert said == policy()
        assert "default-src 'none'" in said
        assert "unsafe" not in said
        assert "*" not in said
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    digest = "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="  # SHA-256 of the letter a
    assert f"style-src 'self' 'sha256-{digest}';" in policy(styles=("a",))


def test_a_body_has_a_limit(asking: Ask) -> None:
    """More than a mebibyte is refused, whether its length was said or not."""
    client = asking()
    too_much = b"x" * 1_100_000
    assert client.post("/sign-in", content=too_much).status_code == 413
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    pieces = (too_much[:100_000] for _ in range(12))
    assert client.post("/sign-in", content=pieces, headers=form).status_code == 413


def test_a_defect_is_told_without_its_inside(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is a 500 with one sentence, for programs and for people."""
    client = asking()
    monkeypatch.setattr(client.app.state.site.reader, "plans", lambda: 1 / 0)
    told = client.get(STATUS)
    assert told.status_code == 500
    assert told.json()["detail"].startswith("something is wrong in the page itself")
    assert "ZeroDivisionError" not in told.text
    page = client.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, "<h1>Internal Server Error</h1>" in page.text) == (500, True)
    assert page.headers["content-security-policy"] == policy()


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "", "x"])
def test_a_sign_in_leads_to_no_other_site(target: str) -> None:
    """Where to go behind the sign-in is a path of ours."""
    assert own_target(target) == "/"
    assert own_target("/fits/x?attempt=2") == "/fits/x?attempt=2"


def test_static_files_are_kept_for_ever_under_their_hash(asking: Ask) -> None:
    """An address with the hash may be kept; without it the file is asked for again and need not be sent."""
    client = asking()
    address = client.app.state.site.assets.address("page.css")
    kept = client.get(address)
    assert "immutable" in kept.headers["cache-control"]
    bare = client.get("/static/page.css")
    assert bare.headers["cache-control"] == "no-cache"
    again = client.get("/static/page.css", headers={"If-None-Match": bare.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("nothing.css", "..%2fsite.py", "%2e%2e/site.py"):
        assert client.get(f"/static/{name}").status_code == 404
