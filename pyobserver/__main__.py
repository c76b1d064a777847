"""`python -m pyobserver` is `pyobserver`."""

import sys

from .cli import main

sys.exit(main())
