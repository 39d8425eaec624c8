"""Write the generated parts of README.md and docs/.

.venv/bin/python -m scripts.docs            write them
.venv/bin/python -m scripts.docs --check    name the pages that are out of date; exit code 1
.venv/bin/python -m scripts.docs --results  train what the README's table shows first
                                            (about ten minutes), then write
.venv/bin/python -m scripts.docs --images   likewise for the table of images (about an hour)
.venv/bin/python -m scripts.docs --claims DIR DIR ...
                                            join outputs of `reproduce`, one a base seed, into
                                            docs/reproduce.json first
"""

import argparse

from scripts.docs import pages


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.docs")
    parser.add_argument("--check", action="store_true", help="write nothing, name stale pages")
    parser.add_argument("--results", action="store_true", help="train the README's table first")
    parser.add_argument("--images", action="store_true", help="train the table of images first")
    parser.add_argument("--claims", nargs="+", metavar="DIR", help="join these outputs first")
    options = parser.parse_args()
    if options.claims:
        pages.join_claims(options.claims)
    if options.results:
        from scripts.docs import results  # torch

        results.measure()
    if options.images:
        from scripts.docs import results

        results.measure_images()
    stale = pages.stale()
    for path, text in stale.items():
        if options.check:
            print(f"{path.relative_to(pages.ROOT)} is out of date; run python -m scripts.docs")
        else:
            path.write_text(text)
            print(f"written: {path.relative_to(pages.ROOT)}")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
