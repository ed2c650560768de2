"""Addresses as they may be shown: whatever is or could be a password is left out."""

import re
from urllib.parse import urlsplit

# Up to the last @, for one of the password's own may stand raw; the scheme may be missing.
_USER_PASSWORD = re.compile(r"((?:://|^(?![\w+]+://))[^:/@?\s]*):\S*@")
_NO_PORT = re.compile(r"(://[^:/@?\s]*):(?!\d+(?:[/?,\s]|$))[^/?\s]*")  # a password whose host was forgotten
_IN_QUERY = re.compile(r"(\w*password=)[^&\s]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """Return an address, or a text that holds one, with every password left out."""
    text = _USER_PASSWORD.sub(r"\1@", text)
    return _IN_QUERY.sub(r"\1***", _NO_PORT.sub(r"\1:***", text))


def without_path(url: str) -> str:
    """Return scheme, host and port of an address of the web; with many receivers the rest of it is a key."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
