"""Each rule of tidy.py finds the violation planted for it, and finds nothing in a clean tree."""

import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts/lib"))
import skipped  # noqa: E402
import tidy  # noqa: E402

HEADER = "// A header that says in its first paragraph what it is for.\n#pragma once\n"
SCRIPT = '#!/usr/bin/env bash\nset -euo pipefail\necho "scripts/verb: does a thing"\n'
UNIT = "\n".join(["[Service]", "ExecStart=/usr/bin/true", "User=leat", "PrivateUsers=yes", "CapabilityBoundingSet=",
                  "SystemCallFilter=~@privileged", *tidy.UNIT_SETTINGS, ""])

CLEAN = {
    "src/base/bytes.h": HEADER + "#include <span>\n#include <tl/expected.hpp>\n",
    "src/base/log.cc": '#include <spdlog/spdlog.h>\n#include <unistd.h>\n\n#include "base/bytes.h"\n',
    "src/mux/session.h": HEADER + '#include <chrono>\n\n#include "base/bytes.h"\n',
    "src/net/link.cc": '#include <asio.hpp>\n#include <thread>\n\n#include "mux/session.h"\n',
    "src/relay/relay.cc": '#include "net/link.h"\n',
    "src/net/link.h": HEADER + '#include "mux/session.h"\n',
    "src/crypto/noise.h": HEADER,
    "src/http/target.cc": '#include <arpa/inet.h>\n\nconst char* reason = "Not Implemented";\n',
    "src/cli/main.cc": '#include <CLI/CLI.hpp>\n\n#include "crypto/noise.h"\n',
    "src/base/error_codes.inc": 'LEAT_ERROR(GONE, 503, "is gone", "wait")\nLEAT_ERROR(USAGE, 0, "a", "b")\n',
    "docs/errors.md": "| `LEAT_GONE` | 503 | is gone |\n| `LEAT_USAGE` | – | a |\n",
    "src/relay/metrics.cc": 'void write() {\n  text.family("leat_a", "gauge");\n  text.single("leat_b", "gauge");\n}\n',
    "docs/operators.md": "| `leat_a` | a |\n| `leat_b` | b |\n",
    "docs/adr/README.md": "- [one](0001-one.md)\n",
    "docs/adr/0001-one.md": "# One\n",
    "tests/mux/session_test.cc": "// std::this_thread::sleep_for is not used here\nint one() { return 1; }\n",
    "tests/e2e/harness.py": "time.sleep(0.01)  # sleep: nothing tells when\n",
    "scripts/verb": SCRIPT,
    "deploy/leat.service": UNIT,
}
LINKS = "leat_relay: leat_net leat_warnings\nleat_net: $<LINK_ONLY:leat_mux> leat_dep_ssl\nleat_mux: leat_base\n"

