"""The pages in a real browser: with the keyboard alone, without scripts, on a small screen, in both colour schemes."""

import threading
import time
from collections.abc import Iterator

import pytest

from reconciler.service.figures.rounds import Figures
from reconciler.service.serving import listen, server_of
from tests.sandbox.browser import CHROMIUM
from tests.service.browsing import Viewer
from tests.service.world import FILES, OPERATOR_KEY, Served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
LONG = "Company-with-a-name-that-has-no-end-" * 5
#: The least contrast of all words to what is behind them, and the words that have it.
CONTRAST = """
(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const lin = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const lum = c => 0.2126 * lin(c[0]) + 0.7152 * lin(c[1]) + 0.0722 * lin(c[2]);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
  let least = [99, ''];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!text || !e.getClientRects().length || e.closest('.hidden, .skip')) continue;
    const style = getComputedStyle(e), svg = e.closest('svg');
    const [a, b] = [lum(parse(svg ? style.fill : style.color)), lum(behind(svg ? svg.parentElement : e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, text];
  }
  return least;
})()
"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve a catalogue in which a tenant has a very long name, over HTTP, and tell where."""
    files = {**FILES, "tenants": {**FILES["tenants"], "long": {"name": LONG[:120], "plan": "free"}}}
    served = Served(files=files)
    for number in range(3):
        served.runtime.consume("acme", "big", key=f"k{number}")
    served.runtime.refund("acme", "k0", key="back")
    served.runtime.grant("x" * 200, 7, key="y" * 200, reason="z" * 200)
    Figures(served.runtime, lambda: served.service.catalog).round()
    listener = listen("127.0.0.1", 0)
    server = server_of(served.service)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    served.close()


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    """Lend a fresh browser."""
    with Viewer() as found:
        found.look()
        yield found


def sign_in(viewer: Viewer, address: str) -> None:
    """Sign in as a person does."""
    viewer.go(f"{address}/signin")
    viewer.run("document.querySelector('input[name=key]').focus()")
    viewer.type(OPERATOR_KEY)
    viewer.leaving(lambda: viewer.press("Enter"))


def test_the_keyboard_is_enough(viewer: Viewer, address: str) -> None:
    """From the form for a key to a grant nothing but the keyboard is used, and the focus is always seen."""
    viewer.go(f"{address}/signin")
    viewer.press("Tab")
    assert viewer.focused() == "Skip to the content"
    for _ in range(2):
        viewer.press("Tab")
    assert viewer.focused() == "key"
    viewer.type(OPERATOR_KEY)
    viewer.leaving(lambda: viewer.press("Enter"))
    assert "Overview" in viewer.text()
    viewer.press("Tab")
    viewer.press("Enter")
    assert viewer.run("document.activeElement.id") == "content"
    viewer.go(f"{address}/tenants")
    for _ in range(60):
        viewer.press("Tab")
        assert viewer.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if viewer.focused() == "Acme":
            break
    viewer.leaving(lambda: viewer.press("Enter"))
    assert "Called big for 10 credits" in viewer.text()
    for _ in range(60):
        viewer.press("Tab")
        if viewer.focused() == "credits":
            break
    viewer.type("2.5")
    for _ in range(8):
        viewer.press("Tab")
        if viewer.focused() == "reason":
            break
    viewer.type("by keyboard")
    viewer.leaving(lambda: viewer.press("Enter"))
    assert "The credits were granted." in viewer.text()
    assert "Granted 2.5 credits: by keyboard (by ops)." in viewer.text()


def test_pages_need_no_script(viewer: Viewer, address: str) -> None:
    """With scripts switched off one signs in, searches, opens a tenant and gives credits all the same."""
    viewer.without_scripts()
    sign_in(viewer, address)
    viewer.go(f"{address}/tenants")
    viewer.run("document.querySelector('input[type=search]').focus()")
    viewer.type("acm")
    viewer.leaving(lambda: viewer.press("Enter"))
    assert "Acme" in viewer.text()
    assert "Rival" not in viewer.text()
    viewer.leaving(lambda: viewer.run("document.querySelector('tbody a').click()"))
    assert "Ledger, newest first" in viewer.text()
    viewer.run("document.querySelector('input[name=credits]').focus()")
    viewer.type("3")
    viewer.run("document.querySelector('input[name=reason]').focus()")
    viewer.type("without scripts")
    viewer.leaving(lambda: viewer.press("Enter"))
    assert "Granted 3 credits: without scripts (by ops)." in viewer.text()


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_and_fit(viewer: Viewer, address: str, dark: bool) -> None:
    """In both colour schemes every word has the contrast of AA, and on a small screen no page moves sideways."""
    viewer.look(dark=dark)
    sign_in(viewer, address)
    pages = (
        "",
        "tenants",
        "tenant?id=acme",
        f"tenant?id={'x' * 200}",
        "tenant?id=long",
        "catalogue",
        "webhooks",
        "history",
    )
    for path in pages:
        viewer.look(dark=dark)
        viewer.go(f"{address}/{path}")
        ratio, words = viewer.run(CONTRAST)
        assert ratio >= 4.5, (path, ratio, words)
        viewer.look(width=340, height=700, dark=dark)
        assert viewer.run(WIDER) <= 0, path


def test_the_style_is_the_one_the_policy_allows(viewer: Viewer, address: str) -> None:
    """The browser applies the style under the policy, and keeps the cookie from scripts."""
    sign_in(viewer, address)
    assert viewer.run("getComputedStyle(document.querySelector('.card')).borderTopLeftRadius") == "10px"
    assert viewer.run("document.cookie") == ""
