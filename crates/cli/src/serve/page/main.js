// Signs in, follows the server, draws what the address names, and handles the keyboard.

import { select, selection } from "./actions.js";
import { drawAgents } from "./agents.js";
import { post, setToken } from "./api.js";
import { $, button, commandLine, h, openDialog, setText, show } from "./dom.js";
import { drawJob, followOutput, searchOutput, tickJob } from "./job.js";
import { openLaunch } from "./launch.js";
import { drawOverview, tickOverview } from "./overview.js";
import { go, onRoute, route } from "./route.js";
import { canChange, canSeeAgents, follow, onChange, retryNow, signedIn, store } from "./store.js";
import { clock } from "./text.js";

/** Exchanges the code of a link for a token. It leaves the address at once. */
async function signIn() {
	const parameters = new URLSearchParams(location.hash.slice(1));
	const code = parameters.get("code");
	if (!code) return;
	go({}, true);
	try {
		setToken((await post("browser/exchange", { code })).token);
		store.signedOut = false;
	} catch (error) {
		store.signInError = error.status ? "This link was used already, or is older than 60 seconds." : error.message;
		$("sign-in").replaceChildren();
	}
}

function drawSignIn() {
	const box = $("sign-in");
	show(box, store.signedOut);
	if (!store.signedOut || box.childElementCount) return;
	const input = h("input", { type: "password", id: "token", autocomplete: "off" });
	const enter = (event) => {
		event.preventDefault();
		if (!/^[!-~]+$/.test(input.value.trim())) return input.focus();
		setToken(input.value.trim());
		box.replaceChildren();
		store.signInError = "This token is not valid.";
		signedIn();
	};
	box.append(h("div.card",
		h("h1", "Open this page with a new link"),
		store.signInError && h("p.error", { role: "alert" }, store.signInError),
		h("p", "Run this on the machine of the server. It opens the page with a link that works once:"), h("p", commandLine("homing serve --open")),
		h("form", { onsubmit: enter }, h("label", { for: "token" }, "Or enter a token (homing token create):"),
			h("div.line-up", input, h("button", { type: "submit" }, "Use token")))));
}

let hasAgents = false;

function draw() {
	const isReady = store.server && !store.signedOut;
	const isAgents = route.view === "agents";
	drawSignIn();
	drawConnection();
	show($("loading"), !store.server && !store.signedOut);
	show($("overview"), isReady && !isAgents);
	show($("agents"), isReady && isAgents);
	show($("launch-button"), isReady && canChange());
	show($("nav-agents"), isReady && canSeeAgents());
	$("nav-jobs").ariaCurrent = isAgents ? null : "page";
	$("nav-agents").ariaCurrent = isAgents ? "page" : null;
	if (!isReady) return;
	if (!isAgents) drawOverview();
	else if (!hasAgents) drawAgents();
	hasAgents = isAgents;
	drawJob();
}

function drawConnection() {
	const { offline, signedOut, server } = store;
	const banner = $("offline");
	show(banner, offline && !signedOut);
	show($("connection"), server && !offline && !signedOut);
	setText($("connection"), server?.scope === "read" ? "Live, read only" : "Live");
	if (offline) {
		if (!banner.firstChild) banner.append(h("b"), h("span", { "aria-hidden": "true" }), button("Try now", retryNow));
		setText(banner.firstChild, `Not connected since ${clock(offline.since)}. ${offline.detail}`);
		setText(banner.children[1], `Jobs go on. Trying again in ${Math.max(0, Math.ceil((offline.retryAt - Date.now()) / 1000))} s.`);
	}
}

const KEYS_OFF = "homing.keys-off";

function move(by) {
	const links = [...document.querySelectorAll("#overview a[data-job]")];
	const at = links.indexOf(document.activeElement);
	const open = links.findIndex((each) => each.dataset.job === route.job);
	const link = links[at >= 0 ? at + by : open < 0 ? 0 : open + by];
	if (link && route.job) go({ job: link.dataset.job }, true);
	link?.focus();
}

const SHORTCUTS = {
	j: ["next job", () => move(1)],
	k: ["previous job", () => move(-1)],
	Enter: ["open the job"],
	x: ["select the job", () => {
		const id = document.activeElement.closest("[data-job]")?.dataset.job ?? route.job;
		if (id) select([id], !selection.has(id));
	}],
	n: ["launch a job", () => canChange() && openLaunch()],
	"/": ["filter jobs, or search the output", () => (route.job ? searchOutput() : $("filter").focus())],
	f: ["follow or pause the output", () => route.job && followOutput()],
	Escape: ["close the job or the dialog"],
	"?": ["this help", openHelp],
};

function openHelp() {
	const box = h("input", { type: "checkbox", onchange: () => localStorage.setItem(KEYS_OFF, box.checked ? "" : "1") });
	box.checked = !localStorage.getItem(KEYS_OFF);
	const dialog = openDialog(h("h2", { id: "dialog-title" }, "Keyboard"),
		h("dl.shortcuts", Object.entries(SHORTCUTS).map(([key, [text]]) => h("div", h("dt", h("code", key)), h("dd", text)))),
		h("p", h("label", box, " Use keys without Ctrl as shortcuts")),
		h("p.faint", `homing ${store.server.version}, home ${store.server.home}`),
		h("div.buttons", button("Close", () => dialog.close(), "", { autofocus: true })));
}

document.addEventListener("keydown", (event) => {
	const { key, target } = event;
	if (!store.server || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
	const isTyping = target.closest("input:not([type=checkbox]), textarea, select");
	if (key === "Escape") {
		if (isTyping) target.blur();
		else if (route.job) close();
		else select([...selection], false);
	} else if (!isTyping && !localStorage.getItem(KEYS_OFF) && SHORTCUTS[key]?.[1]) {
		event.preventDefault();
		SHORTCUTS[key][1]();
	}
});

function close() {
	const { job } = route;
	go({ job: "", tab: "" });
	document.querySelector(`#overview a[data-job="${CSS.escape(job)}"]`)?.focus();
}

$("launch-button").addEventListener("click", () => openLaunch());
$("help-button").addEventListener("click", openHelp);
onChange(draw);
let scrolled = 0;
onRoute((next, before) => {
	if (next.job && !before.job) scrolled = scrollY;
	draw();
	if (!next.job && before.job) scrollTo(0, scrolled);
});
setInterval(() => {
	if (document.hidden) return;
	if (store.offline) drawConnection();
	if (store.signedOut || !store.server) return;
	tickOverview();
	tickJob();
}, 1000);
await signIn();
draw();
follow();
