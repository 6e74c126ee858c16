"""What the released binary may ask of the machine it runs on.

    release_binary.py build/release/leat
"""

import os
import re
import subprocess
import sys
import unittest

NEWEST_GLIBC = (2, 35)  # Ubuntu 22.04; Debian 12 has 2.36
LIBRARIES = re.compile(r"lib(c|m|dl|pthread|rt|resolv)\.so\.\d+|ld-linux[\w-]*\.so\.\d+|linux-vdso\.so\.1")
LARGEST = 15 * 1000 * 1000
BINARY = None


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def newer_symbols(symbols):
    """The lines of `objdump -T` that name a version above NEWEST_GLIBC."""
    return [line for line in symbols.splitlines()
            for version in re.findall(r"GLIBC_(\d+)\.(\d+)", line)
            if tuple(map(int, version)) > NEWEST_GLIBC]


def foreign_libraries(listing):
    """The lines of `ldd` that name anything but the C library."""
    return [line.strip() for line in listing.splitlines()
            if line.strip() and not LIBRARIES.fullmatch(line.split()[0].rsplit("/", 1)[-1])]


class ReleaseBinary(unittest.TestCase):
    def test_the_symbol_check_can_fail(self):
        self.assertEqual(newer_symbols("0 DF *UND* 0 (GLIBC_2.35) a\n0 DF *UND* 0 (GLIBC_2.2.5) b\n"), [])
        self.assertEqual(len(newer_symbols("0 DF *UND* 0 (GLIBC_2.36) arc4random\n")), 1)

    def test_the_library_check_can_fail(self):
        self.assertEqual(foreign_libraries("\tlibc.so.6 => /lib/x/libc.so.6 (0x0)\n\t/lib64/ld-linux-x86-64.so.2 (0x0)\n"), [])
        self.assertEqual(len(foreign_libraries("\tlibstdc++.so.6 => /lib/x/libstdc++.so.6 (0x0)\n")), 1)

    def test_no_symbol_newer_than_ubuntu_22_04(self):
        symbols = output("objdump", "-T", BINARY)
        self.assertIn("GLIBC_", symbols)
        self.assertEqual(newer_symbols(symbols), [])

    def test_only_the_c_library_is_linked(self):
        listing = output("ldd", BINARY)
        self.assertIn("libc.so.6", listing)
        self.assertEqual(foreign_libraries(listing), [])

    def test_it_is_small_and_stripped(self):
        self.assertLess(os.path.getsize(BINARY), LARGEST)
        self.assertNotIn(".symtab", output("readelf", "-S", "-W", BINARY))

    def test_it_is_hardened(self):
        headers = output("readelf", "-h", "-l", "-d", "-W", BINARY)
        self.assertRegex(headers, r"Type:\s+DYN")  # position independent
        self.assertIn("GNU_RELRO", headers)
        self.assertRegex(headers, r"FLAGS_1.*NOW")
        self.assertRegex(headers, r"GNU_STACK.*RW ")
        self.assertIn("__stack_chk_fail", output("objdump", "-T", BINARY))


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
