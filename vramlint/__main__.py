"""`python -m vramlint`."""

from vramlint.cli import main

raise SystemExit(main())
