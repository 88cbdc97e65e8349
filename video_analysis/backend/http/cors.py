"""What pages of other origins may send and read, where an operator allows any.

There are no cookies, so that a page can do nothing with somebody's account without a token of it.
"""

from video_analysis.backend.http.requests import HEADER
from video_analysis.backend.uploads.tus import EXPOSED as TUS_EXPOSED

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-API-Key",
    "X-HTTP-Method-Override",
    "X-Requested-With",
    HEADER,
)

EXPOSED = (
    *TUS_EXPOSED,
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Retry-After",
    "WWW-Authenticate",
    HEADER,
)
