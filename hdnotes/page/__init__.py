"""What a page of the book needs: its style, its figures, its claims and cards, the scorecard."""
