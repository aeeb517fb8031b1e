"""Results that can be trusted: which code made them, where they lie, how they come to be."""
