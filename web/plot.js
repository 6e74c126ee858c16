// Lines over the last five minutes, in SVG: one or two series, a scale that fits, and what was under the
// pointer.
import { clock } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const SECONDS = 300;
const GAP = 6;
const HEIGHT = 132;
const LEFT = 58, TOP = 10, BOTTOM = 20;

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

// 1, 2 or 5 times a power of ten, not below `value`.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value * 0.999);
}

export class Plot {
  // `series`: [{ name, key, fill }]; `show`: a value in words; `least`: the smallest top of the scale.
  constructor(host, { title, series, show, least }) {
    Object.assign(this, { host, title, series, show, least, points: [], at: null });
    this.svg = element('svg', { role: 'img' }, host);
    this.readout = document.createElement('p');
    this.readout.className = 'readout';
    host.append(this.readout);
    new ResizeObserver(() => this.draw()).observe(host);
    this.svg.addEventListener('pointermove', (event) => {
      this.at = event.offsetX;
      this.draw();
    });
    this.svg.addEventListener('pointerleave', () => {
      this.at = null;
      this.draw();
    });
  }

  set(points) {
    this.points = points.slice(-SECONDS);
    this.draw();
  }

  add(point) {
    this.points.push(point);
    if (this.points.length > SECONDS) this.points.shift();
    this.draw();
  }

  draw() {
    const width = this.host.clientWidth;
    if (width < LEFT * 2) return;
    const last = this.points.at(-1);
    const now = last ? last.at : Date.now() / 1000;
    const most = Math.max(this.least, ...this.points.flatMap((p) => this.series.map((s) => p[s.key] ?? 0)));
    const top = nice(most);
    const x = (at) => LEFT + (width - LEFT - 2) * (1 - (now - at) / (SECONDS - 1));
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    this.svg.replaceChildren();
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute('height', HEIGHT);
    for (const part of [0, 0.5, 1]) {
      element('line', { class: 'grid', x1: LEFT, x2: width, y1: y(top * part), y2: y(top * part) }, this.svg);
      element('text', { x: LEFT - 8, y: y(top * part) + 4, 'text-anchor': 'end' }, this.svg).textContent =
        this.show(top * part);
    }
    for (const minute of [4, 3, 2, 1]) {
      if (width < 480 && minute % 2) continue;
      element('text', { x: x(now - minute * 60), y: HEIGHT - 4, 'text-anchor': 'middle' }, this.svg).textContent =
        `${minute} min ago`;
    }
    this.series.forEach((series, index) => this.line(series, index, x, y));
    this.read(x, now);
    const words = this.series.map((s) => `${s.name} ${this.show(last?.[s.key] ?? 0)}`).join(', ');
    this.svg.setAttribute('aria-label', `${this.title}, now: ${words}`);
  }

  // Where nothing was measured for a while the line has a gap.
  line({ key, fill }, index, x, y) {
    const runs = [];
    let before = -GAP;
    for (const point of this.points) {
      if (point[key] === null || point[key] === undefined) continue;
      if (point.at - before >= GAP) runs.push([]);
      runs.at(-1).push(`${x(point.at).toFixed(1)} ${y(point[key]).toFixed(1)}`);
      before = point.at;
    }
    for (const each of runs) {
      const path = `M${each.join('L')}`;
      const ends = [each[0], each.at(-1)].map((text) => text.split(' ')[0]);
      if (fill && each.length > 1) {
        element('path', { class: `area s${index}`, d: `${path}L${ends[1]} ${y(0)}L${ends[0]} ${y(0)}Z` }, this.svg);
      }
      const dot = each.length === 1 ? `${path}h0.1` : path;
      element('path', { class: `line s${index}`, d: dot }, this.svg);
    }
  }

  read(x, now) {
    let point = this.points.at(-1);
    if (this.at !== null && this.points.length) {
      point = this.points.reduce((a, b) => (Math.abs(x(b.at) - this.at) < Math.abs(x(a.at) - this.at) ? b : a));
      element('line', { class: 'cursor', x1: x(point.at), x2: x(point.at), y1: TOP, y2: HEIGHT - BOTTOM }, this.svg);
    }
    const parts = this.series.map((series, index) => {
      const part = document.createElement('span');
      part.className = `key s${index}`;
      const value = point?.[series.key];
      part.textContent = `${series.name} ${value === null || value === undefined ? '–' : this.show(value)}`;
      return part;
    });
    const when = document.createElement('time');
    when.textContent = point && point.at !== now ? clock(new Date(point.at * 1000)) : 'now';
    this.readout.replaceChildren(...parts, when);
  }
}
