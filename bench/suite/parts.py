"""The figures of programs that write their own, put beside those of bench/run.py, or alone where there are none.

    parts.py INTO results.json PART.json…
"""

import json
import pathlib
import sys


def main():
    into, whole, *parts = map(pathlib.Path, sys.argv[1:])
    found = json.loads(whole.read_text()) if whole.exists() else {}
    # A program that failed may have written nothing.
    found["parts"] = {part.stem: json.loads(part.read_text()) for part in parts if part.exists()}
    into.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
