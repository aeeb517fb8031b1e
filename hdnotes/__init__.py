"""How well do gradient methods work in high dimension? The library behind the book."""
