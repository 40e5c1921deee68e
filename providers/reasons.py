"""Why a server couldn't be asked, in one sentence for the person who can mend it.

Decides which of the many causes below a failed request is told. Refuses to know what was asked, and tells nothing of
an answer's content.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterator

from requests import exceptions as http
from urllib3 import exceptions as wire
from urllib3.util.ssl_match_hostname import CertificateError

_EXPIRED, _NOT_YET, _OWN, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 18, 62, 64  # OpenSSL's X509_V_ERR_…


def reason(error: Exception, host: str) -> str | None:
    """Return why `host` couldn't be asked; None if the error doesn't tell."""
    found = list(_below(error))
    for kind, sentence in _SENTENCES:
        for cause in found:
            if isinstance(cause, kind) and (told := sentence(cause)):
                return told.format(host=host, name=host.rpartition(":")[0] or host)
    return None


def _below(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it came from; urllib3 and requests keep causes in three places."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting += [other for other in kept if isinstance(other, BaseException)]


def _of_certificate(error: BaseException) -> str:
    code = getattr(error, "verify_code", None)
    if code in (_OTHER_HOST, _OTHER_ADDRESS) or isinstance(error, CertificateError):
        return "the certificate of {host} is for another host: {name} isn't in it"
    if code == _EXPIRED:
        return "the certificate of {host} has expired: its owner must renew it"
    if code == _NOT_YET:
        return "the certificate of {host} isn't valid yet: is this machine's clock right?"
    who = "is signed by itself" if code == _OWN else "can't be verified"
    return f"the certificate of {{host}} {who}: if that is meant so, name it in ca_file"


def _of_tls(error: BaseException) -> str:
    said = str(getattr(error, "reason", "") or "")
    if said in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "{host} doesn't speak TLS on this port: is the port right?"
    return "no encrypted connection to {host} comes about: is the port right, or is it http:// that it speaks?"


def _of_name(error: BaseException) -> str:
    if error.args[:1] == (socket.EAI_AGAIN,):
        return "{host} can't be reached: names can't be resolved at the moment"
    return "{host} can't be reached: there is no host of that name, is it spelt right?"


def _of_socket(error: BaseException) -> str:
    if getattr(error, "errno", None) in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "{host} can't be reached: no network leads there"
    return ""


def _of_connecting(error: BaseException) -> str:
    # urllib3 calls every failure to connect a time-out
    return "" if isinstance(error, wire.NewConnectionError) else "{host} can't be reached: it doesn't answer in time"


_SENTENCES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[BaseException], str]], ...] = (
    ((ssl.SSLCertVerificationError, CertificateError), _of_certificate),
    (socket.gaierror, _of_name),
    (ConnectionRefusedError, lambda _: "{host} can't be reached: it refuses connections to this port"),
    (OSError, _of_socket),
    (ssl.SSLError, _of_tls),
    ((wire.ConnectTimeoutError, http.ConnectTimeout), _of_connecting),
    ((TimeoutError, wire.ReadTimeoutError), lambda _: "{host} took the connection and doesn't answer in time"),
    ((ConnectionError, wire.ProtocolError), lambda _: "{host} can't be reached: it breaks the connection off"),
)
