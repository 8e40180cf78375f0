"""What a person does in Prefect's UI, in a real browser."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from lenient import STRICT

from flows.recipe import Recipe

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGE_MS = 240_000
"""A busy machine may take so long to draw a page."""
PRESSES = 3
"""Of the button under a question, at most."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A fresh page that is as high as a form is long."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PAGE_MS)
    yield page
    page.close()


@pytest.fixture(scope="session")
def pictures(pytestconfig):
    """Where pictures of what was seen are kept, outside of git."""
    folder = Path(pytestconfig.rootpath) / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def field(page, *titles, within=None):
    """Return the form's field under these titles, outermost first."""
    found = within or page
    for title in titles:
        whole = re.compile(rf"^{title}( \(Optional\))?$")
        label = page.locator(".schema-form-property__label", has_text=whole)
        found = found.locator(".schema-form-property", has=label).last
    return found


def answer(form, pictures):
    """Press until the question is gone, as a person does: once, under load, a press did not arrive.

    A picture of the page is kept for each press that leaves the question there.
    """
    button = form.get_by_role("button", name=re.compile("^(Submit|Resume)$"))
    for press in range(PRESSES):
        button.click()
        try:
            form.wait_for(state="hidden", timeout=60_000)
        except sync_api.TimeoutError:
            form.page.screenshot(path=pictures / f"unanswered-{press}.png")
        else:
            return
    pytest.fail(f"pressed {PRESSES} times, and the question stays")


def open_form(page, up, deployment):
    """Go the way a person goes: the list, the deployment, Run, Custom run."""
    page.goto(f"{up.ui}/deployments")
    page.get_by_placeholder("Search deployments").fill(deployment["name"])
    page.locator(f"a[href*='{deployment['id']}']").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    page.get_by_role("button", name="Submit").wait_for()


def submit(page, up, deployment):
    """Press Submit and return the new run's id."""
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("scheduled to start").first.wait_for()
    wanted = {"deployments": {"id": {"any_": [deployment["id"]]}}, "sort": "ID_DESC"}
    return up.client.post("/flow_runs/filter", json=wanted).json()[0]["id"]


@pytest.mark.full
def test_an_untouched_form_stores_what_the_recipe_says(up, page, small_recipe, pictures):
    up.deploy(small_recipe | {"name": "untouched"})
    for name in ("untouched", "untouched (all settings)"):
        deployment = up.deployment(name)
        open_form(page, up, deployment)
        page.screenshot(path=pictures / f"{'form' if '(' in name else 'short-form'}.png")
        run = submit(page, up, deployment)
        stored = up.flow_run(run)["parameters"]
        up.client.delete(f"/flow_runs/{run}").raise_for_status()
        assert stored == deployment["parameters"]
    written = yaml.safe_load((up.place.folder / "untouched.yaml").read_text())
    written["output"] = {"lake": str(up.place.lake)}
    written["source"]["uri"] = str(up.place.folder / "stripes.parquet")
    assert Recipe.model_validate(stored["recipe"]) == Recipe.model_validate(written)


@pytest.mark.full
def test_quick_run_asks_for_nothing_and_what_was_typed_stays(up, page, small_recipe):
    short = up.deploy(small_recipe | {"name": "quick"})
    for name in ("quick", "quick (all settings)"):
        deployment = up.deployment(name)
        page.goto(f"{up.ui}/deployments/deployment/{deployment['id']}")
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_text("Quick run").click()
        page.get_by_text("scheduled to start").first.wait_for()
        wanted = {"deployments": {"id": {"any_": [deployment["id"]]}}, "sort": "ID_DESC"}
        (run,) = up.client.post("/flow_runs/filter", json=wanted).json()
        up.client.delete(f"/flow_runs/{run['id']}").raise_for_status()
        assert run["parameters"] == deployment["parameters"]
    open_form(page, up, short)
    field(page, "Name of generator and data set").locator("input, textarea").fill("quick-trial")
    run = submit(page, up, short)
    assert up.flow_run(run)["parameters"] == short["parameters"] | {"name": "quick-trial"}
    up.client.delete(f"/flow_runs/{run}").raise_for_status()
    done = up.deployment("stripes")
    open_form(page, up, done)
    page.locator(".flow-run-name-input input").fill("monday check")
    last = up.ended(submit(page, up, done))
    assert last["name"] == "monday check"
    assert last["state"]["message"].startswith("nothing new, published before: stripes 20")


