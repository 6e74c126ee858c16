"""Reads a QR code (ISO/IEC 18004) off a terminal: half blocks, black on white, as src/cli/qr.cc draws it."""

import re

QUIET = 2
# By version, from 1 on: error correction codewords of a block, and blocks; for the levels L, M, Q and H.
CORRECTION = {
    1: (7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28),
    0: (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26),
    3: (13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30),
    2: (17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28),
}
BLOCKS = {
    1: (1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8),
    0: (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16),
    3: (1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20),
    2: (1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25),
}
MASKS = (lambda x, y: (x + y) % 2, lambda x, y: y % 2, lambda x, y: x % 3, lambda x, y: (x + y) % 3,
         lambda x, y: (x // 3 + y // 2) % 2, lambda x, y: x * y % 2 + x * y % 3,
         lambda x, y: (x * y % 2 + x * y % 3) % 2, lambda x, y: ((x + y) % 2 + x * y % 3) % 2)


def _lines(shown):
    return re.findall("\x1b\\[30;107m([ \u2588\u2580\u2584]*)\x1b\\[0m", shown)


def is_whole(shown):
    """Whether all of a code has been sent to the terminal."""
    lines = _lines(shown)
    return bool(lines) and 2 * len(lines) >= len(lines[0])


def modules(shown):
    """The code in what a terminal was sent: rows of True (dark) and False, without the quiet zone."""
    lines = _lines(shown)
    rows = []
    for line in lines:
        rows.append([each in "\u2588\u2580" for each in line])
        rows.append([each in "\u2588\u2584" for each in line])
    size = len(lines[0]) - 2 * QUIET
    inside = [row[QUIET:-QUIET] for row in rows[QUIET:QUIET + size]]
    if sum(map(sum, rows)) != sum(map(sum, inside)):
        raise AssertionError("something is in the quiet zone")
    return inside


def _is_function(version, size):
    """Whether a module belongs to the patterns, and holds no data."""
    places = []
    if version > 1:
        count = version // 7 + 2
        step = (version * 8 + count * 3 + 5) // (count * 4 - 4) * 2
        places = [6] + [size - 7 - step * each for each in reversed(range(count - 1))]
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    aligned = {(x + i, y + j) for x in places for y in places if (x, y) not in corners
               for i in range(-2, 3) for j in range(-2, 3)}

    def test(x, y):
        near = (x < 9 and y < 9) or (x >= size - 8 and y < 9) or (x < 9 and y >= size - 8)
        told = version >= 7 and ((x < 6 and size - 11 <= y) or (y < 6 and size - 11 <= x))
        return near or told or 6 in (x, y) or (x, y) in aligned
    return test


def read(shown):
    """The text of a code in byte mode that nothing has damaged."""
    code = modules(shown)
    size = len(code)
    version = (size - 17) // 4
    places = [(8, y) for y in range(6)] + [(8, 7), (8, 8), (7, 8)] + [(14 - i, 8) for i in range(9, 15)]
    told = sum(code[y][x] << i for i, (x, y) in enumerate(places)) ^ 0x5412
    level, mask = told >> 13, MASKS[told >> 10 & 7]
    function = _is_function(version, size)
    bits = []
    for right in [*range(size - 1, 6, -2), 5, 3, 1]:
        for step in range(size):
            y = size - 1 - step if (right + 1) & 2 == 0 else step
            for x in (right, right - 1):
                if not function(x, y):
                    bits.append(code[y][x] ^ (mask(x, y) == 0))
    words = [sum(bit << 7 - i for i, bit in enumerate(bits[at:at + 8])) for at in range(0, len(bits) - 7, 8)]
    count = BLOCKS[level][version - 1]
    short = len(words) // count - CORRECTION[level][version - 1]
    short_ones = count - len(words) % count
    blocks = [[] for _ in range(count)]
    rest = iter(words)
    for at in range(short + 1):
        for number, block in enumerate(blocks):
            if at < short or number >= short_ones:
                block.append(next(rest))
    data = bytes(word for block in blocks for word in block)
    number = int.from_bytes(data, "big")
    wide = 8 if version < 10 else 16
    total = 8 * len(data)
    if number >> total - 4 != 4:
        raise AssertionError("not in byte mode")
    length = number >> total - 4 - wide & (1 << wide) - 1
    return (number >> total - 4 - wide - 8 * length & (1 << 8 * length) - 1).to_bytes(length, "big").decode()
