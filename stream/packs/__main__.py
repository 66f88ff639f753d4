"""``python -m stream.packs [DIR…]``: check packs and run their tests; ``yanshao packs check`` is the same."""

from __future__ import annotations

import sys

from stream.models import build_annotator
from stream.packs import SHIPPED, Options, check, try_open


def main(directories: list[str]) -> int:
    """Print every problem; return 1 where there is an error."""
    book, packs, problems = try_open(directories or [SHIPPED], Options(drafts=True))
    if not any(problem.severity == "error" for problem in problems):
        problems += check.run(book, build_annotator(book.terms), packs)
        problems += check.unused_lists(book, packs)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    counts = f"{len(book.packs)} packs, {len(book.rules)} rules, {len(book.terms)} terms"
    sys.stdout.write(f"{counts}, version {book.version}\n")
    return int(any(problem.severity == "error" for problem in problems))


if __name__ == "__main__":
    # `check` is taken as well as nothing: that is what one types after `yanshao packs`.
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "check"]))
