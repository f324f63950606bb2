"""Following redirects where no browser does: Fetch §4.4 "HTTP-redirect fetch". Pure."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from pynet_browser.http.request import Request, absolute

__all__ = ["REDIRECTS_MAX", "redirected"]

REDIRECTS_MAX = 20

STATUSES = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)

BODY_HEADERS = ("content-encoding", "content-language", "content-length", "content-location", "content-type")
CREDENTIALS = ("authorization", "cookie", "host")
"""Headers that are for one server alone."""


def redirected(request: Request, status: int, location: str | None) -> Request | None:
    """What to ask for next; None where an answer is no redirect.

    Raises:
        ValueError: it leads to no http or https address.
    """
    if status not in STATUSES or location is None:
        return None
    following = replace(request, url=absolute(location, request.url))
    if _becomes_get(request.method, status):
        following = replace(following, method="GET", body=None).without(BODY_HEADERS)
    return following if following.origin == request.origin else following.without(CREDENTIALS)


def _becomes_get(method: str, status: int) -> bool:
    if status == HTTPStatus.SEE_OTHER:
        return method not in ("GET", "HEAD")
    return method == "POST" and status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND)
