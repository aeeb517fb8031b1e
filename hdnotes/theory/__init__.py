"""Closed forms and bounds, drawn beside the data."""
