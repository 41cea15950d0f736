// Builds and updates elements. Text is set as text only; nothing here parses HTML.

import { oneLine } from "./text.js";

export const $ = (id) => document.getElementById(id);

/** Creates an element: `h("p.faint", { id: "x", onclick }, "text", child)`. */
export const h = (name, ...rest) => fill("http://www.w3.org/1999/xhtml", name, rest);
export const svg = (name, ...rest) => fill("http://www.w3.org/2000/svg", name, rest);

const isGiven = (value) => (value ?? false) !== false;

function fill(namespace, name, rest) {
	const [tag, ...classes] = name.split(".");
	const element = document.createElementNS(namespace, tag);
	if (classes.length) element.setAttribute("class", classes.join(" "));
	const properties = rest[0]?.constructor === Object ? rest.shift() : {};
	for (const [key, value] of Object.entries(properties)) {
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else if (isGiven(value)) element.setAttribute(key, value === true ? "" : value);
	}
	element.append(...rest.flat(2).filter(isGiven));
	return element;
}

export const button = (label, onclick, style = "", properties = {}) => h(`button${style}`, { type: "button", onclick, ...properties }, label);

/** Untrusted text, isolated: its direction does not change the text around it. */
export const bdi = (text, max) => h("bdi", oneLine(text, max));

export function setText(element, text) {
	if (element.shown !== text) element.textContent = element.shown = text;
}

export function set(element, name, value) {
	if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function show(element, isShown) {
	if (element.hidden === Boolean(isShown)) element.hidden = !isShown;
}

const ICONS = {
	good: "M3.5 8.5l3 3 6-7",
	bad: "M4.5 4.5l7 7m0-7l-7 7",
	odd: "M6 6a2 2 0 1 1 2.8 1.9c-.6.3-.8.7-.8 1.3m0 2.3v.1",
	quiet: "M5 5h6v6H5z",
	active: "M6 4.5v7l5.5-3.5z",
	warn: "M8 4.5v4m0 2.6v.1",
};

export const icon = (name) => svg("svg.icon", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

export function setState(element, state) {
	if (element.shown !== state) element.replaceChildren(icon(state));
	element.shown = state;
	element.className = `state ${state}`;
}

export class KeyedList {
	constructor(box, make, key) {
		Object.assign(this, { box, make, key, rows: new Map() });
	}

	// Unchanged rows are not moved, so that the focus stays.
	render(items) {
		const wanted = new Set(items.map(this.key));
		for (const [id, { element }] of this.rows) {
			if (wanted.has(id)) continue;
			element.remove();
			this.rows.delete(id);
		}
		let next = this.box.firstElementChild;
		for (const item of items) {
			const row = this.rows.get(this.key(item)) ?? this.make(item);
			this.rows.set(this.key(item), row);
			row.update(item);
			if (row.element === next) next = next.nextElementSibling;
			else this.box.insertBefore(row.element, next);
		}
	}
}

export const announce = (text) => ($("announcer").textContent = text);

export function toast(text, { hint, isError } = {}) {
	const close = () => element.remove();
	const element = h(`div.toast${isError ? ".error" : ""}`, { role: isError ? "alert" : "status" },
		h("p", bdi(text, 1000), hint && h("small", bdi(hint, 500))),
		button(icon("bad"), close, ".bare", { "aria-label": "Close message" }));
	$("toasts").append(element);
	if ($("toasts").childElementCount > 4) $("toasts").firstChild.remove();
	if (!isError) setTimeout(close, 6000);
}

export const toastProblem = ({ message, hint }) => toast(message, { hint, isError: true });

export function openDialog(...content) {
	const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, content);
	document.body.append(dialog);
	dialog.showModal();
	return dialog;
}

export const confirm = (question, detail, label) => new Promise((resolve) => {
	const answer = (isAgreed) => () => (resolve(isAgreed), dialog.close());
	const dialog = openDialog(h("h2", { id: "dialog-title" }, bdi(question)), h("p", detail),
		h("div.buttons", button("Cancel", answer(false)), button(label, answer(true), ".danger", { autofocus: true })));
	dialog.addEventListener("close", () => resolve(false));
});

export function commandLine(command) {
	const code = h("code", command);
	const copy = button("Copy", async () => {
		// Without a secure origin there is no clipboard.
		const isCopied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
		if (!isCopied) getSelection().selectAllChildren(code);
		announce((copy.textContent = isCopied ? "Copied" : "Selected"));
	}, ".copy");
	return h("span.command", code, copy);
}
