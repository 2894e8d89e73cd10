"""A table of HTTP dialects: what clients send, the status of each answer, and what comes then."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Longer than a line of a head may be.
LONG: Final = "a" * 9_000
#: The largest value that the service under test accepts.
MAX_VALUE_BYTES: Final = 16


class Dialect(NamedTuple):
    """One row. READ is a path that the port answers with 200, KEY a key that has no entry yet."""

    name: str
    sent: str
    answers: tuple[int, ...]
    #: Whether the connection stays open.
    stays: bool
    #: What KEY holds in the end; None: nothing.
    stored: str | None = None
    #: The answers on the admin port, which has no entries, if not the same with 404 for 201.
    admin: tuple[int, ...] | None = None
    #: What was sent is no complete head, and no more follows.
    waits: bool = False

    @property
    def answers_of_admin(self) -> tuple[int, ...]:
        if self.admin is not None:
            return self.admin
        return tuple(404 if status == 201 else status for status in self.answers)

    @property
    def stays_on_admin(self) -> bool:
        # A client that is refused may send its body or not: the connection can't go on.
        return self.stays and "100-continue" not in self.sent


HOST: Final = "Host: kv\r\n"
GET: Final = f"GET READ HTTP/1.1\r\n{HOST}\r\n"
PUT: Final = f"PUT /v1/kv/KEY HTTP/1.1\r\n{HOST}"
PUT_HELLO: Final = f"{PUT}Content-Length: 5\r\n\r\nhello"
H2C: Final = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
NO_HTTP: Final = "garbage\r\n\r\n"


def get(*, line: str = "GET READ HTTP/1.1", head: str = HOST) -> str:
    return f"{line}\r\n{head}\r\n"


DIALECTS: Final = (
    Dialect("one request", GET, (200,), stays=True),
    Dialect("three requests at once", GET + PUT_HELLO + GET, (200, 201, 200), True, "hello"),
    Dialect("empty lines before a request", f"\r\n\r\n{GET}", (200,), stays=True),
    Dialect("HTTP/1.0", get(line="GET READ HTTP/1.0", head=""), (200,), stays=False),
    Dialect(
        "HTTP/1.0, `Connection: keep-alive`",
        get(line="GET READ HTTP/1.0", head="Connection: keep-alive\r\n"),
        (200,),
        stays=True,
    ),
    Dialect("`Connection: close`", get(head=f"{HOST}Connection: close\r\n"), (200,), stays=False),
    Dialect(
        "a request behind `Connection: close`",
        get(head=f"{HOST}Connection: close\r\n") + PUT_HELLO,
        (200,),
        stays=False,
    ),
    Dialect(
        "no HTTP behind `Connection: close`",
        f"{PUT}Connection: close\r\nContent-Length: 5\r\n\r\nhello{NO_HTTP}",
        (201,),
        False,
        "hello",
    ),
    Dialect("no HTTP behind requests", PUT_HELLO + GET + NO_HTTP, (201, 200, 400), False, "hello"),
    Dialect(
        "a head without colon behind requests",
        GET + PUT_HELLO + get(head=f"{HOST}no colon\r\n") + GET,
        (200, 201, 400),
        False,
        "hello",
    ),
    Dialect(
        "no HTTP behind a chunked body",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{NO_HTTP}",
        (201, 400),
        False,
        "hello",
    ),
    Dialect("`Upgrade: h2c`", get(head=HOST + H2C), (200,), stays=True),
    Dialect(
        "a request behind `Upgrade: h2c`",
        get(head=HOST + H2C) + PUT_HELLO,
        (200, 201),
        True,
        "hello",
    ),
    Dialect(
        "a request behind `Upgrade: h2c` with a body",
        f"{PUT}{H2C}Content-Length: 5\r\n\r\nhello{GET}",
        (201, 200),
        True,
        "hello",
    ),
    Dialect(
        "a request behind `Upgrade: h2c` with a chunked body",
        f"{PUT}{H2C}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{GET}",
        (201, 200),
        True,
        "hello",
    ),
    Dialect(
        "a request behind `Upgrade: websocket`",
        get(head=f"{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n") + PUT_HELLO,
        (200, 201),
        True,
        "hello",
    ),
    Dialect("`OPTIONS *`", get(line="OPTIONS * HTTP/1.1"), (204,), stays=True),
    Dialect("another method for `*`", get(line="GET * HTTP/1.1"), (400,), stays=False),
    Dialect("`CONNECT`", get(line="CONNECT kv:80 HTTP/1.1"), (404,), stays=True),
    Dialect("HTTP/0.9", get(line="GET READ HTTP/0.9"), (505,), stays=False),
    Dialect("HTTP/1.2", get(line="GET READ HTTP/1.2"), (505,), stays=False),
    Dialect("HTTP/2.0", get(line="GET READ HTTP/2.0"), (505,), stays=False),
    Dialect("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,), stays=False),
    Dialect("no version, as in HTTP/0.9", get(line="GET READ"), (505,), stays=False),
    Dialect("a version that is no number", get(line="GET READ HTTP/x"), (400,), stays=False),
    Dialect("`Host: kv:8080`", get(head="Host: kv:8080\r\n"), (200,), stays=True),
    Dialect("`Host: [::1]:80`", get(head="Host: [::1]:80\r\n"), (200,), stays=True),
    Dialect("an empty `Host`", get(head="Host:\r\n"), (200,), stays=True),
    Dialect("no `Host`", get(head=""), (400,), stays=False),
    Dialect("two `Host` lines", get(head=HOST + HOST), (400,), stays=False),
    Dialect("`Host: a b`", get(head="Host: a b\r\n"), (400,), stays=False),
    Dialect("`Host: user@x`", get(head="Host: user@x\r\n"), (400,), stays=False),
    Dialect("`Host: [::1`", get(head="Host: [::1\r\n"), (400,), stays=False),
    Dialect("`Host: [1:2]`", get(head="Host: [1:2]\r\n"), (400,), stays=False),
    Dialect("a `Host` that is not ASCII", get(head="Host: \xff\r\n"), (400,), stays=False),
    Dialect("`Host: kv:a`", get(head="Host: kv:a\r\n"), (400,), stays=False),
    Dialect(
        "a false `Host` behind a request", GET + get(head="Host: a b\r\n"), (200, 400), stays=False
    ),
    Dialect(
        "an absolute target: `GET http://kv/path`",
        get(line="GET http://kvREAD HTTP/1.1"),
        (200,),
        stays=True,
    ),
    Dialect(
        "the same without a path: it is `/`",
        get(line="GET http://kv HTTP/1.1"),
        (200,),
        stays=True,
        admin=(404,),
    ),
    Dialect(
        "an upload to an absolute target",
        f"PUT HTTP://kv:80/v1/kv/KEY HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello",
        (201,),
        True,
        "hello",
    ),
    Dialect(
        "an absolute target with a user",
        get(line="GET http://user@kvREAD HTTP/1.1"),
        (400,),
        stays=False,
    ),
    Dialect(
        "an absolute target of another scheme",
        get(line="GET ftp://kvREAD HTTP/1.1"),
        (400,),
        stays=False,
    ),
    Dialect("a target without slash", get(line="GET limits HTTP/1.1"), (400,), stays=False),
    Dialect("a method that no route has", get(line="PURGE READ HTTP/1.1"), (405,), stays=True),
    Dialect("a method in lower case", get(line="get READ HTTP/1.1"), (400,), stays=False),
    Dialect("no HTTP", NO_HTTP, (400,), stays=False),
    Dialect("lines that end in LF alone", f"GET READ HTTP/1.1\n{HOST}\n", (400,), stays=False),
    Dialect("a folded header", get(head=f"{HOST}A: b\r\n c\r\n"), (400,), stays=False),
    Dialect("a space before the colon", get(head=f"{HOST}A : b\r\n"), (400,), stays=False),
    Dialect("a control character", get(head=f"{HOST}A: \x01\r\n"), (400,), stays=False),
    Dialect("a request line too long", get(line=f"GET /{LONG} HTTP/1.1"), (414,), stays=False),
    Dialect("a header too long", get(head=f"{HOST}A: {LONG}\r\n"), (431,), stays=False),
    Dialect(
        "a chunked body, with extension and trailer",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
        (201,),
        True,
        "hello",
    ),
    Dialect(
        "an empty line in a body",
        f"{PUT}Content-Length: 9\r\n\r\na\r\n\r\n\r\n\r\n{GET}",
        (201, 200),
        True,
        "a\r\n\r\n\r\n\r\n",
    ),
    Dialect(
        "an empty line in a chunk",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n6\r\na\r\n\r\nb\r\n0\r\n\r\n{GET}",
        (201, 200),
        True,
        "a\r\n\r\nb",
    ),
    Dialect(
        "a chunk size that is no number",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nz\r\n",
        (400,),
        stays=False,
        admin=(404,),
    ),
    Dialect(
        "a length and chunks",
        f"{PUT}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400,),
        stays=False,
    ),
    Dialect("a list of lengths", f"{PUT}Content-Length: 5, 5\r\n\r\nhello", (400,), stays=False),
    Dialect("a negative length", f"{PUT}Content-Length: -1\r\n\r\n", (400,), stays=False),
    Dialect(
        "`Expect: 100-continue`",
        f"{PUT}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        (201,),
        True,
        "hello",
    ),
    Dialect(
        "`Expect: 100-continue`, a body too large",
        f"{PUT}Expect: 100-continue\r\nContent-Length: 17\r\n\r\n",
        (413,),
        stays=False,
        admin=(404,),
    ),
    Dialect(
        "HTTP/1.0, `Expect: 100-continue`",
        "PUT /v1/kv/KEY HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        (201,),
        False,
        "hello",
    ),
    Dialect("another `Expect`", get(head=f"{HOST}Expect: wonders\r\n"), (417,), stays=True),
    Dialect("a head that is too slow", f"GET READ HTTP/1.1\r\n{HOST}", (408,), False, waits=True),
    Dialect("a slow head behind a request", f"{GET}G", (200, 408), False, waits=True),
    Dialect("nothing for too long", "", (), False, waits=True),
    Dialect("empty lines, and nothing for too long", "\r\n\r\n", (), False, waits=True),
)
