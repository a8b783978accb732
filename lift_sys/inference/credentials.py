"""What is secret on the way to a server: whether it can be sent, and that it is never said.

Owns the one rule by which secrets leave a text, and what a key and the credentials of a URL may be.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import unquote, unquote_to_bytes

from lift_sys.errors import ConfigError

_HIDDEN = "***"
_SHORT = 8  # characters below which a secret may be a part of innocent words
_USERINFO = re.compile(r"//([^/\s]*)@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+(?=\S*\d)\S+", re.I)


def secrets_in(url: str) -> tuple[str, ...]:
    """Return what the credentials of a URL are, in each form in which they may be repeated."""
    found = _USERINFO.search(url)
    if found is None:
        return ()
    name, _, password = found[1].partition(":")
    sent = basic(found[1].encode()).removeprefix("Basic ")
    made = (found[1], unquote(found[1]), sent, name, unquote(name), password, unquote(password))
    return tuple(filter(None, dict.fromkeys(made)))


def basic(userinfo: bytes) -> str:
    """Return the header ``authorization`` that carries the credentials of a URL."""
    return f"Basic {b64encode(unquote_to_bytes(userinfo)).decode('ascii')}"


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without some secrets, credentials in URLs, and what looks like a sent key."""
    text = _USERINFO.sub("//", text)
    for secret in sorted(secrets, key=len, reverse=True):
        whole = rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < _SHORT else re.escape(secret)
        text = re.sub(whole, _HIDDEN, text)
    return _AUTHORIZATION.sub(rf"\1 {_HIDDEN}", text)


def check_key(key: str, service: str, name: str) -> None:
    """Check that a header can carry a key.

    Args:
        key: As it is set.
        service: Whose key it is, for a person.
        name: Environment variable that it is set in; empty where that is not known.

    Raises:
        ConfigError: It cannot.
    """
    if not key.isascii() or not key.isprintable() or key != key.strip():
        where = name or "the environment"
        msg = f"the key of {service} in {where} has characters that no key has; correct it"
        raise ConfigError(msg)


def refuse_two(service: str, url: str, name: str) -> None:
    """Refuse a key where the URL has a name and a password: one request carries one of both.

    Raises:
        ConfigError: The URL has credentials.
    """
    if _USERINFO.search(url):
        msg = (
            f"the URL of {service} at {without_secrets(url)} holds a password and"
            f" {name or 'the environment'} a key; remove one of them"
        )
        raise ConfigError(msg)
