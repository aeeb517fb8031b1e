"""One file a chapter: its parameters and profiles, its cells, and how a cell becomes rows."""
