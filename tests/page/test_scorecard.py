import json

import pytest

from hdnotes.page import markup, scorecard

CLAIM = {"sentence": "|x| is at least 0.", "source": "Lemma 1", "evidence": "It is 0.1."}


@pytest.fixture
def book(tmp_path):
    record = {
        "chapter": "b",
        "title": "Chapter B",
        "profile": "quick",
        "device": "cpu",
        "device_name": "a CPU",
        "wall_time_s": 75.2,
        "peak_memory_bytes": 300 << 20,
        "date": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789ab",
        "torch": "2.13.0",
        "seeds": ["d = 1", "d = 2"],
        "stale": False,
        "parameters": {"d": 8},
        "command": "hdnotes run b --profile quick",
        "claims": [
            {"id": f"d0-1-{letter}", "verdict": verdict, **CLAIM}
            for letter, verdict in zip("abcde", ["holds", *markup.SYMBOLS], strict=True)
        ],
    }
    (tmp_path / "sections").mkdir()
    for name, changes in {
        "b": {},
        "a": {"chapter": "a", "title": "Chapter A", "stale": True},
    }.items():
        (tmp_path / f"sections/{name}.json").write_text(json.dumps(record | changes))
    return tmp_path


def written(book):
    scorecard.write(book)
    return [(book / f"{name}.md").read_text() for name in ("scorecard", "machine")]


def test_every_claim_and_count_is_on_the_scorecard(book):
    card, _ = written(book)
    assert "| [Chapter B](sections/b.ipynb) | 2 | 1 | 1 | 1 |" in card
    for letter, verdict in zip("abcde", ["holds", *markup.SYMBOLS], strict=True):
        assert f"[d0-1-{letter}](#claim-d0-1-{letter}) \\|x\\| is at least 0. *(Lemma 1)*" in card
        assert f"{markup.badge(verdict)} It is 0.1." in card
    assert card.count("hd-stale") == 1


def test_the_machine_page_tells_where_and_how_long(book):
    _, machine = written(book)
    for words in ("cpu (a CPU), torch 2.13.0", "1 min 15 s", "300.0 MiB", "2026-01-02"):
        assert words in machine


def test_the_same_sidecars_give_the_same_pages(book):
    assert written(book) == written(book)
    assert sorted(path.name for path in book.iterdir()) == [
        "machine.md",
        "scorecard.md",
        "sections",
    ]


def test_a_book_without_chapters_has_its_pages(tmp_path):
    card, machine = written(tmp_path)
    assert card.startswith("# Scorecard")
    assert machine.startswith("# Where")


def test_a_directive_is_fenced_wider_than_its_body():
    inner = markup.block("div", "a", {}, "text")
    outer = markup.block("div", "b", {}, inner)
    assert outer.splitlines()[0] == "::::{div} b"
    assert outer.splitlines()[-1] == "::::"


def test_chapters_come_in_the_order_of_the_book(book):
    (book / "_toc.yml").write_text("chapters:\n  - file: sections/b\n  - file: sections/a\n")
    scorecard.write(book)
    text = (book / "scorecard.md").read_text()
    assert text.index("Chapter B") < text.index("Chapter A")


def test_what_benchmarks_measured_is_on_the_machine_page(book):
    assert "How fast" not in written(book)[1]
    row = {"name": "lockstep", "measured": "3.2 x (3 to 3.4)", "target": "at least 3 x"}
    row |= {"met": "met", "machine": "CPU, 2 threads", "date": "2026-01-02", "commit": "abc"}
    later = row | {"name": "import", "measured": "0.2 s", "date": "2026-01-03"}
    (book / "benchmarks.json").write_text(json.dumps([later, row]))
    _, machine = written(book)
    assert "| lockstep | 3.2 x (3 to 3.4) | at least 3 x | met |" in machine
    places = [
        machine.index(words)
        for words in ("On one CPU, 2 threads, 2026-01-02:", "lockstep", "2026-01-03:", "import")
    ]
    assert places == sorted(places)
