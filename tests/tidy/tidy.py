"""The project's rules as tests.

    tidy.py --list                          the rules
    tidy.py [--root DIR] [--links FILE] [RULE…]   checks these, or all; prints findings, fails if any

A rule is a generator that takes a Tree and yields findings. tidy_test.py plants a violation of each.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

# src folder -> the src folders it may include (docs: ARCHITECTURE.md, "Include direction").
MAY_INCLUDE = {
    "base": set(),
    "config": {"base"},
    "mux": {"base"},
    "http": {"base"},
    "crypto": {"base"},
    "auth": {"base"},
    "control": {"base", "proto"},
    "net": {"base", "mux", "http"},
    "sealed": {"net", "mux", "crypto", "base"},
    "store": {"base"},
    "relay": {"net", "control", "proto", "http", "mux", "store", "auth", "base"},
    "agent": {"net", "sealed", "crypto", "control", "proto", "http", "mux", "base"},
    "connect": {"net", "sealed", "crypto", "control", "proto", "http", "mux", "base"},
}
UNRESTRICTED = {"cli"}  # the binary puts everything together

# Folders that hold no socket, clock, thread or lock.
SANS_IO = {"mux", "http", "crypto", "auth", "control"}

# Relay code must not be able to read what is sealed.
BLIND = "relay"
BLIND_TO = {"crypto", "sealed"}

# external header (prefix of what stands between the angle brackets) -> folders that may use it.
ANYWHERE = set(MAY_INCLUDE)
EXTERNAL = {
    "absl/": ANYWHERE,
    "tl/expected.hpp": ANYWHERE,
    "nlohmann/": {"base", "auth", "relay", "agent"},  # docs/adr/0010: in .cc files, off the hot path
    "spdlog/": {"base"},
    "fmt/": {"base"},
    "openssl/": {"base", "auth", "crypto", "net"},
    "sodium": {"base", "crypto"},
    "yaml-cpp/": {"config"},
    "llhttp": {"http"},
    "google/protobuf/": {"control"},
    "arpa/inet.h": ANYWHERE,  # inet_pton and byte order: pure functions
    "asio": {"net"},
    "sqlite3.h": {"store"},
    "qrcodegen": set(),
    "CLI/": set(),
}
SYSTEM = re.compile(  # the C library's own and the kernel's, for folders that may do I/O
    r"(sys|netinet|arpa|linux|net)/|(unistd|fcntl|poll|pthread|sched|netdb|ifaddrs|pwd|grp|dirent|"
    r"syslog|termios|execinfo|dlfcn|spawn|endian|byteswap|strings|getopt|malloc|signal)\.h$")
CONCURRENCY = {"thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore", "latch",
               "barrier", "stop_token", "fstream", "iostream", "filesystem", "csignal"}
HEAVY = ("nlohmann/json.hpp", "spdlog/", "fmt/", "asio.hpp", "asio/", "yaml-cpp/", "CLI/")

# Of every unit in deploy/, which then comes to less than this by `systemd-analyze security` (of 100).
UNIT_EXPOSURE = 20
UNIT_SETTINGS = (
    "UMask=0077", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "ProtectProc=invisible",
    "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
    "ProtectClock=yes", "ProtectHostname=yes", "PrivateTmp=yes", "PrivateDevices=yes", "RestrictNamespaces=yes",
    "RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK")

CODE_LINES_WARN, CODE_LINES_FAIL = 500, 600

LEFTOVERS = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|\b[Nn]ot implemented\b|"  # "Not Implemented" is what 501 is called
    r"(?i:\b(for now|unimplemented|placeholder|stub|simplified)\b)")
MACHINE_PATHS = re.compile(r"/wor[k]/|/far[m]/|/home/[a-z]|/Users/[A-Za-z]|/tmp/bas[h]_jobs")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


class Tree:
    """The project's files: tracked ones and new ones that are not ignored."""

    def __init__(self, root, links=None):
        self.root = pathlib.Path(root)
        self.links = links
        self._text = {}
        if (self.root / ".git").exists():
            listing = subprocess.run(
                ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
            names = [name for name in listing if name]
        else:
            names = [str(path.relative_to(self.root)) for path in self.root.rglob("*")]
        self.files = sorted(name for name in set(names) if (self.root / name).is_file())

    def select(self, *prefixes, suffixes=None):
        for name in self.files:
            if any(name.startswith(prefix) for prefix in prefixes):
                if suffixes is None or name.endswith(suffixes):
                    yield name

    def cpp(self, *prefixes):
        return self.select(*(prefixes or ("",)), suffixes=(".cc", ".h"))

    def text(self, name):
        if name not in self._text:
            data = (self.root / name).read_bytes()
            self._text[name] = "" if b"\0" in data else data.decode("utf-8", "replace")
        return self._text[name]

    def lines(self, name):
        return enumerate(self.text(name).split("\n"), 1)

    def includes(self, name):
        """(line, quoted?, path) of each #include."""
        for number, line in self.lines(name):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1) == '"', match.group(2)


