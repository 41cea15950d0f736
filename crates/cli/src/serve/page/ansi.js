// Converts terminal output to coloured rows. Applies carriage returns and backspaces, and removes other control sequences.

import { visible } from "./text.js";

/** Longer lines are split: one huge line would block the layout of the page. */
const MAX_ROW = 2000;
const MAX_RUNS = 200;
const MAX_HELD = 4096;

// Text; CSI; OSC; DCS, SOS, PM and APC; other escapes; one character (ECMA-48).
const TOKEN = /[^\0-\x1f\x7f-\x9f]+|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]*[0-~]|[^]/g;
const UNFINISHED = /^\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*|[PX^_][^\x1b]*|[ -/]*)$/;
const PLAIN = { fg: null, bg: null, flags: "" };
const FLAGS = { 1: "b", 3: "i", 4: "u", 7: "v", 22: "b", 23: "i", 24: "u", 27: "v" };

export class Terminal {
	constructor() {
		Object.assign(this, { style: PLAIN, held: "", done: [] });
		this.newRow(false);
	}

	newRow(continued) {
		this.current = { text: "", runs: [], continued };
		this.rewind = false;
	}

	feed(piece) {
		let text = this.held + piece;
		this.held = "";
		const escape = text.lastIndexOf("\x1b");
		if (escape >= 0 && text.length - escape < MAX_HELD && UNFINISHED.test(text.slice(escape))) {
			this.held = text.slice(escape);
			text = text.slice(0, escape);
		}
		for (const [token] of text.matchAll(TOKEN)) this.take(token);
		return this.done.splice(0);
	}

	take(token) {
		const code = token.charCodeAt(0);
		if (code === 10) {
			this.done.push(this.current);
			this.newRow(false);
		} else if (code === 13) this.rewind = true;
		else if (code === 8) this.backspace();
		else if (code === 27) {
			if (/^.\[[\d;:]*m$/.test(token)) this.select(token.slice(2, -1));
		} else if (code === 9 || (code >= 32 && (code < 127 || code > 159))) this.print(visible(token));
	}

	print(text) {
		if (this.rewind) this.newRow(this.current.continued);
		while (text) {
			const room = MAX_ROW - this.current.text.length;
			if (room <= 0) {
				this.done.push(this.current);
				this.newRow(true);
				continue;
			}
			// A pair of surrogates is one character and stays together.
			const cut = text.length > room && room > 1 && (text.charCodeAt(room - 1) & 0xfc00) === 0xd800 ? room - 1 : room;
			const part = text.slice(0, cut);
			const { runs } = this.current;
			const last = runs.at(-1);
			if (last && (last[1] === this.style || runs.length >= MAX_RUNS)) last[0] += part;
			else runs.push([part, this.style]);
			this.current.text += part;
			text = text.slice(cut);
		}
	}

	backspace() {
		const { runs, text } = this.current;
		const last = runs.at(-1);
		if (!last) return;
		this.current.text = text.slice(0, -1);
		last[0] = last[0].slice(0, -1);
		if (!last[0]) runs.pop();
	}

	select(parameters) {
		const codes = parameters.split(/[;:]/, 64).map(Number);
		const style = { ...this.style };
		for (let i = 0; i < codes.length; i += 1) {
			const code = codes[i] || 0;
			const place = code % 60 < 40 && code % 60 >= 30 ? "fg" : "bg";
			if (code === 0) Object.assign(style, PLAIN);
			else if (FLAGS[code]) style.flags = style.flags.replace(FLAGS[code], "") + (code < 10 ? FLAGS[code] : "");
			else if (code === 39 || code === 49) style[place] = null;
			else if (code === 38 || code === 48) {
				const isIndex = codes[i + 1] === 5;
				style[place] = isIndex ? indexed(codes[i + 2]) : hex(codes.slice(i + 2, i + 5));
				i += isIndex ? 2 : 4;
			} else if ((code >= 30 && code < 50) || (code >= 90 && code < 108)) style[place] = `var(--c${code % 10})`;
		}
		// Text in the colour of its background would be invisible.
		if (style.fg === style.bg) style.bg = null;
		this.style = style;
	}
}

function indexed(n) {
	if (!(n >= 0 && n < 256)) return null;
	if (n < 16) return `var(--c${n % 8})`;
	if (n >= 232) return hex(Array(3).fill(8 + (n - 232) * 10));
	const level = (k) => (k ? 55 + k * 40 : 0);
	return hex([level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)]);
}

const hex = (rgb) => `#${[0, 1, 2].map((i) => Math.min(255, rgb[i] || 0).toString(16).padStart(2, "0")).join("")}`;
