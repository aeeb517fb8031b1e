"""What tests ask of a store at once."""

from hdnotes.store.sweep import MissingResults, load


def state(experiment, cells, store) -> str:
    """Tell whether results are there, and made by the code there is now."""
    try:
        return "stale" if load(experiment, cells, store).stale else "fresh"
    except MissingResults:
        return "missing"
