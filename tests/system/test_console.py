"""The live pages in a real browser: in each phase of the recorded incident, at three widths."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolscope.catalogue import Evidence, Phase
from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.fleet.occupancy_history import ProfileKey, ProfileRow
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.pool_totals import (
    LeakPlace,
    LineLeaks,
    PoolTotals,
    Quantiles,
)
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents
from poolscope_generators.incident.recording import read_story
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_session,
    a_waiting_caller,
    an_instance,
)
from support.exporter.incident_looks import a_full_incident, an_incident
from support.exporter.processes import an_instance_state
from support.exporter.recorded_situations import look_at
from support.exporter.releases import a_release
from support.exporter.served_pages import ServedPages

ROOT = Path(__file__).parents[2]
PLAYWRIGHT, AXE = ROOT / ".venv" / "browser", ROOT / ".venv" / "axe"
WORST = {
    "leak": "leaking",
    "exhausted": "leaking",
    "blocked": "leaking",
    "slow": "leaking",
    "restart": "unknown",
    "deploy": "No pool is in trouble.",
}
"""The first words of the page near the end of each phase of the recorded incident."""

WIDTHS = (390, 1000, 1400)
SCHEMES = ("light", "dark")
FULL_POOL = "/pool/shop/orders?namespace=acme"
PARTS = {
    "/": ("#blockers li", "#pools li"),
    FULL_POOL: (
        "#held li", "#waiters tr", "#blockers .depth-3", "#profile table", "#leaks table",
        "#incidents li", "#releases table", ".ticket",
    ),
    "/incidents": ("section svg", ".ticket", "table"),
}  # fmt: skip
"""The parts of each page that must be there when it is checked."""

BEFORE_END_S = 10.0
WAITS_MS = 10_000
PICTURES = os.environ.get("CONSOLE_PICTURES")

Page = Any
"""A page of Playwright, which is not installed with the other packages."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    missing = [name for name in ("chromium",) if shutil.which(name) is None]
    missing += [f"make {path.relative_to(ROOT)}" for path in (PLAYWRIGHT,) if not path.exists()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    sys.path.append(str(PLAYWRIGHT))
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - see `make test-system`

    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        yield running
        running.close()
    sys.path.remove(str(PLAYWRIGHT))


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe's program, which looks for barriers to people with disabilities."""
    program = AXE / "node_modules" / "axe-core" / "axe.min.js"
    if not program.exists():
        pytest.skip("needs make .venv/axe/node_modules")
    return program.read_text()


@pytest.fixture
def pages() -> Iterator[ServedPages]:
    with ServedPages(a_leak()) as served:
        yield served


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(WAITS_MS)
    yield context.new_page()
    context.close()


def a_leak(*, waiting: int = 2) -> Look:
    """Return a pool that leaks through one line, and a healthy one."""
    pool, calm = a_pool(), a_pool(an_instance("billing-1", "billing"), name="ledger")
    now = NowPlace("shop/payments.py", 55, "pay", "httpx.AsyncClient.get", 11, 11.2)
    judgements = tuple(
        Judgement(
            replace(a_checkout(n, route="/export"), now=now),
            400.0 - n,
            Verdict.LEAKED,
            None,
            Evidence.REQUEST_FINISHED,
            Link(LinkLevel.ADDRESS, "main", a_session(4700 + n), 100.0),
            confirmed=True,
        )
        for n in range(4)
    )
    leaking = PoolDiagnosis(Diagnosis.LEAKING, ("4 of 15 connections leaked",), since_s=400.0)
    healthy = PoolDiagnosis(Diagnosis.HEALTHY, ("1 of 5 connections is in use",), since_s=900.0)
    states = (
        PoolAssessment(pool, PoolNumbers(used=15, max=15, pending=waiting), leaking),
        PoolAssessment(calm, PoolNumbers(used=1, max=5, pending=0), healthy),
    )
    process = an_instance_state({"host.name": "node-1", "process.pid": "17"})
    return Look(Situation(judgements, states, (), (process,), 100.0), "2026-11-30T03:12:45+00:00")


def everything_at_once() -> Look:
    """Return the leak with waiting callers, and with a lock queue of three steps."""
    leak = a_leak()
    callers = [a_waiting_caller(n, phase=phase) for phase in Phase for n in (4.0, 31.0)]
    waiters = group_waiters(len(callers), callers)
    first, *others = leak.situation.pools
    numbers = replace(first.numbers, waiters=waiters)
    holder = LockParty(
        4700,
        a_session(4700, state=SessionState.IDLE_IN_TRANSACTION, xact_age_s=371.0),
        a_pool(),
        leak.situation.judgements[0].checkout,
    )
    queue = (
        LockWaiter(LockParty(20, None, a_pool(), a_checkout(2)), 4700, 1),
        LockWaiter(LockParty(21, a_session(21, user="reporting")), 20, 2, (4700,)),
        LockWaiter(LockParty(22), 21, 3),
    )
    blockers = (RootBlocker("main", RootKind.HOLDER, holder, queue, unasked=2),)
    situation = replace(
        leak.situation, pools=(replace(first, numbers=numbers), *others), blockers=blockers
    )
    return replace(leak, situation=situation)


def the_past() -> PoolDetails:
    """Return a profile, times, leaks, incidents and releases of the pool that leaks."""
    pool = service_pool_of(a_pool())
    place = LeakPlace("request_finished", "/export", "shop/export.py:42")
    long_line = "a_package/with/a/rather/long/path/to_its_module.py:1234"
    return PoolDetails(
        PoolTotals({"wait": Quantiles(120, 0.0012, 0.25, 1.5)}, (LineLeaks(place, 14, 3),)),
        (
            ProfileRow(pool, ProfileKey("/pay", long_line, long_line, "", "database"), 3),
            ProfileRow(pool, ProfileKey("/pay", "a.py:1", "a.py:2", "httpx.get", "httpx.get"), 1),
        ),
        (a_full_incident(), an_incident()),
        (a_release("2.0", leaks=3), a_release("1.9", first_seen_age_s=90_000.0, checkouts=12)),
    )


@pytest.fixture
def full_pages() -> Iterator[ServedPages]:
    with ServedPages(everything_at_once()) as served:
        served.details = the_past()
        served.incidents = ShownIncidents(served.details.incidents, left_out=2)
        yield served


def barriers(page: Page, axe: str) -> list[str]:
    """Return what axe finds; its program does not come from the page, whose policy forbids that."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


def watched(page: Page, problems: list[str]) -> Page:
    """Return the page; its errors and whatever its policy forbids become problems."""
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    return page


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("phase", WORST)
def test_each_phase_of_the_incident_is_readable_at_every_width(
    browser: Any, axe: str, phase: str, scheme: str
) -> None:
    look = look_at(read_story().phase(phase).end - BEFORE_END_S)
    problems: list[str] = []
    with ServedPages(look) as served:
        for width in WIDTHS:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            page = watched(context.new_page(), problems)
            page.goto(served.address)
            assert WORST[phase] in page.locator("section").first.inner_text()
            problems += barriers(page, axe)
            assert overflow(page) <= 0, width
            page.locator("#healthy-all summary").click()
            page.locator("#pools h3 a, #healthy a").first.click()
            page.locator("#held").wait_for(state="attached")
            problems += barriers(page, axe)
            assert overflow(page) <= 0, width
            context.close()

    assert problems == []


def test_the_keeping_line_of_the_worst_pool_is_one_click_away(
    page: Page, pages: ServedPages
) -> None:
    page.goto(pages.address)
    page.locator("#pools a").first.click()

    page.get_by_text("waiting in httpx.AsyncClient.get at shop/payments.py:55").first.wait_for()
    assert page.url.endswith("/pool/shop/orders?namespace=acme")
    page.get_by_text("Sessions and evidence").click()
    ticket = page.locator("#held pre.ticket")
    ticket.wait_for()
    assert "SELECT pg_terminate_backend(4700);" in ticket.inner_text()


def test_an_open_page_follows_the_pool_without_a_reload(page: Page, pages: ServedPages) -> None:
    page.goto(f"{pages.address}/?refresh=1")
    page.evaluate("window.isTheSamePage = true")
    page.get_by_text("1 process").first.click()
    pages.look = a_leak(waiting=41)

    page.locator(".figures", has_text="41 waiting").wait_for()
    assert page.evaluate("window.isTheSamePage") is True
    assert page.locator("#pools details").first.get_attribute("open") is not None
    assert page.locator("#n-waiting strong").inner_text() == "41"


def test_a_paused_page_stays_and_its_address_shows_it(page: Page, pages: ServedPages) -> None:
    page.goto(f"{pages.address}/?refresh=1")
    page.locator("#live", has_text="live").wait_for()
    page.get_by_role("button", name="Pause").click()
    assert page.url.endswith("/?refresh=0")
    pages.look = a_leak(waiting=41)
    with page.expect_response("**/live?*"):
        page.get_by_role("button", name="Resume").click()
    page.locator(".figures", has_text="41 waiting").wait_for()
    assert "refresh=0" not in page.url


def test_a_row_whose_text_is_selected_is_left_alone_until_later(
    page: Page, pages: ServedPages
) -> None:
    page.goto(f"{pages.address}/?refresh=1")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#pools h3'))")
    pages.look = a_leak(waiting=41)
    page.locator("#n-waiting strong", has_text="41").wait_for()
    assert page.evaluate("String(getSelection())").strip() == "orders of shop"

    page.evaluate("getSelection().removeAllRanges()")
    page.locator(".figures", has_text="41 waiting").wait_for()


def test_without_a_script_the_page_is_complete_and_reloads_itself(
    browser: Any, pages: ServedPages
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{pages.address}/?refresh=1")
    assert "leaking" in page.locator("#pools").inner_text()
    assert not page.get_by_role("button", name="Pause").is_visible()
    pages.look = a_leak(waiting=41)
    page.locator(".figures", has_text="41 waiting").wait_for()
    context.close()


def test_the_filter_is_a_link_that_can_be_shared(page: Page, pages: ServedPages) -> None:
    page.goto(pages.address)
    page.get_by_label("Search").fill("ledger")
    page.get_by_label("Search").press("Enter")
    page.get_by_text("only q ledger").wait_for()
    assert "q=ledger" in page.url
    assert page.locator("#pools > li").count() == 0
    assert page.locator("#healthy > li").count() == 1


def test_the_keyboard_reaches_the_worst_pool(page: Page, pages: ServedPages) -> None:
    page.goto(pages.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    link = page.locator("#pools a").first
    for _ in range(12):
        page.keyboard.press("Tab")
        if link.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("#held").wait_for()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_of_a_page_is_without_barriers(
    browser: Any, axe: str, full_pages: ServedPages, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(WAITS_MS)
    problems: list[str] = []
    page = watched(context.new_page(), problems)
    for path, parts in PARTS.items():
        page.goto(full_pages.address + path)
        # Whatever is folded has no colours and no size that could be checked.
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        for part in parts:
            page.locator(part).first.wait_for()
        problems += [f"{path}: {each}" for each in barriers(page, axe)]
        assert overflow(page) <= 0, path

    context.close()
    assert problems == []


@pytest.mark.parametrize("path", ["/", FULL_POOL, "/incidents"])
def test_a_button_copies_the_evidence_by_click_and_by_keyboard(
    browser: Any, full_pages: ServedPages, path: str
) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(WAITS_MS)
    page = context.new_page()
    page.goto(full_pages.address + path)
    fold = page.locator("details", has=page.locator(".copy")).last
    fold.locator("summary").first.click()
    evidence = fold.locator(".ticket").inner_text()
    fold.get_by_role("button", name="Copy the evidence").click()
    page.locator("#copied", has_text="Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == evidence

    page.evaluate("navigator.clipboard.writeText('')")
    fold.get_by_role("button", name="Copy the evidence").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("async () => await navigator.clipboard.readText() !== ''")
    assert page.evaluate("navigator.clipboard.readText()") == evidence
    context.close()


def test_without_a_clipboard_the_button_selects_the_evidence(
    page: Page, full_pages: ServedPages
) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(full_pages.address + FULL_POOL)
    fold = page.locator("#h-held ~ ul details").first
    fold.locator("summary").click()
    fold.get_by_role("button", name="Copy the evidence").click()

    page.locator("#copied", has_text="Selected").wait_for()
    selected = page.evaluate("String(getSelection())")
    assert "SELECT pg_terminate_backend(4700);" in selected
    assert selected.strip() == fold.locator(".ticket").inner_text().strip()


def test_without_a_script_no_page_has_a_button_that_does_nothing(
    browser: Any, full_pages: ServedPages
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    # Without a script, the page of a pool would reload itself, and fold its evidence.
    for path in (f"{FULL_POOL}&refresh=0", "/incidents"):
        page.goto(full_pages.address + path)
        page.locator("details", has=page.locator(".copy")).first.locator("summary").first.click()
        assert page.locator(".ticket").first.is_visible()
        assert page.locator(".copy:visible").count() == 0
    context.close()


def test_nothing_that_a_reader_does_changes_anything(page: Page, full_pages: ServedPages) -> None:
    for path in ("/", FULL_POOL, "/incidents"):
        page.goto(full_pages.address + path)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        for button in page.locator(".copy").all():
            button.click()
    page.goto(full_pages.address)
    page.locator("#live", has_text="live").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_label("Search").fill("orders")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("only q orders").wait_for()

    assert {method for method, _ in full_pages.requests} == {"GET"}
    assert {f"/live{FULL_POOL.partition('?')[0]}", "/live"} <= {p for _, p in full_pages.requests}


@pytest.mark.skipif(not PICTURES, reason="make console-pictures draws them")
def test_pictures_of_the_documentation(browser: Any) -> None:
    look = look_at(read_story().phase("blocked").end - BEFORE_END_S)
    shots = (
        ("console-start", look, "/", 1400, "light"),
        ("console-pool", a_leak(), "/pool/shop/orders?namespace=acme", 1000, "dark"),
        ("console-phone", look, "/", 390, "light"),
    )
    for name, shown, path, width, scheme in shots:
        with ServedPages(shown) as served:
            context = browser.new_context(
                viewport={"width": width, "height": 760}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(served.address + path)
            page.screenshot(path=str(Path(str(PICTURES)) / f"{name}.png"))
            context.close()
