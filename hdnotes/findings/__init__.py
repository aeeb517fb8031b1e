"""What the results say: one file a chapter with its analysis and its claims."""
