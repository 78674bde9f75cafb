"""``python -m iblvideo_admin`` is the command line."""

import sys

from iblvideo_admin.cli import main

if __name__ == "__main__":
    sys.exit(main())
