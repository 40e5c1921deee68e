"""Certificates: which are trusted, and what is said of one that isn't."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers import errors
from providers.addresses import Scope
from providers.caldav.credentials import Credentials
from providers.caldav.failures import translated
from providers.model import Connection
from providers.transport import Limits

LOOPBACK = x509.IPAddress(IPv4Address("127.0.0.1"))
DAY = timedelta(days=1)


class Authority:
    """A throwaway certificate authority in a folder."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("A throwaway authority")
        self._certificate = self._signed(self._name, self._key, [], since=-30 * DAY, until=30 * DAY, ca=True)
        self.file = str(folder / "ca.pem")
        (folder / "ca.pem").write_bytes(_pem(self._certificate))

    def context(self, *alternatives, since=-DAY, until=DAY, own=False):
        """Return the TLS context of a server whose certificate names `alternatives`; `own`: signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("A server")
        certificate = self._signed(name, key, alternatives, since=since, until=until, by=(name, key) if own else None)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / "server.pem").write_bytes(private + _pem(certificate))
        (self._folder / "own.pem").write_bytes(_pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem")
        return context

    def _signed(self, name, key, alternatives, *, since, until, by=None, ca=False):
        issuer, signing = by or (self._name, self._key)
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now + since).not_valid_after(now + until)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        whose = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
        builder = builder.add_extension(whose, critical=False)
        if ca:
            builder = builder.add_extension(_USAGE_OF_AN_AUTHORITY, critical=True)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(signing, hashes.SHA256())


_USAGE_OF_AN_AUTHORITY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def asked(session):
    """Ask a server and return what it says, or what is told of the failure."""

    def ask(url, ca_file=""):
        with translated(url):
            return session(allow_private=True, ca_file=ca_file, scope=Scope(url)).get(url).content

    return ask


def test_a_certificate_of_an_own_authority_is_trusted_if_that_is_named_and_only_then(serve, says, asked, authority):
    server = serve(says(200, b"hello"), authority.context(LOOPBACK))
    assert asked(server.url, authority.file) == b"hello"
    with pytest.raises(errors.Unavailable, match=r"certificate of 127\.0\.0\.1:\d+ .* name it in ca_file"):
        asked(server.url)
    assert len(server.requests) == 1


def test_a_certificate_signed_by_itself_is_trusted_if_it_is_named_and_only_then(
    serve, says, asked, authority, tmp_path
):
    server = serve(says(200, b"hello"), authority.context(LOOPBACK, own=True))
    assert asked(server.url, str(tmp_path / "own.pem")) == b"hello"
    for ca_file in ("", authority.file):
        with pytest.raises(errors.Unavailable, match=r"signed by itself.* name it in ca_file"):
            asked(server.url, ca_file)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("alternatives", "validity", "told"),
    [
        ([x509.DNSName("dav.example")], {}, r"is for another host: 127\.0\.0\.1 isn't in it"),
        ([], {}, "is for another host"),
        ([LOOPBACK], {"since": -2 * DAY, "until": -DAY}, "has expired"),
        ([LOOPBACK], {"since": DAY, "until": 2 * DAY}, "isn't valid yet.* clock"),
    ],
    ids=["another host", "no name", "expired", "not yet"],
)
def test_what_is_wrong_with_a_certificate_is_told(serve, says, asked, authority, alternatives, validity, told):
    server = serve(says(200, b"hello"), authority.context(*alternatives, **validity))
    with pytest.raises(errors.Unavailable, match=told) as caught:
        asked(server.url, authority.file)
    assert "ca_file" not in str(caught.value)
    assert server.requests == []


def test_a_server_without_encryption_is_told_from_one_with_a_bad_certificate(serve, says, asked):
    server = serve(says(200))
    with pytest.raises(errors.Unavailable, match="doesn't speak TLS on this port") as caught:
        asked(server.url.replace("http:", "https:"))
    assert "ca_file" not in str(caught.value)


def test_a_server_that_never_finishes_its_greeting_is_left(session):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(errors.Unavailable, match="in time"), translated(url):
            session(allow_private=True, limits=Limits(connect=0.05)).get(url)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't be read: No such file"),
        (b"", "holds no certificate in PEM form"),
        (b"hello", "holds no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate in PEM form"),
    ],
)
def test_a_file_that_holds_no_certificate_is_named(serve, says, open_caldav, authority, tmp_path, content, told):
    server = serve(says(200), authority.context(LOOPBACK))
    file = tmp_path / "mistaken.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.Unavailable, match=f"ca_file {file} {told}"):
        open_caldav(url=server.url, ca_file=str(file)).list_calendars()
    assert server.requests == []


def test_a_folder_is_no_file_of_certificates(serve, says, asked, authority, tmp_path):
    server = serve(says(200), authority.context(LOOPBACK))
    with pytest.raises(errors.Unavailable):
        asked(server.url, str(tmp_path))
    assert server.requests == []


def test_a_redirect_never_leads_away_from_encryption(serve, says, session, authority):
    plain = serve(says(200, b"hello"))
    secure = serve(says(302, Location=plain.url), authority.context(LOOPBACK))
    with pytest.raises(errors.InvalidResponse, match="redirects from https to http: not followed"):
        session(allow_private=True, ca_file=authority.file).get(secure.url)
    assert plain.requests == []


def test_a_redirect_may_lead_to_encryption(serve, says, session, authority):
    secure = serve(says(200, b"hello"), authority.context(LOOPBACK))
    plain = serve(says(302, Location=secure.url))
    assert session(allow_private=True, ca_file=authority.file).get(plain.url).content == b"hello"


@pytest.mark.parametrize("unasked", [True, False])
def test_behind_a_redirect_to_encryption_the_password_is_told(serve, says, session, authority, unasked):
    def asks(handler):
        known = "Authorization" in handler.headers
        says(200, b"hello")(handler) if known else says(401, WWW_Authenticate='Basic realm="dav"')(handler)

    secure = serve(asks, authority.context(LOOPBACK))
    plain = serve(says(302, Location=secure.url))
    account = Connection(plain.url, "ada", "secret")
    auth = Credentials(account, _Anywhere(plain.url), unasked=unasked)
    opened = session(allow_private=True, ca_file=authority.file, auth=auth, scope=_Anywhere(plain.url))
    for _ in range(2):
        assert opened.get(plain.url).content == b"hello"
    assert [headers.get("Authorization") for _, headers in plain.requests] == [None, None]


class _Anywhere(Scope):
    """As if all ports of this machine were hosts of one domain."""

    def covers(self, url):
        return bool(url)
