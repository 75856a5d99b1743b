"""`python3 -m tests.peers`: install every peer that is missing; needs no virtual environment."""

import sys

from tests.peers.install import main

sys.exit(main())
