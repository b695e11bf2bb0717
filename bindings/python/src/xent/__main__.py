# SPDX-License-Identifier: Apache-2.0
"""``python -m xent``, which is also the program ``xent``."""

import sys

from ._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
