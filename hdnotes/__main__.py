"""`python -m hdnotes` is `hdnotes`."""

import sys

from hdnotes.cli import main

sys.exit(main())
