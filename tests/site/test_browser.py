"""The site in a browser, from disk, with no network."""

from io import BytesIO

import pytest

pytestmark = pytest.mark.site

THEMES = ("light", "dark")


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_opens_from_disk_and_its_figures_are_visible(visit, name, theme):
    """What is drawn stands out from the ground; `visit` refuses errors and requests."""
    page = visit(name, theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    for image in page.locator("img.hd-figure").all():
        assert image.evaluate("e => e.naturalWidth") > 0
    for image in page.locator(".hd-figure").all():
        assert image.bounding_box()["height"] > 100
        ground, ink = lightness(image.screenshot())
        assert ground > 0.9 if theme == "light" else ground < 0.2
        assert abs(ink - ground) > 0.5


@pytest.mark.parametrize("theme", THEMES)
def test_movies_play_from_disk(visit, theme):
    page = visit("sections/matrix_recovery.html", theme)
    videos = page.locator("video.hd-figure")
    assert videos.count() == 4
    for movie in videos.all():
        movie.scroll_into_view_if_needed()
        facts = movie.evaluate("""async e => {
            e.muted = true;
            await e.play();
            await new Promise(done => e.ontimeupdate = () => e.currentTime > 0 && done());
            return [e.videoWidth, e.duration, e.error, e.getAttribute('aria-label')];
        }""")
        assert facts[0] > 0
        assert facts[1] > 5
        assert facts[2] is None
        assert len(facts[3].split()) >= 5


def test_a_page_fits_on_a_telephone(visit, name):
    page = visit(name, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    overflowing = """() => [...document.querySelectorAll('.bd-article :is(p, li, figure, h1, h2)')]
        .filter(e => !e.closest('.pst-scrollable-table-container'))
        .filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"""
    assert page.evaluate(overflowing) == []


def test_the_site_opens_at_its_first_page(browser, html):
    page = browser.new_page()
    page.goto((html / "index.html").as_uri())
    page.wait_for_url("**/intro.html")
    page.close()


def test_math_is_rendered(visit):
    page = visit("notation.html")
    page.wait_for_selector("mjx-container")
    page.wait_for_function("!document.querySelector('.math:not(:has(mjx-container))')")
    assert page.locator("mjx-merror").count() == 0
    assert "$" not in page.locator("article").inner_text()


def test_search_finds_stable_rank_in_the_chapter(visit):
    page = visit("search.html?q=stable+rank")
    found = page.locator("#search-results li a")
    found.first.wait_for()
    assert any("sections/egop.html" in link.get_attribute("href") for link in found.all())


@pytest.mark.parametrize("theme", THEMES)
def test_verdicts_can_be_read(visit, theme):
    page = visit("intro.html", theme)
    ratios = page.evaluate("""() => {
        const level = rgb => rgb.match(/\\d+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], .05);
        const ground = level(getComputedStyle(document.body).backgroundColor);
        return [...document.querySelectorAll('.hd-verdict')]
            .map(e => level(getComputedStyle(e).color))
            .map(ink => Math.max(ink, ground) / Math.min(ink, ground));
    }""")
    assert len(ratios) == 5
    assert min(ratios) > 4.5


def lightness(png):
    """Return the lightness of a picture's ground, and that of its mark furthest from it."""
    from PIL import Image

    levels = Image.open(BytesIO(png)).convert("L").histogram()
    ground = max(range(256), key=levels.__getitem__)
    drawn = [level for level, count in enumerate(levels) if count > 20]
    ink = max(drawn, key=lambda level: abs(level - ground))
    return ground / 255, ink / 255
