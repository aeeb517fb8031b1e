"""What is optimised: one family of objectives a file, many independent trials at once."""
