"""What the fake Google server's own tests share: the API by Google's client library, and plainly."""

from __future__ import annotations

import pytest
import requests
from fake_google_accounts import USUAL, client_of, grant_of
from googleapiclient.errors import HttpError

from providers.google.calls import service
from providers.google.failures import reasons
from providers.google.http import Http, open_google_session
from providers.google.oauth import tokens_of
from providers.google.permissions import WRITING_ALL


class Api:
    """The API by the client library, as someone who permitted these scopes."""

    def __init__(self, google, scopes):
        grant = grant_of(google, *scopes)
        tokens = tokens_of(client_of(google), grant)
        self.session = open_google_session()
        self.token = tokens.get(self.session, float("inf"))
        self.http = Http(self.session, lambda refused: tokens.get(self.session, float("inf"), refused))
        self.google, self.service = google, service(google.base)

    def __call__(self, method, *, headers=None, **asked):
        kind, _, name = method.partition(".")
        request = getattr(getattr(self.service, kind)(), name)(**asked)
        request.headers.update(headers or {})
        return request.execute(http=self.http)

    def plainly(self, http, path, **more):
        """Ask without the library, which would refuse some of it itself."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return requests.request(http, self.google.base + path, headers=headers, **more)

    def refused(self, method, **asked):
        """The status and the first reason of a refusal."""
        with pytest.raises(HttpError) as caught:
            self(method, **asked)
        return caught.value.status_code, reasons(caught.value.content)[0]


@pytest.fixture
def api_of(google):
    opened = []

    def start(*scopes):
        opened.append(Api(google, scopes or (*USUAL, WRITING_ALL)))
        return opened[-1]

    yield start
    for one in opened:
        one.session.close()


@pytest.fixture
def api(api_of):
    return api_of()


@pytest.fixture
def work(google):
    return google.make_calendar("Work", "Europe/Berlin")


@pytest.fixture
def listed(api, work):
    """All items of all pages, and the last page."""

    def listing(**asked):
        page = api("events.list", calendarId=work, **asked)
        items = page["items"]
        while "nextPageToken" in page:
            assert "nextSyncToken" not in page
            page = api("events.list", calendarId=work, pageToken=page["nextPageToken"], **asked)
            items += page["items"]
        return items, page

    return listing
