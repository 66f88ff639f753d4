"""``python -m stream.packs [DIR…]``: check packs and run their tests; ``yanshao packs check`` is the same."""

from __future__ import annotations

import sys

from stream.packs import SHIPPED, try_open


def main(directories: list[str]) -> int:
    """Print every problem; return 1 where there is an error."""
    book, _, problems = try_open(directories or [SHIPPED])
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(
        f"{len(book.packs)} packs, {len(book.rules)} rules, {len(book.terms)} terms, {book.version}\n"
    )
    return int(any(problem.severity == "error" for problem in problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