def folder_of(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def code_of(text):
    """The text without comments (line structure kept); string literals are left alone."""
    token = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)
    return token.sub(lambda m: m.group(0) if m.group(0)[0] == '"'
                     else "\n" * m.group(0).count("\n"), text)


def rule_include_direction(tree):
    page = "ARCHITECTURE.md"
    if page in tree.files:
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", tree.text(page), re.M)
        told = {folder: set(re.findall(r"\w+", may)) for folder, may in rows if may != "all"}
        for folder in sorted(MAY_INCLUDE.keys() | told.keys()):
            if told.get(folder) != MAY_INCLUDE.get(folder):
                yield f"{page}: what {folder} may include is not what tests/tidy allows"
    for name in tree.cpp("src/"):
        folder = folder_of(name)
        if folder is None or folder in UNRESTRICTED:
            continue
        if folder not in MAY_INCLUDE:
            yield f"{name}:1: folder '{folder}' is not in the table of include directions"
            continue
        for number, quoted, path in tree.includes(name):
            problem = quoted_problem(folder, path) if quoted else external_problem(folder, path)
            if problem:
                yield f"{name}:{number}: {problem}"


def quoted_problem(folder, path):
    target = path.split("/")[0] if "/" in path else None
    if target is None:
        return f'"{path}" does not name its folder'
    if target != folder and target not in MAY_INCLUDE[folder]:
        return f"{folder} may not include {target} ({path})"
    return None


def external_problem(folder, path):
    for prefix, allowed in EXTERNAL.items():
        if path.startswith(prefix):
            return None if folder in allowed else f"{folder} may not use <{path}>"
    if path in CONCURRENCY or SYSTEM.match(path):
        return f"{folder} does no I/O and may not use <{path}>" if folder in SANS_IO else None
    if re.fullmatch(r"[a-z_0-9]+", path):  # the C++ standard library
        return None
    return f"<{path}> is not in the table of external headers"


def rule_relay_is_blind(tree):
    """No chain of includes, and no chain of linked libraries, leads from the relay to the keys."""
    seen = {name: None for name in tree.cpp(f"src/{BLIND}/")}
    queue = list(seen)
    while queue:
        name = queue.pop()
        for number, quoted, path in tree.includes(name):
            target = f"src/{path}"
            if not quoted or target in seen:
                continue
            if folder_of(target) in BLIND_TO:
                chain = [f"{name}:{number}"]
                while seen[name]:
                    name = seen[name]
                    chain.append(name)
                yield f"{chain[0]}: {BLIND} reaches {path}, by way of {' <- '.join(chain)}"
                return
            if target in tree.files:
                seen[target] = name
                queue.append(target)
    links = read_links(tree)
    reached, queue = set(), [f"leat_{BLIND}"]
    while queue:
        library = queue.pop()
        if library in reached:
            continue
        reached.add(library)
        queue.extend(links.get(library, ()))
    for folder in sorted(BLIND_TO):
        if f"leat_{folder}" in reached:
            yield f"CMake: leat_{BLIND} is linked with leat_{folder}"


def read_links(tree):
    """CMake's own link graph, written by tests/tidy/CMakeLists.txt: 'target: library library …'."""
    if tree.links is None:
        return {}
    graph = {}
    for line in pathlib.Path(tree.links).read_text().splitlines():
        target, _, libraries = line.partition(":")
        graph[target] = {re.sub(r"\$<LINK_ONLY:(.*)>", r"\1", item) for item in libraries.split()}
    return graph


def rule_link_direction(tree):
    for target, libraries in sorted(read_links(tree).items()):
        folder = target.removeprefix("leat_")
        if folder in UNRESTRICTED or folder not in MAY_INCLUDE:
            continue
        for library in sorted(libraries):
            linked = library.removeprefix("leat_")
            if linked != library and linked in (set(MAY_INCLUDE) | UNRESTRICTED) - {folder}:
                if linked not in MAY_INCLUDE[folder]:
                    yield f"CMake: {target} may not link {library}"


def rule_leftovers(tree):
    for name in tree.files:
        if name.startswith(("tests/tidy/", "tests/corpus/")) or name.endswith((".json", ".html", "LICENSE")):
            continue
        for number, line in tree.lines(name):
            match = LEFTOVERS.search(line)
            if match:
                yield f"{name}:{number}: leftover '{match.group(0)}'"