@pytest.mark.full
def test_two_fields_changed_and_followed_to_the_end(up, page, small_recipe, pictures):
    up.deploy(small_recipe | {"name": "clicked"})
    deployment = up.deployment("clicked (all settings)")
    open_form(page, up, deployment)
    field(page, "Samples").locator("input").fill("700")
    field(page, "Synthesis", "Seed").locator("input").fill("3")
    run = submit(page, up, deployment)
    page.goto(f"{up.ui}/runs/flow-run/{run}")
    last = up.ended(run)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    page.get_by_text("Completed", exact=True).first.wait_for()
    written = deployment["parameters"]["recipe"]["synthesis"]
    stored = last["parameters"]["recipe"]["synthesis"]
    assert stored == written | {"samples": 700, "seed": 3}
    page.wait_for_timeout(1_000)
    page.screenshot(path=pictures / "run.png")

    page.get_by_text("Artifacts", exact=True).click()
    page.get_by_text("clicked-samples").first.wait_for()
    page.screenshot(path=pictures / "artifacts.png")
    page.get_by_role("link", name="clicked-samples").last.click()
    page.locator("img[src^='data:image/png']").first.wait_for()
    page.screenshot(path=pictures / "samples.png")
    page.go_back()
    page.get_by_text("Artifacts", exact=True).click()
    page.get_by_role("link", name="clicked-verdict").last.click()
    page.get_by_text(re.compile("^(PASS|WARN): clicked")).first.wait_for()
    page.screenshot(path=pictures / "verdict.png")


@pytest.mark.full
def test_from_another_address_it_asks_for_the_login(
    bring_up, page, small_recipe, tmp_path, pictures
):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "stripes.yaml").write_text(yaml.safe_dump(small_recipe))
    with bring_up(tmp_path, "127.0.0.2") as up:
        assert up.client.get("/flows/count").status_code == 401
        page.goto(f"{up.ui}/deployments")
        page.locator("input[type=password]").fill("guess:wrong")
        page.keyboard.press("Enter")
        page.wait_for_timeout(2_000)
        assert page.get_by_role("link", name="stripes").count() == 0
        login = (tmp_path / ".ganmill" / "cockpit" / "login").read_text()
        page.locator("input[type=password]").fill(login)
        page.screenshot(path=pictures / "login.png")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="stripes").first.wait_for()
        page.screenshot(path=pictures / "logged-in.png")


@pytest.mark.full
def test_a_suspended_run_is_approved_in_the_form(up, page, small_recipe, pictures):
    strict = small_recipe["gate"] | {"on_reject": "ask"} | STRICT
    run = up.ask(up.deploy(small_recipe | {"name": "approved", "gate": strict}))
    page.goto(f"{up.ui}/runs/flow-run/{run}")
    page.get_by_text("Suspended", exact=True).first.wait_for(timeout=180_000)
    page.get_by_role("button", name="Resume").click()
    form = page.locator(".p-modal")
    form.get_by_text("was refused").wait_for()
    decision = field(page, "Decision", within=form).locator(".p-select-button__control")
    decision.click()
    decision.press("ArrowDown")
    decision.press("Enter")
    sync_api.expect(decision).to_have_text("publish")
    field(page, "Your name", within=form).locator("input, textarea").fill("Ana")
    field(page, "Reason", within=form).locator("input, textarea").fill("the shift is known")
    page.screenshot(path=pictures / "question.png")
    answer(form, pictures)
    last = up.ended(run)
    assert last["state_type"] == "COMPLETED", last["state"]["message"]
    page.get_by_text("Completed", exact=True).first.wait_for()
    (path,) = (up.place.lake / "datasets" / "approved" / "_meta").glob("*/manifest.json")
    override = json.loads(path.read_text())["gate"]["override"]
    assert (override["by"], override["reason"]) == ("Ana", "the shift is known")
