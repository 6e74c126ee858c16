"""Charts as SVG, with nothing but text: bars, lines on linear or logarithmic axes, and ticks in rows."""

import html
import math

INK, FAINT, FONT = "#222", "#ddd", "font-family='system-ui, sans-serif'"
# Okabe and Ito's colours, which people who see few colours can tell apart; the first is ours.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777", "#000000", "#8b6d31",
           "#6a3d9a", "#5f9ea0", "#b22222")
DASHES = ("", "7 3", "2 3")  # once the colours are used up


class Canvas:
    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self.parts = []
        self.text(16, 24, title, size=16, weight="bold")

    def text(self, x, y, text, size=12, anchor="start", weight="normal", colour=INK):
        self.parts.append(f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' "
                          f"font-weight='{weight}' fill='{colour}'>{html.escape(str(text))}</text>")

    def line(self, x1, y1, x2, y2, colour=INK, width=1.0):
        self.parts.append(f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
                          f"stroke-width='{width}'/>")

    def box(self, x, y, width, height, colour, opacity=1.0):
        self.parts.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0):.1f}' "
                          f"height='{max(height, 0):.1f}' fill='{colour}' fill-opacity='{opacity}'/>")

    def path(self, points, colour, dash="", width=1.6):
        steps = " ".join(f"{'L' if i else 'M'}{x:.1f},{y:.1f}" for i, (x, y) in enumerate(points))
        if points:
            dashed = f" stroke-dasharray='{dash}'" if dash else ""
            self.parts.append(f"<path d='{steps}' fill='none' stroke='{colour}' stroke-width='{width}'{dashed}/>")

    def ticks(self, xs, top, bottom, colour):
        """Many short upright lines as one element."""
        steps = " ".join(f"M{x:.1f},{top:.1f}V{bottom:.1f}" for x in xs)
        self.parts.append(f"<path d='{steps}' stroke='{colour}' stroke-width='1.2'/>")

    def render(self):
        return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {self.height}' "
                f"width='{self.width}' height='{self.height}' {FONT}>\n"
                f"<rect width='{self.width}' height='{self.height}' fill='white'/>\n"
                + "\n".join(self.parts) + "\n</svg>\n")


def marks(least, most, count=5):
    """Round numbers of an axis from `least` to at least `most`."""
    span = (most - least) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * k for k in (1, 2, 5, 10) if step * k * count >= span)
    first = math.floor(least / step)
    return [i * step for i in range(first, math.ceil(most / step - 1e-9) + 1)]


def decades(least, most):
    return [10.0 ** e for e in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


class Axis:
    """From values to places between two ends of the canvas."""

    def __init__(self, values, start, end, log=False):
        values = [v for v in values if not log or v > 0] or [1]
        self.log, self.start, self.end = log, start, end
        self.marks = decades(min(values), max(values)) if log else marks(min(0, *values), max(values))
        if len(self.marks) == 1:
            self.marks.append(self.marks[0] * 10 if log else self.marks[0] + 1)

    def __call__(self, value):
        low, high = self.marks[0], self.marks[-1]
        if self.log:
            share = math.log(max(value, low) / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return self.start + share * (self.end - self.start)


def strokes(names):
    """A colour and a dash for each, no two alike: the first for the first of ours, so that it looks alike in
    every chart."""
    ours = next((name for name in names if name.startswith("leat")), None)
    others = iter((colour, dash) for dash in DASHES for colour in COLOURS[1:])
    return {name: (COLOURS[0], "") if name == ours else next(others) for name in names}


def number(value):
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 10 else f"{value:.3g}"


def bars(title, unit, values, ours=lambda name: False):
    """Horizontal bars: values is [(name, value, least, most)]; what lies between least and most is shown."""
    row, left, width = 24, 120, 720
    canvas = Canvas(width, 64 + row * len(values), f"{title} ({unit})")
    axis = Axis([most for *_, most in values], left, width - 80)
    for i, (name, value, least, most) in enumerate(values):
        y = 44 + row * i
        canvas.text(left - 8, y + 13, name, anchor="end", weight="bold" if ours(name) else "normal")
        canvas.box(left, y, axis(value) - left, row - 8, COLOURS[0] if ours(name) else COLOURS[6])
        canvas.line(axis(least), y + 8, axis(most), y + 8, INK, 2)
        canvas.text(axis(most) + 8, y + 13, number(value))
    return canvas.render()


def lines(title, x_title, y_title, series, log_x=False, log_y=False):
    """series: {name: [(x, y), …]}; the axes cover all."""
    width, height, left, right, top, bottom = 760, 420, 64, 150, 44, 52
    canvas = Canvas(width, height, title)
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_axis, y_axis = Axis(xs, left, width - right, log_x), Axis(ys, height - bottom, top, log_y)
    for mark in x_axis.marks:
        canvas.line(x_axis(mark), top, x_axis(mark), height - bottom, FAINT)
        canvas.text(x_axis(mark), height - bottom + 18, number(mark), anchor="middle")
    for mark in y_axis.marks:
        canvas.line(left, y_axis(mark), width - right, y_axis(mark), FAINT)
        canvas.text(left - 6, y_axis(mark) + 4, number(mark), anchor="end")
    canvas.text((left + width - right) / 2, height - 12, x_title, anchor="middle")
    canvas.text(left - 48, top - 6, y_title, size=11)
    palette = strokes(list(series))
    for i, (name, points) in enumerate(series.items()):
        canvas.path([(x_axis(x), y_axis(y)) for x, y in points], *palette[name])
        y = top + 20 * i + 6
        canvas.path([(width - right + 8, y), (width - right + 28, y)], *palette[name], width=3)
        canvas.text(width - right + 34, y + 4, name)
    return canvas.render()


def timelines(title, subtitle, rows, seconds, shaded):
    """A row of ticks for each (name, times, remark); `shaded`: from when on something else runs, its name."""
    height, left, width, right = 46, 120, 1000, 240
    start, what = shaded
    canvas = Canvas(width, 100 + height * len(rows), title)
    canvas.text(16, 44, subtitle, colour="#555")
    axis = lambda t: left + min(t, seconds) / seconds * (width - left - right)  # noqa: E731
    bottom = 66 + height * len(rows)
    canvas.box(axis(start), 56, axis(seconds) - axis(start), bottom - 60, COLOURS[5], 0.15)
    canvas.text(axis(start) + 4, 66, what, size=11, colour="#555")
    for i, (name, times, remark) in enumerate(rows):
        y = 72 + height * i
        ours = name.startswith("leat")
        canvas.text(left - 10, y + 20, name, size=13, anchor="end", weight="bold" if ours else "normal")
        canvas.ticks([axis(t) for t in times if 0 <= t <= seconds], y, y + height - 16,
                     COLOURS[0] if ours else COLOURS[1])
        canvas.text(axis(seconds) + 10, y + 20, remark, size=11)
    for mark in marks(0, seconds, 8):
        if mark <= seconds:
            canvas.text(axis(mark), bottom + 22, f"{number(mark)} s", size=11, anchor="middle")
    return canvas.render()
