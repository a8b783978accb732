"""What is secret is never said, in whatever form a server repeats it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import ConfigError
from lift_sys.inference.credentials import check_key, refuse_two, secrets_in, without_secrets

URL = "http://us%40er:hunter%2F2pass@host:8000/v1"


@given(st.from_regex(r"[A-Za-z0-9+/=_.-]{8,20}", fullmatch=True), st.text(), st.text())
def test_a_secret_is_gone_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assert secret not in without_secrets(before + secret + after, [secret])


def test_a_url_is_shown_without_its_credentials() -> None:
    assert without_secrets(URL) == "http://host:8000/v1"
    assert without_secrets("http://a:p@ss@host/v1 and //b@c/") == "http://host/v1 and //c/"
    assert without_secrets("http://host/v1 for me@there") == "http://host/v1 for me@there"


@pytest.mark.parametrize(
    "form",
    [
        "us%40er:hunter%2F2pass",
        "us@er:hunter/2pass",
        "hunter/2pass",
        "hunter%2F2pass",
        "us@er",
        f"Basic {b64encode(b'us@er:hunter/2pass').decode()}",
        b64encode(b"us@er:hunter/2pass").decode(),
    ],
)
def test_the_credentials_of_a_url_are_hidden_in_each_form(form: str) -> None:
    said = without_secrets(f"no access with {form} here", secrets_in(URL))

    assert said in {"no access with *** here", "no access with Basic *** here"}


def test_a_short_secret_leaves_the_words_that_it_is_a_part_of() -> None:
    secrets = secrets_in("http://me:no@host")

    assert without_secrets("some noise of me:no, or no", secrets) == "some noise of ***, or ***"


def test_what_looks_like_a_sent_key_is_hidden_though_nobody_knows_it() -> None:
    assert without_secrets("bad project for Bearer sk-1abc; go") == "bad project for Bearer *** go"
    assert without_secrets("wants a bearer token") == "wants a bearer token"


@pytest.mark.parametrize("key", ["spä", "two\nlines", " blank"])
def test_a_key_that_no_header_carries_is_refused_without_saying_it(key: str) -> None:
    with pytest.raises(ConfigError, match="the key of S in S_KEY has characters") as caught:
        check_key(key, "S", "S_KEY")

    assert key not in str(caught.value)
    check_key("sk-fine", "S", "")


def test_a_key_beside_a_password_is_refused() -> None:
    with pytest.raises(ConfigError, match="http://host:8000/v1 holds a password and S_KEY a key"):
        refuse_two("S", URL, "S_KEY")

    refuse_two("S", "http://host:8000/v1", "S_KEY")
