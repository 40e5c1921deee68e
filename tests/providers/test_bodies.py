"""Answers that never come, never end, trickle, break off, or unpack to more than was agreed."""

from __future__ import annotations

import gzip
import itertools
import random
import socket
import tracemalloc
import zlib

import pytest
import requests
import urllib3

from providers import errors
from providers.bodies import read_body
from providers.caldav.failures import translated
from providers.transport import Limits

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 100000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MEBIBYTE = 1024 * 1024


def asked(session, url, **limits):
    with translated(url):
        return session(allow_private=True, limits=Limits(**limits)).get(url)


def pieces(*first, then=b"x"):
    return lambda: itertools.chain(first, itertools.repeat(then))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"H"),
        (HEAD, b"A"),
        (HEAD, b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Hints\r\n\r\n"),
        (HEAD + b"\r\n", b"x"),
        (HEAD + LENGTH + b"\r\n", b"x"),
        (HEAD + CHUNKED + b"\r\n", b"1\r\nx\r\n"),
        (HEAD + CHUNKED + b"\r\n1", b"0"),
        (HEAD + CHUNKED + b"\r\n1", b";x"),
        (HEAD + CHUNKED + b"\r\n0\r\n", b"A: b\r\n"),
    ],
    ids=["status", "name", "headers", "100", "103", "body", "length", "chunks", "size", "extension", "trailer"],
)
def test_whatever_trickles_is_cut_off_at_the_deadline_long_before_its_end(speak, session, first, then):
    url = speak(pieces(first, then=then), pause=0.005)
    with pytest.raises(errors.Unavailable, match=r"127\.0\.0\.1:\d+ took more than 0\.2 s"):
        asked(session, url, total=0.2)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_interim_answer_is_not_the_answer(speak, session, status):
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </style.css>\r\n\r\n".encode()
    url = speak(lambda: [interim * 3 + HEAD + b"Content-Length: 4\r\n\r\nbody"])
    answer = asked(session, url)
    assert (answer.status_code, answer.content) == (200, b"body")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"H" * 4096),
        (HEAD, b"A" * 4096),
        (HEAD, b"A: b\r\n" * 512),
        (HEAD + CHUNKED + b"\r\n", b"0" * 4096),
    ],
    ids=["status", "name", "headers", "size"],
)
def test_headers_without_end_are_refused(speak, session, first, then):
    with pytest.raises(errors.ProviderError, match="127"):
        asked(session, speak(pieces(first, then=then)))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (HEAD + CHUNKED + b"\r\n0\r\n", b"A: b\r\n" * 512),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 200),
    ],
    ids=["1xx", "trailer", "empty"],
)
def test_what_comes_to_nothing_is_counted_all_the_same(speak, session, first, then):
    with pytest.raises(errors.InvalidResponse, match="without end"):
        asked(session, speak(pieces(first, then=then)), size=1000)


@pytest.mark.parametrize("headers", [b"", CHUNKED])
def test_an_answer_without_end_is_cut_off_at_the_bound(speak, session, headers):
    url = speak(pieces(HEAD + headers + b"\r\n", then=b"400\r\n" + b"x" * 1024 + b"\r\n"))
    with pytest.raises(errors.InvalidResponse, match="more than 100000 bytes"):
        asked(session, url, size=100_000)


def bomb(size, times=1):
    packed = bytes(size)
    for _ in range(times):
        packed = gzip.compress(packed)
    return packed


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZip", "x-gzip", "identity, gzip"])
def test_a_compressed_answer_is_bounded_by_what_it_unpacks_to(serve, session, says, encoding):
    plain = bytes(5_000_000)
    packed = zlib.compress(plain) if encoding == "deflate" else gzip.compress(plain)
    url = serve(says(200, packed, Content_Encoding=encoding)).url
    assert len(packed) < 10_000
    with pytest.raises(errors.InvalidResponse, match="more than 1000000 bytes"):
        asked(session, url, size=1_000_000)
    assert asked(session, url).content == plain


def test_a_bomb_takes_no_more_memory_than_is_allowed(serve, session, says):
    url = serve(says(200, bomb(400 * MEBIBYTE), Content_Encoding="gzip")).url
    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidResponse, match="more than"):
            asked(session, url, size=4 * MEBIBYTE)
        assert tracemalloc.get_traced_memory()[1] < 16 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip, br"])
def test_what_is_packed_in_another_way_than_was_asked_for_is_refused(serve, session, says, encoding):
    server = serve(says(200, bomb(1000, times=2), Content_Encoding=encoding))
    with pytest.raises(errors.InvalidResponse, match="wasn't asked for"):
        asked(session, server.url)
    assert server.requests[0][1]["Accept-Encoding"] == "gzip"


