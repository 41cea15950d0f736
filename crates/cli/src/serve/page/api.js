// Requests to the server, and its event streams. Keeps the token.

const BASE = new URL("api/v1/", document.baseURI);
const TOKEN = "homing.token";
const TIMEOUT = 20_000;
/** The server sends a comment each 15 s. */
const SILENCE = 40_000;

export class Problem extends Error {
	constructor(status, { detail, title, hint } = {}) {
		super(detail || title || (status ? `The server answered with status ${status}.` : "The server does not answer."));
		Object.assign(this, { status, hint });
	}
}

export const hasToken = () => Boolean(sessionStorage.getItem(TOKEN));
export const setToken = (token) => sessionStorage.setItem(TOKEN, token);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

async function send(path, { method, query = {}, body, headers, signal, accept = "application/json" }) {
	const url = new URL(path, BASE);
	for (const [name, value] of Object.entries(query)) if ((value ?? "") !== "") url.searchParams.set(name, value);
	const all = { Accept: accept, ...(hasToken() && { Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` }), ...(body && { "Content-Type": "application/json" }), ...headers };
	let response;
	try {
		response = await fetch(url, { method, signal, cache: "no-store", credentials: "omit", headers: all, body: body && JSON.stringify(body) });
	} catch {
		throw new Problem(0);
	}
	if (response.ok) return response;
	// A proxy may answer with a page instead of a problem document.
	throw new Problem(response.status, await response.json().catch(() => ({})));
}

export async function call(path, options) {
	const response = await send(path, { ...options, signal: AbortSignal.timeout(options.timeout ?? TIMEOUT) });
	return options.accept ? response.text() : response.json();
}

export const get = (path, query) => call(path, { query });
export const post = (path, body = {}, timeout = TIMEOUT, headers = {}) => call(path, { method: "POST", body, headers, timeout });

export async function stream(path, { query, headers, signal, open, message, heard }) {
	const watchdog = new AbortController();
	const stop = () => watchdog.abort();
	let timer;
	const alive = () => {
		clearTimeout(timer);
		timer = setTimeout(stop, SILENCE);
		heard?.();
	};
	alive();
	signal.addEventListener("abort", stop, { once: true });
	try {
		const response = await send(path, { query, headers, signal: watchdog.signal, accept: "text/event-stream" });
		open?.();
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		const parse = parser(message);
		let since = performance.now();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			alive();
			parse(value);
			// Let the page draw and answer between the pieces of a burst.
			if (performance.now() - since < 8) continue;
			await new Promise((resume) => setTimeout(resume));
			since = performance.now();
		}
	} catch (error) {
		if (signal.aborted) return;
		throw error.status ? error : new Problem(0);
	} finally {
		clearTimeout(timer);
		stop();
	}
}

// Parses text/event-stream. The server writes each JSON document on one line.
function parser(message) {
	let parts = [];
	return (text) => {
		parts.push(text);
		// The pieces of a large message are joined once, when a line is complete.
		if (!text.includes("\n")) return;
		const blocks = parts.join("").replace(/\r/g, "").split("\n\n");
		parts = [blocks.pop()];
		for (const block of blocks) {
			const { data, ...fields } = Object.fromEntries(block.split("\n").map((line) => /^([^:]*):? ?(.*)$/.exec(line).slice(1)));
			if (data) message({ ...fields, data: JSON.parse(data) });
		}
	};
}

export const backOff = (failures) => Math.min(15_000, 250 * 2 ** failures) * (0.8 + Math.random() * 0.4);
