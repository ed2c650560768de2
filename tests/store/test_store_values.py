"""Canonical JSON, moments and ids: equal things have equal texts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import fit_id_of, new_event_id, new_planning_id
from store.canonical import canonical_json, sha256_hex
from store.codec import text_of
from store.moments import iso_utc, microseconds_of, moment_of, optional_moment, parsed_utc

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aσ→\n"'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(JSON)
def test_canonical_json_says_what_it_was_given(value: object) -> None:
    """The text parses back to the value, and its own parse has the same text."""
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_sorts_and_packs() -> None:
    """Keys are sorted, no space is spent, letters stay letters."""
    assert canonical_json({"b": [1, 2], "a": "σ"}) == '{"a":"σ","b":[1,2]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_canonical_json_refuses_what_json_lacks_and_text_replaces_it(value: object) -> None:
    """For identities the value is an error; for the log it is replaced."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's words differ by version
        canonical_json([value])
    assert text_of([value]) in ("[null]", '["?"]')


def test_sha256_is_the_known_one() -> None:
    """The digest of the empty text is the published one (FIPS 180-4)."""
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_moments_are_exact_in_every_form(moment: datetime) -> None:
    """Microseconds and ISO text both give the moment back."""
    assert moment_of(microseconds_of(moment)) == moment
    assert parsed_utc(iso_utc(moment)) == moment
    assert len(iso_utc(moment)) == 27


def test_moments_of_other_zones_are_shown_in_utc() -> None:
    """A moment in another zone is the same moment; a naive one is an error."""
    there = datetime(2026, 1, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    assert iso_utc(there) == "2026-01-01T00:00:00.000000Z"
    with pytest.raises(ValueError, match="no time zone"):
        parsed_utc("2026-01-01T00:00:00")
    assert optional_moment(None) is None


def test_event_ids_are_uuids_of_version_seven_and_rise_with_time() -> None:
    """Version and variant bits are those of RFC 9562; ids of different milliseconds sort by time."""
    ids = [new_event_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(len(one) == 16 and one[6] >> 4 == 7 and one[8] >> 6 == 0b10 for one in ids)
    assert [one[:6] for one in ids] == sorted(one[:6] for one in ids)


def test_fit_ids_are_content() -> None:
    """The same plan, job and family are the same fit; the parts cannot run into each other."""
    assert re.fullmatch(r"f_[0-9a-f]{16}", fit_id_of("p", "j", "F"))
    assert fit_id_of("p", "j", "F") == fit_id_of("p", "j", "F")
    assert fit_id_of("p", "jF", "") != fit_id_of("p", "j", "F")
    assert re.fullmatch(r"n_[0-9a-f]{16}", new_planning_id())
