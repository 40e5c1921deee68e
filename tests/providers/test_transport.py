"""How requests are sent: bounded, guarded, without memory; and what statuses and headers mean."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address

import pytest
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers import addresses, errors, transport
from providers.addresses import Scope, is_public, registrable_domain
from providers.transport import Limits, leaf_for_status, open_session, redact, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def serve():
    """Start HTTP servers that answer GET as told, and stop them all."""
    servers = []

    def start(answer, context=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append((self.path, dict(self.headers)))
                answer(self)

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.requests = []
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def session():
    """Open sessions and close them all."""
    opened = []

    def start(**options):
        opened.append(open_session(**options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def says(status, body=b"", **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def without_end(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 1024)
    except OSError:
        handler.close_connection = True


def test_an_answer_without_end_is_cut_off_at_the_bound(serve, session):
    server = serve(without_end)
    with pytest.raises(errors.InvalidResponse, match="more than 100000 bytes"):
        session(allow_private=True, limits=Limits(size=100_000)).get(server.url)


def test_an_answer_that_takes_too_long_as_a_whole_is_cut_off(serve, session):
    server = serve(without_end)
    with pytest.raises(errors.Unavailable, match="took more than"):
        session(allow_private=True, limits=Limits(total=0.05, size=10**12)).get(server.url)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "100000"}, {"Transfer-Encoding": "chunked"}])
def test_an_answer_that_trickles_is_cut_off_long_before_its_end(serve, session, headers):
    hung_up = threading.Event()

    def trickle(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        try:
            while not hung_up.wait(0.02):
                handler.wfile.write(b"1\r\nx\r\n" if "Transfer-Encoding" in headers else b"x")
        except OSError:
            hung_up.set()

    server = serve(trickle)
    with pytest.raises(errors.Unavailable, match="took more than"):
        session(allow_private=True, limits=Limits(total=0.2)).get(server.url)
    hung_up.wait()


def test_a_compressed_answer_is_bounded_by_what_it_unpacks_to(serve, session):
    bomb = gzip.compress(bytes(5_000_000))
    server = serve(says(200, bomb, Content_Encoding="gzip"))
    assert len(bomb) < 10_000
    with pytest.raises(errors.InvalidResponse, match="more than 1000000 bytes"):
        session(allow_private=True, limits=Limits(size=1_000_000)).get(server.url)
    assert len(session(allow_private=True).get(server.url).content) == 5_000_000


@pytest.mark.parametrize("headers", [{"Content-Length": "10"}, {"Transfer-Encoding": "chunked"}])
def test_an_answer_that_breaks_off_is_an_error_not_a_shorter_answer(serve, session, headers):
    def breaks_off(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"8\r\nhalf" if "Transfer-Encoding" in headers else b"half")
        handler.close_connection = True

    with pytest.raises(urllib3.exceptions.HTTPError):
        session(allow_private=True).get(serve(breaks_off).url)


def test_a_server_that_never_answers_times_out(session):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(requests.ReadTimeout):
            session(allow_private=True, limits=Limits(read=0.05)).get(url)


def test_a_private_address_is_refused_without_a_connection(session):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(errors.Unavailable, match="allow_private"):
                session().get(f"http://{host}:{listening.getsockname()[1]}/")
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_name_that_resolves_differently_a_moment_later_gains_nothing(session, monkeypatch):
    asked = []

    def rebinding(host, port, *_args, **_options):
        asked.append(host)
        address = "192.0.2.1" if len(asked) > 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(errors.Unavailable, match=r"private address 127\.0\.0\.1"):
        session().get("http://rebind.example/")
    assert asked == ["rebind.example"]


def test_the_address_that_was_checked_is_the_one_connected_to(session, monkeypatch):
    connected = []

    def refuse(address, *_args, **_options):
        connected.append(address)
        raise ConnectionRefusedError

    resolved = [(2, 1, 6, "", (address, 80)) for address in ("10.0.0.7", "93.184.215.14", "93.184.215.15")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: resolved)
    monkeypatch.setattr(addresses.sockets, "create_connection", refuse)
    with pytest.raises(requests.ConnectionError):
        session().get("http://dav.example/")
    assert connected == [("93.184.215.14", 80), ("93.184.215.15", 80)]


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1"),
        *("224.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fe80::1", "fe80::1%eth0", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "not-an-address"),
    ],
)
def test_addresses_that_are_not_on_the_public_internet_are_known(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address):
    assert is_public(address)


def test_a_redirect_keeps_the_method_and_the_body_and_is_signed_again(gateway, session, answer, radicale):
    moved = answer(301, {"Location": "/ada%40example/"})
    gateway.rule = lambda seen: moved if seen.path == "/old" else None
    auth = requests.auth.HTTPBasicAuth(radicale.username.encode(), radicale.password.encode())
    found = session(allow_private=True, auth=auth).request(
        "PROPFIND", gateway.url + "old", data=b"", headers={"Depth": "0"}
    )
    assert found.status_code == 207
    assert [(seen.method, seen.path) for seen in gateway.seen] == [
        ("PROPFIND", "/old"),
        ("PROPFIND", "/ada%40example/"),
    ]


def test_a_redirect_to_another_host_is_not_followed_from_an_account(serve, session):
    elsewhere = serve(says(200))
    here = serve(says(302, Location=elsewhere.url))
    with pytest.raises(errors.InvalidResponse, match="redirects to"):
        session(allow_private=True, scope=Scope(here.url)).get(here.url)
    assert elsewhere.requests == []


def test_a_redirect_to_a_private_address_is_refused(serve, session, monkeypatch):
    inside = serve(says(200, b"secret"))
    outside = serve(says(302, Location=inside.url))
    port = outside.server_address[1]
    monkeypatch.setattr(addresses, "is_public", lambda _address: seen.append(1) or len(seen) == 1)
    seen = []
    with pytest.raises(errors.Unavailable, match="allow_private"):
        session().get(f"http://127.0.0.1:{port}/")
    assert inside.requests == []


def test_redirects_in_a_circle_end(serve, session):
    circle = serve(says(302, Location="/"))
    with pytest.raises(errors.InvalidResponse, match="more than 3 times"):
        session(allow_private=True, limits=Limits(redirects=3)).get(circle.url)
    assert len(circle.requests) == 4


def test_nothing_is_kept_between_requests_and_nothing_comes_from_the_environment(serve, session, monkeypatch, tmp_path):
    server = serve(says(200, Set_Cookie="session=stays"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    opened = session(allow_private=True)
    for _ in range(2):
        assert opened.get(server.url).status_code == 200
    assert all(not {"Cookie", "Authorization"} & headers.keys() for _, headers in server.requests)


def test_an_own_certificate_is_trusted_if_it_is_named_and_only_then(serve, session, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    server = serve(says(200, b"hello"), context)
    assert session(allow_private=True, ca_file=str(tmp_path / "cert.pem")).get(server.url).content == b"hello"
    with pytest.raises(requests.exceptions.SSLError):
        session(allow_private=True).get(server.url)


def _certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "home")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    builder = builder.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(public)
    (folder / "both.pem").write_bytes(private + public)
    return folder / "both.pem"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-5", None),
        ("soon", None),
        ("999999999", 86_400.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sunday, 22-Nov-26 12:00:10 GMT", 10.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (301, errors.InvalidResponse),
        (400, errors.Unsupported),
        (401, errors.GrantRevoked),
        (403, errors.PermissionDenied),
        (404, errors.NotFound),
        (409, errors.AlreadyExists),
        (410, errors.NotFound),
        (412, errors.ETagMismatch),
        (418, errors.Unsupported),
        (429, errors.RateLimited),
        (500, errors.Unavailable),
        (501, errors.Unsupported),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (507, errors.Unavailable),
    ],
)
def test_a_status_means_one_leaf(status, leaf):
    assert leaf_for_status(status) is leaf


def test_every_status_and_every_exception_means_a_leaf():
    leaves = {leaf_for_status(status) for status in range(300, 600)} | set(transport.LEAF_BY_EXCEPTION.values())
    assert all(
        issubclass(leaf, errors.ProviderError) and not leaf.__subclasses__()
        for leaf in leaves - {errors.InvalidResponse}
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://bob:hunter2@dav.example/cal", "https://dav.example/cal"),
        ("GET https://dav.example/x?token=abc failed", "GET https://dav.example/x?… failed"),
        ("Authorization: Basic YWRhOnNlY3JldA==\nDepth: 1", "Authorization: …\nDepth: 1"),
        ("got Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "got Bearer …"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_is_told_of_a_request_holds_no_secret(text, told):
    assert redact(text) == told


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("caldav.icloud.com", "icloud.com"),
        ("example.com", "example.com"),
        ("dav.example.co.uk", "example.co.uk"),
        ("example.com.au", "example.com.au"),
        ("me.com", "me.com"),
        ("ada.duckdns.org", "ada.duckdns.org"),
        ("DAV.Example.COM.", "example.com"),
        ("localhost", "localhost"),
    ],
)
def test_a_registrable_domain_is_what_one_owner_registers(host, domain):
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("home", "there", "covered"),
    [
        ("https://caldav.icloud.com/", "https://p42-caldav.icloud.com:443/1/", True),
        ("https://dav.example/", "https://dav.example:8443/", True),
        ("http://dav.example/", "https://dav.example/", True),
        ("https://dav.example/", "http://dav.example/", False),
        ("https://dav.example.com/", "https://evil.com/", False),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://a.duckdns.org/", "https://b.duckdns.org/", False),
        ("https://example.com/", "https://example.com.evil.net/", False),
        ("https://example.com/", "https://notexample.com/", False),
        ("http://127.0.0.1:5232/", "http://127.0.0.1:5232/x", True),
        ("http://127.0.0.1:5232/", "http://127.0.0.1:5233/", False),
        ("http://10.0.0.1/", "http://10.0.0.2/", False),
        ("http://localhost:1/", "http://localhost:2/", False),
        ("https://dav.example/", "ftp://dav.example/", False),
        ("https://dav.example/", "", False),
    ],
)
def test_a_credential_stays_with_its_owner(home, there, covered):
    assert Scope(home).covers(there) is covered
