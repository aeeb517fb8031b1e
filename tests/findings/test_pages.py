"""What a page says of a claim is what the findings say today of the results it was drawn from."""

from importlib import import_module
from pathlib import Path

import pytest

from hdnotes.experiments import catalogue
from hdnotes.experiments.parameters import resolve
from hdnotes.page import scorecard
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