def rule_file_length(tree):
    for name in tree.cpp("src/"):
        count = sum(1 for line in code_of(tree.text(name)).split("\n") if line.strip())
        if count > CODE_LINES_FAIL:
            yield f"{name}:1: {count} lines of code, {CODE_LINES_FAIL} at most: split it"
        elif count > CODE_LINES_WARN:
            print(f"warning: {name}: {count} lines of code; over {CODE_LINES_WARN} usually holds two ideas")


def rule_header_paragraph(tree):
    for name in tree.select("src/", "tests/", "bench/", suffixes=(".h",)):
        lines = tree.text(name).split("\n")
        comment = []
        for line in lines:
            if not line.startswith("//"):
                break
            comment.append(line[2:])
        if len(" ".join(comment).split()) < 6:
            yield f"{name}:1: a header opens with a paragraph that says what the file is for"
        if "#pragma once" not in lines:
            yield f"{name}:1: no #pragma once"


def rule_heavy_headers(tree):
    for name in tree.select("src/", suffixes=(".h",)):
        for number, _, path in tree.includes(name):
            if path.startswith(HEAVY):
                yield f"{name}:{number}: <{path}> is heavy and belongs into a .cc file"


def rule_banned_calls(tree):
    everywhere = {
        r"std::random_device|<random_device>": "asks for a newer glibc; use leat::random_bytes",
        r"std::rand\b|(?<![\w:.>])s?rand\(": "is not random; use leat::random_bytes",
        r"(?<![\w:.>])(strcpy|strcat|sprintf|gets|strtok)\(": "does not know its bounds",
    }
    sans_io = {
        r"_clock::now\(|(?<![\w:.>])(time|clock_gettime|gettimeofday)\(": "reads a clock; take 'now'",
        r"std::(thread|jthread|mutex|lock_guard|atomic)\b": "has no place in a sans-I/O folder",
    }
    for name in tree.cpp("src/"):
        bans = dict(everywhere)
        if folder_of(name) in SANS_IO:
            bans.update(sans_io)
        for number, line in enumerate(code_of(tree.text(name)).split("\n"), 1):
            for pattern, why in bans.items():
                match = re.search(pattern, line)
                if match:
                    yield f"{name}:{number}: {match.group(0)} {why}"


def rule_test_habits(tree):
    """No sleeping, no skipping without a word: a test waits for the event, and runs or is not there."""
    sleeping = re.compile(r"sleep_for|sleep_until|(?<![\w.>])(::|std::)?u?sleep\(\d|nanosleep")
    skipping = re.compile(r"GTEST_SKIP|\bDISABLED_\w")
    for name in tree.cpp("tests/", "bench/"):
        for number, line in enumerate(code_of(tree.text(name)).split("\n"), 1):
            for pattern in (sleeping, skipping):
                match = pattern.search(line)
                if match:
                    yield f"{name}:{number}: {match.group(0)} in a test"
    skipping = re.compile(r"\b(skipTest|skipIf|skipUnless|SkipTest|unittest\.skip|test\.skip|t\.Skip\w*)\(|\bskip:(?= )")
    for name in tree.select("tests/", "clients/js/test/", suffixes=(".py", ".mjs", ".js", ".go")):
        if not name.startswith("tests/tidy/"):
            for number, line in tree.lines(name):
                if match := skipping.search(line):
                    yield f"{name}:{number}: {match.group(0)} in a test"
    # Elsewhere a sleep is right now and then, for what hangs, or for a pace: it says so on its line.
    waiting = re.compile(r"\b(sleep|setTimeout|setInterval|Sleep|AfterFunc)\(")
    reason = re.compile(r"(#|//) sleep: \w")
    for name in tree.select("tests/", suffixes=(".py", ".mjs", ".js", ".go")):
        if name.startswith("tests/tidy/"):
            continue
        for number, line in tree.lines(name):
            match = waiting.search(line)
            if match and not reason.search(line):
                yield f"{name}:{number}: {match.group(0)} in a test, without a comment 'sleep: why'"


def rule_machine_paths(tree):
    for name in tree.files:
        for number, line in tree.lines(name):
            match = MACHINE_PATHS.search(line)
            if match:
                yield f"{name}:{number}: a path of one machine ({match.group(0)})"