def test_a_mistaken_label_is_no_encoding(serve, session, says):
    assert asked(session, serve(says(200, b"plain", Content_Encoding="UTF-8")).url).content == b"plain"


@pytest.mark.parametrize("status", [200, 204, 304])
def test_no_body_needs_no_unpacking(serve, session, says, status):
    assert asked(session, serve(says(status, b"", Content_Encoding="gzip")).url).content == b""


@pytest.mark.parametrize(
    "body", [gzip.compress(b"whole" * 100)[:-9], gzip.compress(b"whole")[:4]], ids=["half", "header only"]
)
def test_a_packed_answer_that_breaks_off_is_an_error_not_a_shorter_answer(serve, session, says, body):
    with pytest.raises(errors.InvalidResponse, match="breaks off"):
        asked(session, serve(says(200, body, Content_Encoding="gzip")).url)


@pytest.mark.parametrize(
    "body", [b"not packed at all", gzip.compress(b"whole")[:-8] + b"12345678"], ids=["plain", "wrong sum"]
)
def test_a_packed_answer_that_can_not_be_unpacked_is_an_error(serve, session, says, body):
    with pytest.raises(errors.InvalidResponse, match="can't be unpacked"):
        asked(session, serve(says(200, body, Content_Encoding="gzip")).url)


def test_unpacking_is_the_same_however_the_bytes_arrive():
    plain = random.Random(1815).randbytes(300_000) + bytes(300_000) + b"a" * 131_072
    packed = gzip.compress(plain[:65_536]) + gzip.compress(plain[65_536:]) + b"\0\0\0"
    for step in (1, 7, 1000, 65_536, len(packed)):
        chunks = [packed[at : at + step] for at in range(0, len(packed), step)]
        assert read_body(chunks, "gzip", size=len(plain), host="h") == plain


@pytest.mark.parametrize(
    "said",
    [
        HEAD + b"Content-Length: 10\r\n\r\nhalf",
        HEAD + CHUNKED + b"\r\n8\r\nhalf",
        HEAD + CHUNKED + b"\r\n4\r\nhalf\r\n",
        HEAD + b"Content-Length: 10\r\n",
        b"",
        b"HTTP/1.1 2",
    ],
    ids=["length", "in a chunk", "between chunks", "in headers", "at once", "in the status"],
)
def test_an_answer_that_breaks_off_is_an_error_not_a_shorter_answer(speak, session, said):
    with pytest.raises(errors.Unavailable):
        asked(session, speak(lambda: [said]))


@pytest.mark.parametrize(
    "said",
    [
        b"<html>no header</html>\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        HEAD + CHUNKED + b"\r\nnot hex\r\n",
        HEAD + CHUNKED + b"\r\n-5\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a:99999999/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: mailto:ada@example\r\n\r\n",
    ],
)
def test_what_is_no_http_is_an_error_of_the_server_and_no_other(speak, session, said):
    url = speak(lambda: [said])
    with pytest.raises(errors.ProviderError, match=url.split("/")[2]):
        asked(session, url)


def test_a_server_that_accepts_and_never_answers_times_out(session):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(requests.ReadTimeout):
            session(allow_private=True, limits=Limits(read=0.05)).get(url)
        with pytest.raises(errors.Unavailable, match=r"took more than 0\.05 s"):
            session(allow_private=True, limits=Limits(total=0.05)).get(url)


def test_all_requests_of_a_session_with_a_patience_share_it(serve, session, says):
    url = serve(says(200)).url
    with socket.create_server(("127.0.0.1", 0)) as silent:
        opened = session(allow_private=True, patience=0.3)
        opened.get(url)
        with pytest.raises(errors.Unavailable, match=r"took more than 0\.[12]\d* s"):
            opened.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(errors.Unavailable, match="took more than 0 s"):
            opened.get(url)


def test_each_request_has_the_whole_time(serve, session, says):
    server = serve(says(200, b"x" * 600_000))
    opened = session(allow_private=True, limits=Limits(size=600_000))
    for _ in range(4):
        assert len(opened.get(server.url).content) == 600_000


def test_a_connection_is_used_again(gateway, radicale, session):
    opened = session(allow_private=True)
    for _ in range(3):
        opened.request("PROPFIND", gateway.url, auth=(radicale.username.encode(), radicale.password.encode()))
    (pool,) = opened.get_adapter(gateway.url).poolmanager.pools._container.values()
    assert isinstance(pool, urllib3.HTTPConnectionPool)
    assert pool.num_connections == 1
