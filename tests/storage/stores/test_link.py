"""An address that opens one object in a browser: presigned, or where the profile says."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from storage.stores.counting import CountingStore
from storage.stores.memory import MemoryStore
from storage.stores.open import open_store

KEY = "generators/d/reports/report.html"


def test_a_presigned_link_opens_that_one_page_for_a_while(s3_uri, s3_profile):
    store = CountingStore(open_store(s3_uri, s3_profile), lambda _: None)
    store.put_once(KEY, b"<p>fine</p>")
    store.put_once("other.html", b"other")
    link = store.link(KEY, 900)
    answer = httpx.get(link, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "<p>fine</p>")
    assert answer.headers["content-type"].startswith("text/html")
    asked = parse_qs(urlsplit(link).query)
    assert asked["X-Amz-Expires"] == ["900"]
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert s3_profile.secret.get_secret_value() not in link
    assert store.link(KEY, 0) is None


@pytest.mark.parametrize(
    ("public", "link"),
    [
        ("https://reports.example", "https://reports.example/lake/a%20b/report.html"),
        (
            "https://{bucket}.cdn.example/x/",
            "https://my-bucket.cdn.example/x/lake/a%20b/report.html",
        ),
    ],
)
def test_a_public_address_is_taken_as_the_profile_says_it(s3_profile, public, link):
    profile = s3_profile.model_copy(update={"public_url": public})
    assert open_store("s3://my-bucket/lake", profile).link("a b/report.html", 900) == link


def test_other_stores_have_no_addresses(tmp_path):
    assert open_store(str(tmp_path)).link(KEY, 900) is None
    assert MemoryStore().link(KEY, 900) is None
