"""The server of reports: committed reports of deployed lakes, and nothing else."""

import socket

import httpx
import pytest

from flows.cockpit.reports import HOST, open_server
from flows.report_links import (
    ADDRESS,
    SERVED,
    lake_name,
    report_link,
    who_serves,
    write_address,
)
from storage.digests import sha256_hex
from storage.errors import AccessDeniedError
from storage.lake.layout import (
    generator_internal_key,
    generator_report_key,
    manifest_key,
    meta_key,
    study_key,
    study_report_key,
    version_folder,
)
from storage.lake.log import append_commit, version_log
from storage.stores.open import open_store

V1, V2 = "20261128T020000Z-00000001", "20261128T030000Z-00000002"
OF_GENERATOR = generator_report_key("digits", V1, "ab" * 32, "report.html")
OF_STUDY = study_report_key("5" * 64, "cd" * 32)
API = "http://127.0.0.1:1/api"


@pytest.fixture
def lake(tmp_path):
    """A lake with a committed version, one that is not committed, and things to keep in."""
    store = open_store(str(tmp_path / "lake"))
    pages = {
        meta_key("digits", V1, "report.html"): b"<p>one</p>",
        meta_key("digits", V2, "report.html"): b"<p>not committed</p>",
        meta_key("digits", V1, "report.json"): b"{}",
        manifest_key("digits", V1): b"{}",
        OF_GENERATOR: b"<p>generator</p>",
        OF_STUDY: b"<p>study</p>",
        study_key("5" * 64): b"{}",
        OF_GENERATOR.replace("report.html", "report.json"): b"{}",
        generator_internal_key("digits", V1, "report.html"): b"real records",
        generator_internal_key("digits", V1, "reports/abababababababab/report.html"): b"real",
        f"{version_folder('digits', V1)}/train-00000.parquet": b"shard",
    }
    for key, data in pages.items():
        store.put_once(key, data)
    append_commit(store, "digits", V1, manifest_sha256=sha256_hex(b"{}"), created="now")
    (tmp_path / "secret" / "report.html").parent.mkdir()
    (tmp_path / "secret" / "report.html").write_text("secret")
    return store


@pytest.fixture
def served(lake, tmp_path):
    """A server of that lake, and a function that asks it."""
    uri = str(tmp_path / "lake")
    with (
        open_server(0, API, lambda: {lake_name(uri): uri}) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):

        def get(key, **headers):
            return client.get(f"/{lake_name(uri)}/{key}", headers=headers)

        get.client, get.server = client, server
        yield get


def test_reports_of_committed_versions_and_of_generators_open(served):
    page = served(meta_key("digits", V1, "report.html"))
    assert (page.status_code, page.text) == (200, "<p>one</p>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert served(OF_GENERATOR).text == "<p>generator</p>"
    assert served(OF_STUDY).text == "<p>study</p>"
    head = served.client.head(f"/{page.url.path.lstrip('/')}")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "key",
    [
        meta_key("digits", V2, "report.html"),
        meta_key("digits", V1, "report.json"),
        manifest_key("digits", V1),
        f"{version_folder('digits', V1)}/train-00000.parquet",
        OF_GENERATOR.replace("report.html", "report.json"),
        study_key("5" * 64),
        OF_STUDY.replace("/reports/", "/trials/"),
        generator_internal_key("digits", V1, "report.html"),
        generator_internal_key("digits", V1, "reports/abababababababab/report.html"),
        generator_report_key("digits", V1, "cd" * 32, "report.html"),
        "../secret/report.html",
        "..%2Fsecret%2Freport.html",
        "datasets/../../secret/report.html",
        f"datasets/digits/_meta/{V1}/%2e%2e/{V1}/report.html",
        f"datasets/digits/_meta/{V1}/report.html/",
        f"datasets/digits/_meta/{V1}/report.html%00",
        f"datasets/digits%0A/_meta/{V1}/report.html",
        "",
        "datasets",
    ],
)
def test_nothing_else_does(served, key):
    with socket.create_connection((HOST, served.server.server_port)) as raw:
        name = lake_name_of(served)
        asked = f"GET /{name}/{key} HTTP/1.1\r\nHost: {HOST}:{served.server.server_port}\r\n"
        raw.sendall(f"{asked}Connection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 404")
    assert b"<p>" not in body
    assert b"secret" not in body
    assert b"real" not in body


def lake_name_of(served) -> str:
    return next(iter(served.server._read_lakes()))


def test_a_version_that_was_retracted_is_not_shown(served, lake):
    version_log(lake, "digits").append({"kind": "retire", "version": V1}, lambda _: False)
    assert served(meta_key("digits", V1, "report.html")).status_code == 404


def test_a_lake_that_no_recipe_names_and_another_host_s_name_get_nothing(served):
    assert served.client.get(f"/{'0' * 12}/{OF_GENERATOR}").status_code == 404
    assert served(OF_GENERATOR, Host="elsewhere.example").status_code == 421
    assert served.client.put(f"/{lake_name_of(served)}/{OF_GENERATOR}").status_code == 501


def test_it_answers_to_the_name_of_the_server_in_front_of_it(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("GANMILL_REPORTS_URL", "https://reports.example/ganmill")
    uri = str(tmp_path / "lake")
    with open_server(0, API, lambda: {lake_name(uri): uri}) as server:
        address = f"{server.url}/{lake_name(uri)}/{OF_GENERATOR}"
        named = httpx.get(address, headers={"Host": "reports.example"}, trust_env=False)
    assert (lake.uri, named.status_code) == (uri, 200)


def test_it_says_whose_reports_it_serves_and_takes_a_free_port_where_its_own_is_taken(served):
    assert who_serves(served.server.url) == f"{SERVED} {API}"
    with open_server(served.server.server_port, API, dict) as other:
        assert other.server_port != served.server.server_port
    assert who_serves(other.url) == ""


@pytest.fixture
def _here(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMILL_WORK_FOLDER", str(tmp_path / "work"))


@pytest.mark.usefixtures("_here")
def test_a_link_leads_to_the_page(served, lake, tmp_path, monkeypatch):
    uri = str(tmp_path / "lake")
    assert report_link(lake, uri, OF_GENERATOR) is None, "nobody serves it"
    write_address(tmp_path / "work" / "cockpit" / ADDRESS, served.server.url)
    link = report_link(lake, uri, OF_GENERATOR)
    assert httpx.get(link, trust_env=False).text == "<p>generator</p>"
    monkeypatch.chdir(tmp_path)
    assert report_link(lake, "./lake", OF_GENERATOR) == link
    monkeypatch.setenv("GANMILL_REPORTS_URL", "https://reports.example/x/")
    assert (
        report_link(lake, uri, "a/b.html") == f"https://reports.example/x/{lake_name(uri)}/a/b.html"
    )


@pytest.mark.usefixtures("_here")
def test_a_cockpit_that_is_gone_gives_no_link(served, lake, tmp_path):
    write_address(tmp_path / "work" / "cockpit" / ADDRESS, "http://127.0.0.1:9")
    assert report_link(lake, str(tmp_path / "lake"), OF_GENERATOR) is None


def test_without_credentials_there_is_no_link_and_no_failure(lake):
    def refuse(key, seconds):
        raise AccessDeniedError(key)

    lake.link = refuse
    assert report_link(lake, "s3://bucket/lake", OF_GENERATOR) is None
