"""One address may call so often and no more; a valid key is not counted; behind a proxy each client counts alone."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from syncd.api.limits import Counts, client_address
from syncd.store import keys

FEED = "/v1/ada/intro/slots?start=2026-11-23&end=2026-11-29"


@pytest.fixture
def limited(house):
    """A house that answers an address three looks and two changes a minute."""
    return configured(house, rate_limits={"feed": "3/minute", "booking": "2/minute"})


def configured(house, *, rate_limits=None, trusted_proxies=()):
    config = house.services.config
    rates = config.server.rate_limits.model_copy(update=rate_limits or {})
    server = config.server.model_copy(update={"rate_limits": rates, "trusted_proxies": trusted_proxies})
    house.services.config = config.model_copy(update={"server": server})
    return house


def statuses(house, count: int, method: str = "GET", path: str = FEED, **more) -> list[int]:
    return [house.call(method, path, **more).status_code for _ in range(count)]


def test_too_many_looks_are_refused_until_the_minute_is_over(limited, problem_of):
    assert statuses(limited, 3) == [200, 200, 200]
    limited.clock.forward(seconds=20.5)
    refused = limited.get(FEED, headers={"Origin": "https://ada.example"})
    problem_of(refused, 429, "rate-limited")
    assert refused.headers["Retry-After"] == "40"
    assert refused.headers["Access-Control-Allow-Origin"] == "https://ada.example"
    limited.clock.forward(seconds=39)
    assert statuses(limited, 1) == [429]
    limited.clock.forward(seconds=1)
    assert statuses(limited, 4) == [200, 200, 200, 429]


def test_looks_and_changes_are_counted_apart(limited):
    assert statuses(limited, 3, "POST", "/v1/ada/intro/bookings", json={}) == [422, 422, 429]
    assert statuses(limited, 2) == [200, 200]
    assert statuses(limited, 2, "HEAD") == [200, 429]
    assert statuses(limited, 1, "DELETE", "/v1/ada/intro/bookings") == [429]


def test_what_has_not_changed_counts_too(limited):
    etag = limited.get(FEED).headers["ETag"]
    assert statuses(limited, 3, headers={"If-None-Match": etag}) == [304, 304, 429]


def test_a_valid_key_is_not_counted_and_a_wrong_one_is(limited):
    key = limited.key("slots:read")
    assert statuses(limited, 10, token=key) == [200] * 10
    assert statuses(limited, 4, token="syncd_guessed_1") == [401, 401, 401, 429]
    assert statuses(limited, 1) == [429]
    assert statuses(limited, 2, token=key) == [200, 200]


def test_wrong_keys_are_not_looked_up_for_an_address_that_has_sent_too_many(limited, monkeypatch):
    looked_up, find = [], keys.find_key
    monkeypatch.setattr(keys, "find_key", lambda *asked: looked_up.append(asked) or find(*asked))
    assert statuses(limited, 3, token="syncd_guessed_1") == [401] * 3
    before = len(looked_up)
    assert statuses(limited, 10, token="syncd_guessed_2") == [429] * 10
    assert len(looked_up) == before
    limited.clock.forward(seconds=61)
    assert statuses(limited, 1, token="syncd_guessed_2") == [401]


def test_a_key_not_seen_before_is_let_in_where_too_many_came_without_one(limited):
    assert statuses(limited, 4) == [200, 200, 200, 429]
    assert statuses(limited, 5, token=limited.key("slots:read")) == [200] * 5


def test_a_token_is_no_key(limited):
    assert statuses(limited, 4, token="bkt_whatever", path="/v1/bookings/bkg_1") == [401, 401, 401, 429]


def test_a_revoked_key_is_counted_within_a_minute(limited):
    key = limited.key("slots:read")
    assert statuses(limited, 4, token=key) == [200] * 4
    with limited.services.store.write() as session:
        session.connection().exec_driver_sql("UPDATE api_keys SET revoked_at = created_at")
    limited.clock.forward(seconds=61)
    assert statuses(limited, 4, token=key) == [401, 401, 401, 429]


def test_whether_the_daemon_is_alive_may_always_be_asked(limited):
    statuses(limited, 4)
    assert statuses(limited, 8, path="/healthz") == [200] * 8
    assert 429 not in statuses(limited, 8, path="/readyz")


def test_a_preflight_is_not_counted(limited):
    headers = {"Origin": "https://ada.example", "Access-Control-Request-Method": "POST"}
    asked = [limited.http.options(f"{limited.url}/v1/ada/intro/bookings", headers=headers) for _ in range(6)]
    assert [answer.status_code for answer in asked] == [200] * 6


def test_behind_a_trusted_proxy_each_client_counts_alone(house):
    configured(house, rate_limits={"feed": "2/minute"}, trusted_proxies=("127.0.0.0/8",))
    assert statuses(house, 3, headers={"X-Forwarded-For": "203.0.113.7"}) == [200, 200, 429]
    assert statuses(house, 3, headers={"X-Forwarded-For": "203.0.113.8"}) == [200, 200, 429]
    # What a client writes there itself stands to the left of what the proxy adds, and helps it nothing.
    assert statuses(house, 1, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}) == [429]


def test_without_a_trusted_proxy_the_header_means_nothing(house):
    configured(house, rate_limits={"feed": "2/minute"})
    seen = [house.get(FEED, headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(4)]
    assert seen == [200, 200, 429, 429]


PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7,10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["x" * 70_000], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("2001:db8:ffff::1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:9::9", [], "2001:db8:1:2::/64"),
        ("a socket's path", [], ""),
    ],
)
def test_the_address_is_the_first_that_no_trusted_proxy_stands_for(peer, forwarded, counted):
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    connection = HTTPConnection({"type": "http", "headers": headers, "client": (peer, 1)})
    assert client_address(connection, PROXIES) == counted


def test_only_so_many_addresses_are_remembered():
    now = 0.0
    counts = Counts(lambda: now, most=100)
    for number in range(1000):
        counts.incr(f"address {number}", 60)
    assert counts.reset() == 100


def test_a_window_begins_with_its_first_call():
    now = 100.0
    counts = Counts(lambda: now)
    assert [counts.incr("one", 60), counts.incr("one", 60)] == [1, 2]
    assert counts.get_expiry("one") == 160.0
    now = 160.0
    assert counts.get("one") == 0
    assert (counts.incr("one", 60), counts.get_expiry("one")) == (1, 220.0)
