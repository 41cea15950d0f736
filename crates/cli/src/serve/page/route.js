// What is shown, in the fragment of the address: `#session=chat-1&how=failed&job=3f9c0a1b2c4d`.

const KEYS = ["view", "job", "tab", "session", "q", "how", "span"];
const listeners = [];

export let route = read();

export const onRoute = (listener) => listeners.push(listener);

function read() {
	const parameters = new URLSearchParams(location.hash.slice(1));
	return Object.fromEntries(KEYS.map((key) => [key, parameters.get(key) ?? ""]));
}

export function go(changes, replace = false) {
	const next = Object.entries({ ...route, ...changes }).filter(([, value]) => value);
	history[replace ? "replaceState" : "pushState"](null, "", `#${new URLSearchParams(next)}`);
	follow();
}

function follow() {
	const before = route;
	route = read();
	for (const listener of listeners) listener(route, before);
}

addEventListener("hashchange", follow);
