"""The page in a real browser: Chromium, headless."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from recsys.recommender import HistoryEntry, Recommender, Rules
from recsys.store.live import default_url
from recsys.store.store import open_store

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield Chromium; without it these tests skip, or fail where CI=true."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        why = "the page tests need Chromium: apt install chromium, or have it on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        # a fresh profile in a temporary folder, as playwright always makes one
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """Yield a blank tab; whatever the page says went wrong in it fails the test."""
    context = browser.new_context(base_url=server, locale="en-GB")
    tab = context.new_page()
    tab.set_default_timeout(10_000)
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    yield tab
    context.close()
    assert [line for line in wrong if "Failed to load resource" not in line] == []


def titles(page: Page, panel: str) -> list[str]:
    return page.locator(f"#{panel} .title").all_inner_texts()


def suggestions(page: Page, count: int = 10) -> list[str]:
    """Return the suggested titles, once they are there."""
    expect(page.locator("#suggestions .title")).to_have_count(count)
    expect(page.locator("#suggestions")).not_to_have_attribute("aria-busy", "true")
    return titles(page, "suggestions")


def test_a_basket_built_by_searching_changes_the_suggestions(
    page: Page, recommender: Recommender
) -> None:
    page.goto("/")
    page.get_by_text("Basket", exact=False).first.click()
    expect(page.locator("#taken")).to_contain_text("The basket is empty")
    popular = suggestions(page)
    page.get_by_role("combobox").press_sequentially("cafe creme", delay=10)
    option = page.get_by_role("option")
    expect(option).to_have_count(1)
    option.click()
    expect(page.locator("#taken .title")).to_have_text("Café crème jug")
    expect(page.locator("#suggestions .note")).to_have_count(0)
    first = suggestions(page)
    assert first != popular
    assert page.url.endswith("/?basket=i3")

    page.get_by_role("combobox").fill("stapler number 8")
    page.get_by_role("combobox").press("Enter")
    expect(page.locator("#taken .title")).to_have_text(["Café crème jug", "Stapler number 8"])
    taken = page.locator("#suggestions .title", has_text="Stapler number 8")
    expect(taken).to_have_count(0)
    second = suggestions(page)
    assert second != first
    assert page.url.endswith("/?basket=i3,i8")
    expected = recommender.recommend_basket([HistoryEntry("i3"), HistoryEntry("i8")]).items
    assert second == [item.title for item in expected]

    page.get_by_role("button", name="Take out of the basket: Stapler number 8").click()
    expect(page.locator("#taken .title")).to_have_text("Café crème jug")
    expect(page.locator("#suggestions .title")).to_have_text(first)
    page.go_back()
    expect(page.locator("#taken .title")).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#suggestions .title")).to_have_text(popular)


def test_a_suggestion_goes_into_the_basket_by_click(page: Page) -> None:
    page.goto("/?basket=i3")
    best = suggestions(page)[0]
    page.get_by_role("button", name=f"Add to the basket: {best}").click()
    expect(page.locator("#taken .title")).to_have_text(["Café crème jug", best])
    expect(page.locator("#basket-count")).to_have_text("2")
    expect(page.get_by_role("status")).to_have_text(f"{best} is in the basket")


def test_a_customer_shows_history_beside_suggestions(page: Page, recommender: Recommender) -> None:
    page.goto("/")
    expect(page.locator("#serving")).to_contain_text(f"ease · {recommender.version}")
    page.get_by_role("combobox").press_sequentially("u01", delay=10)
    expect(page.get_by_role("option").first).to_have_text("u010")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#taken-title")).to_have_text("History of u011")
    assert page.url.endswith("/?user=u011")
    assert suggestions(page) == [item.title for item in recommender.recommend("u011").items]
    assert titles(page, "taken") == [item.title for item in recommender.history("u011")]
    expect(page.locator("#taken li").first).to_contain_text(" 2011")
    expect(page.locator("#suggestions-fact")).to_have_text(
        re.compile(r"^10 in \d+ ms · reasons in \d+ ms$")
    )
    expect(page.locator("#taken-fact")).to_have_text(re.compile(r"^\d+ items in \d+ ms$"))

    page.get_by_role("button", name="u002").click()  # an example
    expect(page.locator("#taken-title")).to_have_text("History of u002")
    page.go_back()
    expect(page.locator("#taken-title")).to_have_text("History of u011")


def test_a_suggestion_to_a_customer_is_kept_for_the_basket(page: Page) -> None:
    page.goto("/?user=u001")
    best = suggestions(page)[0]
    page.get_by_role("button", name=f"Add to the basket: {best}").click()
    expect(page.locator("#basket-count")).to_have_text("1")
    expect(page.locator("#taken-title")).to_have_text("History of u001")
    page.locator("label[for=mode-basket]").click()
    expect(page.locator("#taken .title")).to_have_text(best)


def test_strangers(page: Page) -> None:
    page.goto("/?user=nobody")
    expect(page.locator("#taken")).to_contain_text("A new customer")
    expect(page.locator("#suggestions .note")).to_contain_text("popular")
    suggestions(page)
    page.get_by_role("combobox").press_sequentially("Zoë/☃")
    page.keyboard.press("Enter")
    expect(page.locator("#taken-title")).to_have_text("History of Zoë/☃")
    page.reload()
    expect(page.locator("#taken-title")).to_have_text("History of Zoë/☃")
    page.goto("/?user=u119")
    expect(page.locator("#taken")).to_contain_text("no history")


def test_what_goes_wrong_is_shown(page: Page) -> None:
    page.goto("/?basket=i3,none")
    expect(page.get_by_role("alert")).to_contain_text("unknown item 'none'")
    page.get_by_role("button", name="Take out of the basket: none").click()
    suggestions(page)
    page.route("**/recommend*", lambda route: route.abort())
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.locator("#taken")).to_contain_text("The basket is empty")
    page.unroute("**/recommend*")
    page.get_by_role("button", name="Try again").click()
    suggestions(page)


def test_hostile_text_is_shown_not_run(page: Page) -> None:
    page.goto("/?basket=0042")
    expect(page.locator("#taken .title")).to_contain_text("<script>window.hacked='yes'</script>")
    page.get_by_role("combobox").press_sequentially("tin img")
    expect(page.get_by_role("option")).to_contain_text("onerror")
    suggestions(page)
    user = "<img src=x onerror=\"window.hacked='yes'\"><svg onload=\"window.hacked='yes'\">"
    page.goto(f"/?user={quote(user)}")
    expect(page.locator("#taken-title")).to_have_text(f"History of {user}")
    page.goto("/?basket=" + quote(user, safe=""))
    expect(page.get_by_role("alert")).to_contain_text("unknown item")
    assert page.locator("main img, main script, main svg").count() == 0
    assert page.evaluate("window.hacked") is None


def test_reasons_come_after_the_list_and_point_at_the_history(
    page: Page, recommender: Recommender
) -> None:
    page.goto("/?user=u001")
    first = recommender.recommend("u001", why=True).items[0]
    assert first.because is not None
    best = first.because[0]
    because = page.locator("#suggestions .because").first
    expect(because).to_contain_text(f"because you bought {best.title}")
    page.locator("#suggestions .title").first.hover()
    pointed = page.locator("#taken li.pointed")
    helping = [each.title for each in first.because if each.contribution > 0]
    expect(pointed).to_have_count(len(helping))
    assert sorted(pointed.locator(".title").all_inner_texts()) == sorted(helping)

    page.goto("/?basket=i3,i8")
    expect(page.locator("#suggestions .because").first).to_contain_text("goes with ")
    page.goto("/?basket=i3")  # one item is the reason for everything
    suggestions(page)
    expect(page.locator("#suggestions .because")).to_have_count(0)
    # reasons that do not come leave the list as it is
    page.route("**/recommend*", refuse_reasons)
    page.goto("/?user=u001")
    expect(page.locator("#suggestions .because")).to_have_count(0)
    assert len(suggestions(page)) == 10
    expect(page.get_by_role("alert")).to_have_count(0)


def refuse_reasons(route: Route) -> None:
    if "why" in (route.request.post_data or ""):
        route.abort()
    else:
        route.continue_()


def test_similar_items_are_looked_at_and_taken(page: Page, recommender: Recommender) -> None:
    page.goto("/?basket=i8")
    suggestions(page)
    page.get_by_role("button", name="Similar to Stapler number 8").first.click()
    dialog = page.get_by_role("dialog", name="Similar to Stapler number 8")
    expected = recommender.similar("i8")
    expect(dialog.locator(".title")).to_have_text([each.title for each in expected])
    expect(page.locator("#similar-fact")).to_have_text(re.compile(r"^10 in \d+ ms$"))
    second = expected[1]
    dialog.get_by_role("button", name=f"Add to the basket: {second.title}").click()
    dialog.get_by_role("button", name=f"Similar to {second.title}").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Similar to {second.title}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#taken .title")).to_have_text(["Stapler number 8", second.title])


def test_rules_are_tried_and_stand_in_the_address(page: Page, recommender: Recommender) -> None:
    page.goto("/?user=u001")
    plain = suggestions(page)
    page.get_by_role("button", name="Rules").click()
    page.get_by_label("Category").fill("garden")
    page.get_by_label("Price to").fill("5")
    rules = Rules(category="garden", max_price=5)
    expected = [each.title for each in recommender.recommend("u001", rules=rules).items]
    assert 0 < len(expected) < 10
    expect(page.locator("#suggestions .title")).to_have_text(expected)
    expect(page.locator("#suggestions .note")).to_contain_text(f"Only {len(expected)} of 10")
    assert page.url.endswith("/?user=u001&category=garden&max_price=5")
    prices = page.locator("#suggestions .known").all_inner_texts()
    assert all(float(text.split(" · ")[0]) <= 5 and text.endswith("garden") for text in prices)
    expect(page.locator("#rules-count")).to_have_text("2")
    page.reload()
    expect(page.locator("#suggestions .title")).to_have_text(expected)
    expect(page.get_by_label("Category")).to_have_value("garden")

    page.get_by_role("button", name="No rules").click()
    expect(page.locator("#suggestions .title")).to_have_text(plain)
    page.get_by_role("button", name=f"Leave out: {plain[0]}").click()
    expect(page.locator("#suggestions")).not_to_contain_text(plain[0])
    assert suggestions(page)[:9] == plain[1:]
    page.get_by_role("button", name=f"No longer leave out: {plain[0]}").click()
    expect(page.locator("#suggestions .title")).to_have_text(plain)


def test_new_products_have_their_places(page: Page, models: Path) -> None:
    store = open_store(default_url(models))
    store.set_item("n1", {"title": "Spade <b>of a new kind</b>", "category": ["garden"]})
    try:
        page.goto("/?user=u001&newcomers=3")
        expect(page.locator("#suggestions .badge")).to_have_count(1)
        expect(page.locator("#suggestions .title").last).to_contain_text(
            "Spade <b>of a new kind</b> New"
        )
        expect(page.locator("#suggestions .because").last).to_contain_text("new, like ")
        assert len(suggestions(page)) == 10
    finally:
        store.set_item("n1", {"blocked": True})
        store.close()


def test_the_model_is_described(page: Page, recommender: Recommender) -> None:
    page.goto("/")
    about = page.get_by_role("region", name="The model")
    for text in ("ease", "120", "60", f"{recommender.interactions.n_events} events"):
        expect(about).to_contain_text(text)


def test_it_fits_a_phone_and_needs_no_mouse(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{server}/?user=u001&newcomers=1&exclude=i1")
    suggestions(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the suggestions")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.locator("#suggestions button").first
    expect(first).to_be_focused()
    assert first.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Escape")
    expect(first).to_be_focused()
    page.locator("#mode-user").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mode-basket")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("spade")
    expect(page.get_by_role("option").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("ArrowDown")
    search = page.get_by_role("combobox", name="Find an item")
    active = search.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    expect(page.locator("#taken .title")).to_have_count(1)
    context.close()


CONTRAST = """() => {
  const luminance = ([r, g, b]) => {
    const part = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = colour(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || !node.checkVisibility()) continue;
    const [a, b] = [getComputedStyle(node).color, null];
    const shades = [luminance(colour(a)), luminance(ground(node))].sort((x, y) => y - x);
    const ratio = (shades[0] + 0.05) / (shades[1] + 0.05);
    if (ratio < 4.5) weak.push(`${node.className || node.tagName}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(browser: Browser, server: str, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{server}/?user=u001&category=garden&exclude=i4")
    expect(page.locator("#suggestions-fact")).to_contain_text("reasons")
    expect(page.locator("#about")).to_be_visible()
    page.locator("#suggestions .title").first.hover()
    page.get_by_role("button", name="Add to the basket").first.click()
    assert page.evaluate(CONTRAST) == []
    page.goto(f"{server}/?basket=none")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_nothing_comes_from_elsewhere() -> None:
    static = Path(__file__).parents[2] / "api"
    for file in [*static.glob("static/*"), *static.glob("templates/*")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*|\s// .*", "", text, flags=re.MULTILINE), file
        assert "innerHTML" not in text
