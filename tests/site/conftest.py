"""The built site, a browser that cannot reach a network, and the pages to look at."""

from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
HTML = BOOK / "_build" / "html"
CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pages():
    """Return the built pages, relative to the site; ``index.html`` only leads to the first."""
    found = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))
    return [name for name in found if not name.startswith("_static/") and name != "index.html"]


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", pages() or [None])


@pytest.fixture(scope="session", autouse=True)
def html():
    """Return the folder of the built site."""
    if not (HTML / "index.html").is_file():
        pytest.skip("the site is not built: `jupyter-book build book/` builds it")
    return HTML


@pytest.fixture(scope="session")
def book():
    """Return the folder of the book's sources."""
    return BOOK


@pytest.fixture(scope="session")
def names(html):
    """Return the names of all pages."""
    return pages()


@pytest.fixture(scope="session")
def browser(html):
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip("there is no Chromium at /usr/bin/chromium: `apt-get install chromium`")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, html):
    """Return a function that opens a page, and tells at the end what went wrong meanwhile."""
    wrong, contexts = [], []

    def visit(name, theme="light", width=1280):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "requestfailed",
            lambda request: wrong.append(f"failed: {request.url}") if failed(request) else None,
        )
        page.on(
            "request", lambda request: wrong.append(request.url) if leaves(request.url) else None
        )
        page.goto(f"{html.as_uri()}/{name}")
        page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong


def failed(request):
    """Tell a failure from a movie that is read as far as it is needed."""
    return request.resource_type != "media" or request.failure != "net::ERR_ABORTED"


def leaves(address):
    return not address.startswith(("file:", "data:", "blob:", "about:"))
