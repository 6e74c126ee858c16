"""Fails when a ctest report (JUnit XML) holds tests that did not run and that nobody said may not."""

import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree


def skipped(report, allowed):
    names = [case.get("name") for case in ElementTree.parse(report).iter("testcase")
             if case.get("status") in ("notrun", "disabled")]
    return [name for name in names if not re.search(allowed, name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allow", default="^$", metavar="REGEX")
    parser.add_argument("report")
    arguments = parser.parse_args()
    names = skipped(arguments.report, arguments.allow)
    for name in names:
        print(f"skipped, which counts as a failure (--allow-skip lets it pass): {name}")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
