"""The site's files: links, words for pictures, and nothing that a page should not show."""

import json
from urllib.parse import unquote, urlsplit

import pytest

from hdnotes.page import scorecard

pytestmark = pytest.mark.site

LINKS = (
    ("a", "href"),
    ("img", "src"),
    ("link", "href"),
    ("script", "src"),
    ("source", "src"),
    ("video", "poster"),
)


@pytest.fixture(scope="module")
def parsed(html, names):
    bs4 = pytest.importorskip("bs4")
    return {name: bs4.BeautifulSoup((html / name).read_text(), "html.parser") for name in names}


@pytest.fixture(scope="module")
def records(book):
    return [json.loads(path.read_text()) for path in sorted((book / "sections").glob("*.json"))]


def test_every_picture_has_words(parsed, name):
    for image in parsed[name].select("article img"):
        assert len(image.get("alt", "").split()) >= 5, image


def test_every_movie_is_small_and_has_a_poster_and_words(parsed, html, name):
    for movie in parsed[name].select("article video"):
        assert movie.find_parent("figure").select_one(".caption-number")
        assert len(movie["aria-label"].split()) >= 5
        assert movie["poster"].endswith(".png")
        assert movie.has_attr("controls")
        file = (html / name).parent / unquote(movie.select_one("source")["src"])
        assert 10_000 < file.stat().st_size < 3 * 10**6


def test_there_is_a_movie_of_every_sweep(parsed):
    assert len(parsed["sections/matrix_recovery.html"].select("article video")) == 4


def test_every_figure_is_numbered_and_has_a_caption(parsed, name):
    for figure in parsed[name].select("article figure"):
        assert figure.select_one(".caption-number").text.startswith("Figure ")
        assert len(figure.select_one(".caption-text").text.split()) >= 5


def test_every_figure_has_its_data_and_its_card(parsed, records):
    for record in records:
        article = parsed[f"sections/{record['chapter']}.html"].select_one("article")
        count = len(article.select("figure"))
        links = [link["href"] for link in article.select(".hd-data a.download")]
        assert [sum(link.endswith(kind) for link in links) for kind in ("csv", "parquet")] == [
            count
        ] * 2
        assert len(article.select("details.hd-made")) == count + 1


def test_every_link_leads_somewhere(parsed, html, name):
    for tag, attribute in LINKS:
        for element in parsed[name].select(f"{tag}[{attribute}]"):
            link = urlsplit(element[attribute])
            if link.scheme or link.netloc:
                continue
            target = (
                ((html / name).parent / unquote(link.path)).resolve() if link.path else html / name
            )
            assert target.exists(), element
            if link.fragment and tag == "a":
                address = target.relative_to(html).as_posix()
                assert parsed[address].find(id=unquote(link.fragment)), element


def test_a_page_loads_nothing_from_elsewhere(parsed, name):
    for tag, attribute in (*LINKS[1:], ("iframe", "src")):
        for element in parsed[name].select(f"{tag}[{attribute}]"):
            assert not urlsplit(element[attribute]).netloc, element


def test_a_page_shows_no_standard_error(parsed, name):
    assert not parsed[name].select("article :is(.output.stderr, .output.traceback)")
    assert not any(parsed[name].find_all(string=lambda text: "Traceback (most recent" in text))


def test_every_code_cell_is_folded(parsed, name):
    for cell in parsed[name].select("article .cell_input"):
        assert cell.find_parent("details"), cell


def test_every_claim_is_on_its_page_and_on_the_scorecard(parsed, records):
    card = parsed["scorecard.html"].select_one("article").get_text(" ")
    for record in records:
        page = parsed[f"sections/{record['chapter']}.html"]
        for claim in record["claims"]:
            assert claim["id"] in card
            assert claim["verdict"] in page.find(id=f"claim-{claim['id']}").text


def test_the_pages_made_from_sidecars_are_up_to_date(book):
    found = scorecard.records(book)
    assert (book / "scorecard.md").read_text() == scorecard.scorecard(found)
    assert (book / "machine.md").read_text() == scorecard.machine(found, scorecard.speeds(book))


def test_every_chapter_is_in_the_contents(book):
    contents = (book / "_toc.yml").read_text()
    for path in (book / "sections").glob("*.ipynb"):
        assert f"sections/{path.stem}" in contents
        assert path.with_suffix(".json").is_file()
