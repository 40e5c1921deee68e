"""Connecting a Google account over HTTP: a key's holder begins, a person consents at Google, and comes back."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import select

from providers import open_provider
from providers.google.permissions import FREE_BUSY, LISTING, READING, WRITING_ALL, WRITING_OWN, Grant
from syncd.config import Google
from syncd.config.fields import EnvSecret
from syncd.management import connecting, signing_in
from syncd.services import say_farewells
from syncd.store.access import access_of
from syncd.store.models import Account, Farewell, SignIn

ACCOUNTS = "/v1/freelancers/grace/accounts"
BACK = "https://book.example/oauth/google/callback"


@pytest.fixture
def google(google):
    """A fake Google where Ada has a calendar called Work besides her own."""
    google.oauth.redirects.add(BACK)
    google.make_calendar("Work")
    return google


class Web:
    """Grace's account at a marketplace that uses syncd, and her browser."""

    def __init__(self, house, google):
        self.house, self.google = house, google
        house.services.open_provider = open_provider
        self.endpoints = dict(google.endpoints)
        secret = EnvSecret("GOOGLE_CLIENT_SECRET", SecretStr(self.endpoints.pop("client_secret")))
        table = Google.model_construct(client_secret_env=secret, **self.endpoints)
        house.services.config = house.services.config.model_copy(update={"google": table})
        self.key = house.key("manage", freelancer=None)
        body = {"handle": "grace", "time_zone": "UTC", "email": "grace@example.org"}
        assert house.post("/v1/freelancers", body, token=self.key).status_code == 201

    def begin(self, **more):
        answer = self.house.post(ACCOUNTS, {"provider": "google"} | more, token=self.key)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def consent(self, begun):
        """What the person's browser is sent back with."""
        answer = requests.get(begun["authorize_url"], allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text
        assert answer.headers["Location"].startswith(BACK)
        return urlsplit(answer.headers["Location"]).query

    def come_back(self, query):
        return requests.get(f"{self.house.url}/oauth/google/callback?{query}", allow_redirects=False, timeout=30)

    def connect(self, **more):
        return self.come_back(self.consent(self.begin(**more)))

    def accounts(self):
        return self.house.get(ACCOUNTS, token=self.key).json()["data"]

    def account(self):
        (found,) = self.accounts()
        return found

    def grant(self):
        with self.house.services.store.read() as session:
            row = session.scalars(select(Account).where(Account.provider == "google")).one()
            return Grant.read(access_of(row, self.house.services.vault).secret)

    def rows(self, model):
        with self.house.services.store.read() as session:
            return session.scalars(select(model)).all()

    def refused(self, answer, status, words):
        """A page says why, and nothing was stored or changed."""
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert words in unescape(answer.text), answer.text
        assert not self.rows(SignIn)


@pytest.fixture
def web(house, google):
    return Web(house, google)


def asked(begun):
    return {name: values[0] for name, values in parse_qs(urlsplit(begun["authorize_url"]).query).items()}


def test_an_account_is_there_once_its_owner_has_consented(web, google):
    begun = web.begin(name="work")
    assert web.accounts() == []
    assert {one["scope"] for one in begun["scopes"]} == {LISTING, READING}
    assert all(one["purpose"].startswith("to ") for one in begun["scopes"])
    page = web.come_back(web.consent(begun))
    assert (page.status_code, "The account work is connected, with 2 calendars" in page.text) == (200, True)
    made = web.account()
    assert (made["name"], made["provider"], made["username"], made["state"]) == (
        "work",
        "google",
        "ada@example.com",
        "ok",
    )
    assert {c["name"]: c["blocks"] for c in made["calendars"]} == {"ada@example.com": True, "Work": True}
    assert web.grant().scopes == {LISTING, READING}


def test_the_page_says_whom_the_calendars_were_given_to(web):
    answer = web.house.call("PATCH", "/v1/freelancers/grace", token=web.key, json={"name": "Grace Hopper"})
    assert answer.status_code == 200, answer.text
    told = unescape(web.connect(name="work").text)
    here = web.house.services.config.public_url(web.house.services.port)
    assert f"ada@example.com's calendars are now used by Grace Hopper (grace) at {here} (account work)." in told
    assert "remove the permission at https://myaccount.google.com/permissions" in told


def test_a_calendar_that_is_chosen_and_missing_is_named(web, google):
    web.connect(blocks=["Work"])
    with web.house.services.store.write() as session:
        session.scalars(select(Account).where(Account.provider == "google")).one().blocks = ["Work", "Gone"]
    page = web.connect()
    assert (page.status_code, "There is no calendar 'Gone'" in unescape(page.text)) == (200, True)


def test_a_browser_that_looks_ahead_ends_no_sign_in(web):
    query = web.consent(web.begin())
    assert requests.head(f"{web.house.url}/oauth/google/callback?{query}", timeout=30).status_code == 405
    assert web.come_back(query).status_code == 200


def test_a_sign_in_waits_for_room(web):
    query, held = web.consent(web.begin()), []
    while connecting._room.acquire(blocking=False):
        held.append(1)
    page = web.come_back(query)
    for _ in held:
        connecting._room.release()
    assert (page.status_code, "load this page again" in page.text) == (429, True)
    assert web.come_back(query).status_code == 200


def test_the_log_names_no_calendar(web, capfd):
    page = web.connect(blocks=["Secret meetings"])
    assert "Secret meetings" in unescape(page.text)
    told = "".join(capfd.readouterr())
    assert "Secret meetings" not in told
    assert "Work" not in told


def test_the_page_loads_nothing_and_tells_nobody_where_it_was(web):
    page = web.connect()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert not re.search(r"src=|href=|<script", page.text)


def test_neither_tokens_nor_states_are_kept_or_told_in_the_clear(web, google, capfd):
    begun = web.begin()
    query = web.consent(begun)
    secrets = [parse_qs(query)["state"][0], parse_qs(query)["code"][0]]
    page = web.come_back(query)
    secrets += list(google.oauth.lasting)
    web.come_back(query)
    web.come_back(f"state={parse_qs(urlsplit(web.begin()['authorize_url']).query)['state'][0]}&code={secrets[1]}")
    path = web.house.services.config.database_url.removeprefix("sqlite:///")
    kept = b"".join(Path(f"{path}{end}").read_bytes() for end in ("", "-wal"))
    shown = page.text + json.dumps(web.accounts()) + "".join(capfd.readouterr())
    assert len(secrets) == 3
    assert not [one for one in secrets if one.encode() in kept or one in shown]


def test_a_target_that_is_wanted_is_asked_for_along_with_the_rest(web, google):
    begun = web.begin(target="Work", blocks=["ada@example.com"])
    assert {one["scope"] for one in begun["scopes"]} == {LISTING, READING, WRITING_OWN}
    assert web.come_back(web.consent(begun)).status_code == 200
    chosen = {c["name"]: (c["blocks"], c["target"]) for c in web.account()["calendars"]}
    assert chosen == {"ada@example.com": (True, False), "Work": (False, True)}


def test_what_the_chosen_calendars_need_besides_is_asked_for_once_more(web, google):
    google.make_calendar("Team", role="writer")
    google.make_calendar("Boss", role="freeBusyReader")
    again = web.connect(target="Team", blocks=["Work", "Boss"])
    assert again.status_code == 303
    question = asked({"authorize_url": again.headers["Location"]})
    assert set(question["scope"].split()) == {LISTING, READING, WRITING_OWN, FREE_BUSY, WRITING_ALL}
    assert (question["login_hint"], question["include_granted_scopes"]) == ("ada@example.com", "true")
    assert web.accounts() == []
    page = web.come_back(web.consent({"authorize_url": again.headers["Location"]}))
    assert page.status_code == 200, page.text
    assert web.account()["target"] == "Team"
    assert not web.grant().lacks({FREE_BUSY, WRITING_ALL})


def test_a_box_left_unticked_twice_is_told_and_nothing_is_stored(web, google):
    google.make_calendar("Boss", role="freeBusyReader")
    google.oauth.grants_only = frozenset({LISTING, READING})
    again = web.connect(blocks=["Boss"])
    page = web.come_back(web.consent({"authorize_url": again.headers["Location"]}))
    web.refused(page, 403, "that others share with you without details")
    assert web.accounts() == []
    assert not google.oauth.permissions, "what nobody keeps was given back"


def test_a_second_question_that_is_refused_gives_the_first_answer_back(web, google):
    google.make_calendar("Boss", role="freeBusyReader")
    again = web.connect(blocks=["Boss"])
    google.oauth.denies = True
    web.refused(web.come_back(web.consent({"authorize_url": again.headers["Location"]})), 403, "was refused")
    assert say_farewells(web.house.services) == 0
    assert google.oauth.permissions == {}


def test_a_second_question_that_nobody_answers_gives_the_first_answer_back(web, google):
    google.make_calendar("Boss", role="freeBusyReader")
    assert web.connect(blocks=["Boss"]).status_code == 303
    assert say_farewells(web.house.services) == 1
    assert google.oauth.permissions
    web.house.clock.forward(minutes=12)
    assert say_farewells(web.house.services) == 0
    assert google.oauth.permissions == {}


@pytest.mark.parametrize("missing", [LISTING, READING])
def test_a_permission_without_which_nothing_works_is_named_with_its_purpose(web, google, missing):
    google.oauth.grants_only = frozenset({LISTING, READING}) - {missing}
    purpose = {LISTING: "to list your calendars", READING: "to see when you are busy"}[missing]
    web.refused(web.connect(), 403, purpose)
    assert web.accounts() == []
    assert google.oauth.permissions == {}


def test_a_permission_of_nobody_knows_whom_is_left_where_accounts_live(web, google):
    web.connect()
    google.oauth.user = "bob@example.com"
    google.oauth.grants_only = frozenset({READING})
    web.refused(web.connect(name="bob"), 403, "remove it at https://myaccount.google.com/permissions")
    assert {user for user, _ in google.oauth.permissions} == {"ada@example.com", "bob@example.com"}


def test_a_state_that_nobody_was_given_opens_nothing(web, google):
    query = web.consent(web.begin())
    wrong = web.come_back(re.sub(r"state=[^&]+", "state=" + "x" * 43, query))
    assert (wrong.status_code, "isn't known" in unescape(wrong.text)) == (404, True)
    assert web.come_back("code=4/abc").status_code == 404
    google.oauth.other_state = True
    assert web.connect().status_code == 404
    assert web.accounts() == []


def test_an_answer_counts_once(web, google):
    query = web.consent(web.begin())
    assert web.come_back(query).status_code == 200
    web.refused(web.come_back(query), 404, "no longer")
    assert len(web.accounts()) == 1
    assert "if it was connected a moment ago, you can close this window" in unescape(web.come_back(query).text)


def test_an_answer_that_comes_twice_at_once_counts_once(web, google):
    query, found = web.consent(web.begin()), []
    threads = [threading.Thread(target=lambda: found.append(web.come_back(query).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 404, 404, 404]


def test_a_sign_in_lasts_ten_minutes(web):
    begun = web.begin()
    query = web.consent(begun)
    web.house.clock.forward(minutes=10)
    answer = web.come_back(query)
    assert (answer.status_code, web.accounts()) == (404, [])


def test_a_person_who_refuses_is_believed(web, google):
    google.oauth.denies = True
    web.refused(web.connect(), 403, "Permission was refused at Google")
    assert web.accounts() == []


@pytest.mark.parametrize(
    ("query", "words"),
    [("error=admin_policy_enforced", "administrator"), ("error=<script>", "an error"), ("", "an error")],
)
def test_an_answer_without_a_code_is_told_in_words_of_ours(web, query, words):
    state = asked(web.begin())["state"]
    page = web.come_back(f"state={state}&{query}")
    web.refused(page, 403, words)
    assert "<script" not in page.text


def test_a_code_that_google_does_not_take_changes_nothing(web):
    state = asked(web.begin())["state"]
    web.refused(web.come_back(f"state={state}&code=4/made-up"), 403, "begin again")
    assert web.accounts() == []


def test_google_failing_in_the_middle_changes_nothing(web, google, monkeypatch):
    monkeypatch.setattr(signing_in, "PATIENCE", 1.0)  # seconds, which it is tried again in
    google.fail(kind="refuse", count=99, method="calendarList.list")
    web.refused(web.connect(), 502, "503")
    assert web.accounts() == []
    assert google.oauth.permissions == {}


def test_google_that_does_not_answer_is_not_waited_for_long(web, google, monkeypatch):
    query = web.consent(web.begin())
    monkeypatch.setattr(signing_in, "PATIENCE", 0.2)
    with google.lock:
        answer = web.come_back(query)
    web.refused(answer, 502, "")
    assert web.accounts() == []


def test_another_user_is_refused_and_nothing_is_changed(web, google):
    assert web.connect(name="work", blocks=["Work"]).status_code == 200
    before, grant = web.account(), web.grant()
    google.oauth.user = "bob@example.com"
    page = web.connect(name="work")
    web.refused(page, 409, "ada@example.com's, and bob@example.com has signed in")
    assert (web.account(), web.grant()) == (before, grant)
    assert {user for user, _ in google.oauth.permissions} == {"ada@example.com"}, "Bob's was given back"


def test_the_same_user_reconnects_and_keeps_calendars_and_choices(web, google):
    assert web.connect(name="work", blocks=["Work"], tentative="free", sync_every_seconds=60).status_code == 200
    ids, old = {c["name"]: c["id"] for c in web.account()["calendars"]}, web.grant()
    with web.house.services.store.write() as session:
        row = session.scalars(select(Account).where(Account.provider == "google")).one()
        row.state, row.problem, row.username = "needs_reconnect", "revoked", "Ada@example.com"
        row.calendars[0].sync_token = "kept"
    google.revoke()
    begun = web.begin(name="work")
    assert asked(begun)["login_hint"] == "Ada@example.com"
    assert web.come_back(web.consent(begun)).status_code == 200
    made = web.account()
    assert {c["name"]: c["id"] for c in made["calendars"]} == ids
    assert (made["blocks"], made["tentative"], made["sync_every_seconds"]) == (["Work"], "free", 60)
    assert (made["state"], made["problem"]) == ("ok", None)
    assert web.grant().refresh_token != old.refresh_token
    with web.house.services.store.read() as session:
        row = session.scalars(select(Account).where(Account.provider == "google")).one()
        assert [c.sync_token for c in row.calendars].count("kept") == 1


def test_two_sign_ins_at_once_end_as_one_account(web, google):
    first, second = web.begin(), web.begin()
    assert web.come_back(web.consent(second)).status_code == 200
    assert web.come_back(web.consent(first)).status_code == 200
    assert len(web.accounts()) == 1
    third = web.begin(name="other")
    google.oauth.user = "bob@example.com"
    assert web.come_back(web.consent(third)).status_code == 200
    assert [a["username"] for a in web.accounts()] == ["ada@example.com", "bob@example.com"]


def test_a_key_of_another_freelancer_begins_nothing(web, problem_of):
    key = web.house.key("manage", freelancer="ada")
    problem_of(web.house.post(ACCOUNTS, {"provider": "google"}, token=key), 404, "not-found")
    problem_of(web.house.post(ACCOUNTS, {"provider": "google"}), 401, "unauthorized")
    reader = web.house.key("bookings:read", freelancer="grace")
    problem_of(web.house.post(ACCOUNTS, {"provider": "google"}, token=reader), 403, "forbidden")
    assert not web.rows(SignIn)


def test_a_sign_in_ends_with_the_key_it_was_begun_with(web):
    made = web.house.post("/v1/freelancers/grace/keys", {"scopes": ["manage"]}, token=web.key).json()
    begun = web.house.post(ACCOUNTS, {"provider": "google"}, token=made["key"]).json()
    query = web.consent(begun)
    web.house.call("DELETE", f"/v1/freelancers/grace/keys/{made['id']}", token=web.key)
    web.refused(web.come_back(query), 403, "may no longer")
    assert web.accounts() == []


def test_what_a_google_account_has_not_is_refused_by_its_member(web, problem_of):
    def told(answer):
        return [e["pointer"] for e in problem_of(answer, 422, "invalid-request")["errors"]]

    for member, value in (("url", "https://x.example/"), ("username", "ada"), ("password", "secret")):
        assert told(web.house.post(ACCOUNTS, {"provider": "google", member: value}, token=web.key)) == [f"/{member}"]
    web.connect()
    path = f"{ACCOUNTS}/{web.account()['id']}"
    for member, value in (("url", "https://x.example/"), ("username", "bob"), ("password", "secret")):
        assert told(web.house.call("PATCH", path, token=web.key, json={member: value})) == [f"/{member}"]
    assert web.house.call("PATCH", path, token=web.key, json={"tentative": "free"}).status_code == 200


def test_a_name_that_another_kind_of_account_has_is_refused(web, problem_of):
    key = web.house.key("manage", freelancer=None)
    answer = web.house.post("/v1/freelancers/ada/accounts", {"provider": "google", "name": "home"}, token=key)
    problem_of(answer, 403, "read-only")


def test_where_google_is_not_set_up_the_caller_is_told(web, problem_of):
    services = web.house.services
    services.config = services.config.model_copy(update={"google": None})
    answer = web.house.post(ACCOUNTS, {"provider": "google"}, token=web.key)
    assert "isn't set up here" in problem_of(answer, 422, "invalid-request")["detail"]


def test_what_comes_too_late_is_unwanted():
    go, ended, unwanted = threading.Event(), threading.Event(), []

    def forget(made):
        unwanted.append(made)
        ended.set()

    with pytest.raises(TimeoutError):
        connecting.within(0.01, lambda: go.wait() and "made", forget)
    go.set()
    ended.wait()
    assert unwanted == ["made"]


def test_an_idempotency_key_begins_one_sign_in(web):
    headers = {"Idempotency-Key": "one"}
    first, again = (web.house.post(ACCOUNTS, {"provider": "google"}, token=web.key, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(web.rows(SignIn)) == 1


def test_only_so_many_sign_ins_are_open_at_a_time(web):
    first = web.begin()
    for _ in range(20):
        web.house.clock.forward(seconds=1)
        web.begin()
    assert len(web.rows(SignIn)) == 20
    assert web.come_back(web.consent(first)).status_code == 404


def test_disconnecting_gives_the_permission_back(web, google):
    web.connect()
    path = f"{ACCOUNTS}/{web.account()['id']}"
    assert google.oauth.permissions
    assert web.house.call("DELETE", path, token=web.key).status_code == 200
    assert [row.provider for row in web.rows(Farewell)] == ["google"]
    assert say_farewells(web.house.services) == 0
    assert (google.oauth.permissions, web.rows(Farewell)) == ({}, [])


def test_an_account_that_left_the_file_can_be_disconnected(web, google):
    web.connect()
    path = f"{ACCOUNTS}/{web.account()['id']}"
    with web.house.services.store.write() as session:
        session.scalars(select(Account).where(Account.provider == "google")).one().active = False
    assert web.house.get(path, token=web.key).status_code == 404
    assert web.house.call("DELETE", path, token=web.key).status_code == 200
    assert say_farewells(web.house.services) == 0
    assert google.oauth.permissions == {}
    assert web.house.call("DELETE", path, token=web.key).status_code == 404


def test_a_permission_that_another_account_lives_by_stays(web, google):
    web.connect(name="one")
    web.connect(name="two")
    one = next(a for a in web.accounts() if a["name"] == "one")
    web.house.call("DELETE", f"{ACCOUNTS}/{one['id']}", token=web.key)
    assert say_farewells(web.house.services) == 0
    assert google.oauth.permissions
    assert not web.rows(Farewell)


def test_an_account_that_is_connected_anew_meanwhile_keeps_its_new_permission(web, google):
    web.connect()
    web.house.call("DELETE", f"{ACCOUNTS}/{web.account()['id']}", token=web.key)
    web.connect()
    assert say_farewells(web.house.services) == 0
    assert google.oauth.permissions
    assert web.account()["state"] == "ok"


def test_another_google_user_may_follow_one_that_was_disconnected(web, google):
    web.connect()
    web.house.call("DELETE", f"{ACCOUNTS}/{web.account()['id']}", token=web.key)
    google.oauth.user = "bob@example.com"
    google.make_calendar("Private")
    assert web.connect().status_code == 200
    assert web.account()["username"] == "bob@example.com"
    assert {c["name"] for c in web.account()["calendars"]} == {"bob@example.com", "Private"}


def test_the_callback_is_counted_per_address(web):
    services = web.house.services
    limits = services.config.server.rate_limits.model_copy(update={"booking": "3/minute"})
    server = services.config.server.model_copy(update={"rate_limits": limits})
    services.config = services.config.model_copy(update={"server": server})
    assert [web.come_back("state=guessed&code=x").status_code for _ in range(4)] == [404, 404, 404, 429]
    web.house.clock.now += timedelta(minutes=2)
    assert web.come_back("state=guessed&code=x").status_code == 404