# rule -> plants: files to add or replace, and what the finding must say. A plant named LINKS replaces
# the link graph.
PLANTS = {
    "include_direction": [
        ({"src/mux/a.cc": '#include "net/link.h"\n'}, "mux may not include net"),
        ({"src/relay/a.cc": '#include "crypto/noise.h"\n'}, "relay may not include crypto"),
        ({"src/net/a.cc": "#include <nlohmann/json.hpp>\n"}, "net may not use <nlohmann/json.hpp>"),
        ({"src/http/a.cc": "#include <sys/socket.h>\n"}, "does no I/O"),
        ({"src/mux/a.cc": "#include <mutex>\n"}, "does no I/O"),
        ({"src/net/a.cc": "#include <boost/asio.hpp>\n"}, "not in the table of external"),
        ({"src/net/a.cc": '#include "link.h"\n'}, "does not name its folder"),
        ({"src/other/a.cc": "\n"}, "not in the table of include directions"),
        ({"ARCHITECTURE.md": "| `mux` | the multiplexer | base, net |\n"}, "what mux may include is not what"),
    ],
    "relay_is_blind": [
        ({"src/relay/a.cc": '#include "crypto/noise.h"\n'}, "reaches crypto/noise.h"),
        ({"src/net/link.h": HEADER + '#include "net/key.h"\n',
          "src/net/key.h": HEADER + '#include "crypto/noise.h"\n'}, "by way of src/net/key.h"),
        ({"LINKS": LINKS + "leat_dep_ssl: leat_sealed\n"}, "linked with leat_sealed"),
    ],
    "link_direction": [
        ({"LINKS": LINKS.replace("leat_base", "leat_base $<LINK_ONLY:leat_http>")},
         "leat_mux may not link leat_http"),
    ],
    "leftovers": [
        ({"src/base/a.cc": "// TO" "DO: later\n"}, "leftover"),
        ({"scripts/verb": SCRIPT + "# good enough for" " now\n"}, "leftover"),
        ({"docs/a.md": "A stu" "b.\n"}, "leftover"),
    ],
    "file_length": [
        ({"src/base/a.cc": "int a;\n" * 601}, "601 lines of code"),
    ],
    "header_paragraph": [
        ({"src/base/a.h": "#pragma once\n"}, "opens with a paragraph"),
        ({"src/base/a.h": "// a.h\n#pragma once\n"}, "opens with a paragraph"),
        ({"src/base/a.h": "// A header that says in a line what it is for.\n"}, "no #pragma once"),
    ],
    "heavy_headers": [
        ({"src/net/a.h": HEADER + "#include <asio.hpp>\n"}, "is heavy"),
        ({"src/base/a.h": HEADER + "#include <nlohmann/json.hpp>\n"}, "is heavy"),
    ],
    "banned_calls": [
        ({"src/base/a.cc": "std::random_device rd;\n"}, "newer glibc"),
        ({"src/net/a.cc": "int x = rand();\n"}, "not random"),
        ({"src/net/a.cc": "sprintf(b, s);\n"}, "bounds"),
        ({"src/mux/a.cc": "auto t = std::chrono::steady_clock::now();\n"}, "reads a clock"),
        ({"src/http/a.cc": "std::mutex m;\n"}, "sans-I/O"),
    ],
    "test_habits": [
        ({"tests/mux/a.cc": "std::this_thread::sleep_for(1s);\n"}, "sleep_for"),
        ({"tests/mux/a.cc": "void f() { ::sleep(1); }\n"}, "sleep(1"),
        ({"tests/e2e/a.py": "time.sleep(1)\n"}, "sleep( in a test"),
        ({"tests/e2e/a.py": "time.sleep(1)  # sleep:\n"}, "sleep( in a test"),
        ({"tests/peers/a.mjs": "setTimeout(() => {}, 1);\n"}, "setTimeout( in a test"),
        ({"tests/interop/a/peer.go": "time.Sleep(time.Second)\n"}, "Sleep( in a test"),
        ({"tests/mux/a.cc": "GTEST_SKIP();\n"}, "GTEST_SKIP"),
        ({"tests/mux/a.cc": "TEST(A, DISABLED_b) {}\n"}, "DISABLED_"),
        ({"tests/e2e/a.py": "self.skipTest('no chromium')\n"}, "skipTest( in a test"),
        ({"tests/e2e/a.py": "@unittest.skipUnless(tool, 'none')\n"}, "skipUnless( in a test"),
        ({"tests/peers/a.mjs": "test.skip('later', () => {});\n"}, "test.skip( in a test"),
        ({"clients/js/test/a.mjs": "test('later', { skip: true }, () => {});\n"}, "skip: in a test"),
    ],
    "machine_paths": [
        ({"docs/a.md": "see /wor" "k/x\n"}, "a path of one machine"),
        ({"src/base/a.cc": "// /home" "/ann/x\n"}, "a path of one machine"),
    ],
    "scripts": [
        ({"scripts/verb": "#!/bin/sh\n"}, "not a bash script"),
        ({"scripts/verb": SCRIPT + "exit 3\n"}, "--help exits 3"),
        ({"scripts/verb": "#!/usr/bin/env bash\nset -euo pipefail\n"}, "does not show"),
    ],
    "error_codes": [
        ({"docs/errors.md": "| `LEAT_GONE` | 503 | is gone |\n"}, "LEAT_USAGE is missing"),
        ({"docs/errors.md": CLEAN["docs/errors.md"] + "| `LEAT_OLD` | 400 | x |\n"}, "LEAT_OLD is not"),
        ({"docs/errors.md": CLEAN["docs/errors.md"].replace("503", "502")}, "status 503, not 502"),
    ],
    "metrics": [
        ({"docs/operators.md": "| `leat_a` | a |\n"}, "leat_b is missing"),
        ({"docs/operators.md": "| `leat_a` | a |\n| `leat_b` | b |\n| `leat_c` | c |\n"}, "leat_c is no metric"),
    ],
    "docs_links": [
        ({"docs/a.md": "[there](nowhere.md#x)\n"}, "nowhere.md does not exist"),
        ({"docs/adr/0002-two.md": "# Two\n"}, "0002-two.md is missing"),
    ],
    "service_units": [
        ({"deploy/leat.service": UNIT.replace("UMask=0077\n", "")}, "without UMask=0077"),
    ],
    "format": [
        ({"src/base/a.cc": "int   a ;\n"}, "a.cc: not formatted"),
    ],
}