def rule_scripts(tree):
    """Each script is bash, stops at errors, and answers --help."""
    for name in tree.files:
        if not re.fullmatch(r"scripts/[^/.]+", name):
            continue
        path = tree.root / name
        lines = tree.text(name).split("\n")
        if lines[0] != "#!/usr/bin/env bash" or "set -euo pipefail" not in lines:
            yield f"{name}:1: not a bash script with 'set -euo pipefail'"
            continue
        if not os.access(path, os.X_OK):
            yield f"{name}:1: not executable"
            continue
        run = subprocess.run([str(path), "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=20, check=False)
        if run.returncode != 0 or f"{name}" not in run.stdout.decode("utf-8", "replace"):
            yield f"{name}:1: --help exits {run.returncode} and does not show how to call it"


def rule_error_codes(tree):
    """docs/errors.md lists the codes of src/base/error_codes.inc, with their HTTP status."""
    source, page = "src/base/error_codes.inc", "docs/errors.md"
    if source not in tree.files:
        return
    code = re.compile(r"^LEAT_ERROR\((\w+), (\d+),")
    row = re.compile(r"^\| *`LEAT_(\w+)` *\| *(\d+|–|-)? *\|")
    defined, listed = {}, {}
    for _, line in tree.lines(source):
        if match := code.match(line):
            defined[match.group(1)] = match.group(2)
    if page in tree.files:
        for _, line in tree.lines(page):
            if match := row.match(line):
                status = match.group(2) or "0"
                listed[match.group(1)] = status if status.isdigit() else "0"
    if not defined:
        yield f"{source}:1: no code found"
    for name in sorted(defined.keys() - listed.keys()):
        yield f"{page}: LEAT_{name} is missing"
    for name in sorted(listed.keys() - defined.keys()):
        yield f"{page}: LEAT_{name} is not a code"
    for name in sorted(defined.keys() & listed.keys()):
        if defined[name] != listed[name]:
            yield f"{page}: LEAT_{name} has status {defined[name]}, not {listed[name]}"


def rule_metrics(tree):
    """docs/operators.md lists the metrics of relay and agent."""
    page = "docs/operators.md"
    sources = [name for name in ("src/relay/metrics.cc", "src/agent/metrics.cc") if name in tree.files]
    written = {name for source in sources
               for name in re.findall(r'\b(?:family|single)\(\s*"(leat_\w+)"', tree.text(source))}
    listed = set(re.findall(r"^\| `(leat_\w+)` \|", tree.text(page), re.M)) if page in tree.files else set()
    if sources and not written:
        yield f"{sources[0]}:1: no metric found"
    for name in sorted(written - listed):
        yield f"{page}: {name} is missing"
    for name in sorted(listed - written):
        yield f"{page}: {name} is no metric"


def rule_docs_links(tree):
    """Relative links in Markdown lead somewhere, and docs/adr/README.md names every record."""
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    for name in tree.select("", suffixes=(".md",)):
        for number, line in tree.lines(name):
            for target in link.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not (tree.root / name).parent.joinpath(target).exists():
                    yield f"{name}:{number}: {target} does not exist"
    index = "docs/adr/README.md"
    for name in tree.select("docs/adr/", suffixes=(".md",)):
        base = name.rsplit("/", 1)[1]
        if name != index and (index not in tree.files or f"({base})" not in tree.text(index)):
            yield f"{index}: {base} is missing from the list"


def rule_service_units(tree):
    """The units are sandboxed: setting by setting, and by systemd's own measure where it is installed."""
    units = [name for name in tree.files if re.fullmatch(r"deploy/[^/]+\.service", name)]
    for name in units:
        lines = tree.text(name).split("\n")
        for setting in UNIT_SETTINGS:
            if setting not in lines:
                yield f"{name}: without {setting}"
    if not units or not shutil.which("systemd-analyze"):
        return
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={UNIT_EXPOSURE}"]
    for name in units:
        try:
            run = subprocess.run([*command, str(tree.root / name)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=120, text=True, check=False)
        except subprocess.TimeoutExpired as error:
            yield f"{name}: {error}"
            continue
        if run.returncode != 0:
            yield f"{name}: {run.stdout.strip().splitlines()[-1]}"


def rule_format(tree):
    names = [str(tree.root / name) for name in tree.cpp()]
    for start in range(0, len(names), 16):
        run = subprocess.run(["clang-format", "--dry-run", "-Werror", *names[start:start + 16]],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode != 0:
            found = sorted(set(re.findall(r"^(.+?):\d+:\d+: error", run.stdout, re.M)))
            for name in found or [run.stdout.strip()]:
                yield f"{name}: not formatted (scripts/format)"


RULES = {name.removeprefix("rule_"): function for name, function in list(globals().items())
         if name.startswith("rule_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=str(pathlib.Path(__file__).resolve().parents[2]))
    parser.add_argument("--links")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("rules", nargs="*", metavar="RULE")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(RULES))
        return 0
    tree = Tree(arguments.root, arguments.links)
    findings = [finding for rule in arguments.rules or RULES for finding in RULES[rule](tree)]
    for finding in findings:
        print(finding)
    print(f"{len(tree.files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
