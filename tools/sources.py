#!/usr/bin/env python3
"""Lists what belongs to the build: sources.py src | tests/unit | tests/fuzz | schema, a path per line."""
import pathlib, sys

root = pathlib.Path(__file__).resolve().parent.parent
what = sys.argv[1]
patterns = {"src": "**/*.c", "tests/unit": "**/test_*.c", "tests/fuzz": "fuzz_*.c", "schema": "*.schema"}
for path in sorted((root / what).glob(patterns[what])):
    rel = path.relative_to(root).as_posix()
    if rel != "src/main.c":
        print(rel)