class TidyTest(unittest.TestCase):
    def findings(self, rule, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder, "tree")
            links = pathlib.Path(folder, "links.txt")
            links.write_text(files.get("LINKS", LINKS))
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                if name.startswith("scripts/"):
                    path.chmod(0o755)
            (root / ".clang-format").write_text("BasedOnStyle: Google\nColumnLimit: 100\n")
            return list(tidy.RULES[rule](tidy.Tree(root, links)))

    def test_every_rule_has_a_plant(self):
        self.assertEqual(set(PLANTS), set(tidy.RULES))

    def test_a_clean_tree_has_no_findings(self):
        for rule in tidy.RULES:
            with self.subTest(rule=rule):
                self.assertEqual(self.findings(rule, CLEAN), [])

    def test_each_plant_is_found(self):
        for rule, plants in PLANTS.items():
            for files, expected in plants:
                with self.subTest(rule=rule, expected=expected):
                    found = self.findings(rule, CLEAN | files)
                    self.assertTrue(any(expected in finding for finding in found), found)

    def test_a_unit_that_is_not_measured_in_time_is_a_finding(self):
        run = subprocess.run

        def starved(command, **options):
            if command[0] == "systemd-analyze":
                raise subprocess.TimeoutExpired(command[0], options["timeout"])
            return run(command, **options)
        with unittest.mock.patch("tidy.subprocess.run", starved), \
                unittest.mock.patch("tidy.shutil.which", return_value="systemd-analyze"):
            found = self.findings("service_units", CLEAN)
        self.assertRegex("\n".join(found), r"\Adeploy/leat\.service: .*timed out after \d+ seconds\Z")

    def test_new_files_count_before_they_are_committed(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            pathlib.Path(folder, ".gitignore").write_text("ignored\n")
            for name in ("new.md", "ignored"):
                pathlib.Path(folder, name).write_text("text\n")
            self.assertEqual(tidy.Tree(folder).files, [".gitignore", "new.md"])


class SkippedTest(unittest.TestCase):
    REPORT = ('<testsuite><testcase name="a" status="run"/><testcase name="b.net" status="notrun"/>'
              '<testcase name="c" status="disabled"/><testcase name="d" status="fail"/></testsuite>')

    def skipped(self, allowed):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as report:
            report.write(self.REPORT)
            report.flush()
            return skipped.skipped(report.name, allowed)

    def test_a_skipped_test_is_named_unless_it_may_be(self):
        self.assertEqual(self.skipped("^$"), ["b.net", "c"])
        self.assertEqual(self.skipped(r"\.net$"), ["c"])


if __name__ == "__main__":
    unittest.main()
