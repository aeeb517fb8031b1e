"""What a page says of a claim is what the findings say today of the results it was drawn from."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from hdnotes.experiments import catalogue
from hdnotes.experiments.parameters import resolve
from hdnotes.page import markup, scorecard
from hdnotes.store.store import Store
from hdnotes.store.sweep import load

PROJECT = Path(__file__).parents[2]
PAGES = {record["chapter"]: record for record in scorecard.records(PROJECT / "book")}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_of_its_claims_what_its_results_say(name):
    page, chapter = PAGES[name], catalogue.load(name)
    asked = resolve(chapter, page["profile"], page["parameters"], check_memory=False)
    results = load(chapter, chapter.cells(asked), Store(PROJECT / "results" / name))
    claims = import_module(f"hdnotes.findings.{name}").CLAIMS
    found = {claim.id: claim.test(results) for claim in claims}
    again = f"run `hdnotes run {name} --profile {page['profile']}` again"
    assert {one["id"]: (one["verdict"], one["evidence"]) for one in page["claims"]} == {
        claim: (verdict.verdict, verdict.evidence) for claim, verdict in found.items()
    }, again


def test_what_came_out_says_of_claims_what_their_pages_say():
    text = (PROJECT / "book" / "answers.md").read_text(encoding="utf-8")
    said = re.findall(r"\[(\S+) (\S+)\]\(#claim-(\S+?)\)", text)
    verdicts = {one["id"]: one["verdict"] for page in PAGES.values() for one in page["claims"]}
    assert len(said) == text.count("](#claim-") > 30
    for symbol, name, target in said:
        assert (symbol, name) == (markup.SYMBOLS[verdicts[target]], target)
