// What the page does by itself: hears of every event once, keeps what it shows up to date, tells ages,
// opens a fit beside the table, and listens to a few keys. Without it every link and form works as well.

const body = document.body;
const LISTED = 300; // events in the list
const WIDE = 1280; // from here on a fit stands beside the table, below it covers it

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const data = (name) => body.dataset[name] ?? "";

// ---- a part of the page becomes another, and what somebody is at stays: focus, place, what is open ----

function become(old, wanted) {
  if (old.nodeType !== wanted.nodeType || old.nodeName !== wanted.nodeName || (old.id || "") !== (wanted.id || "")) {
    old.replaceWith(wanted);
    return wanted;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return old;
  }
  if (old.nodeName === "TR" && !wanted.firstChild) return old; // a place in the order, its row comes by itself
  const end = old.id === "log" && old.scrollHeight - old.scrollTop - old.clientHeight < 8;
  const right = old.className === "pic-scroll" && old.scrollLeft > 0 && old.scrollWidth - old.scrollLeft - old.clientWidth < 8;
  copyAttributes(old, wanted);
  becomeChildren(old, wanted);
  if (end) old.scrollTop = old.scrollHeight;
  if (right) old.scrollLeft = old.scrollWidth;
  return old;
}

function copyAttributes(old, wanted) {
  const opens = old.nodeName === "DETAILS" || old.nodeName === "DIALOG"; // the reader's, not ours
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !(opens && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value && !(opens && name === "open")) old.setAttribute(name, value);
  }
  if (old.nodeName === "INPUT" && old.type !== "checkbox" && old !== document.activeElement) {
    old.value = wanted.getAttribute("value") ?? "";
  }
}

function becomeChildren(old, wanted) {
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const want of [...wanted.childNodes]) {
    const same = want.id ? byId.get(want.id) : at && !at.id && at.nodeName === want.nodeName ? at : null;
    if (!same) old.insertBefore(want, at);
    else {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      become(same, want);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function keepingFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// ---- the stream ----

let source = null;
let again = 0; // timer
let wait = 1000;
const put_off = new Map(); // parts in which somebody marks text

function connect() {
  clearTimeout(again);
  source?.close();
  source = null;
  if (data("lives") !== "yes") return tell(find(".band") ? "history" : "off");
  if (document.hidden) return tell("off");
  const mine = new EventSource(`/stream?${data("query")}${data("query") ? "&" : ""}after=${data("seq")}`);
  source = mine;
  mine.onopen = () => {
    wait = 1000;
    trouble("");
    tell("live");
  };
  mine.addEventListener("change", (event) => mine === source && take(JSON.parse(event.data)));
  mine.onerror = () => {
    if (mine !== source) return;
    tell("reconnecting");
    if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    again = setTimeout(connect, wait);
    wait = Math.min(wait * 2, 10_000);
  };
}

function tell(connection) {
  const words = { live: "live", reconnecting: "reconnecting", history: "history", off: "not live" };
  const dot = find("#connection");
  if (!dot || dot.dataset.connection === connection) return;
  dot.dataset.connection = connection;
  dot.firstElementChild.textContent = words[connection];
}

function trouble(words) {
  const place = find("#trouble");
  place.hidden = !words;
  if (place.textContent !== words) place.textContent = words;
}

function take(message) {
  if (data("lives") !== "yes") return;
  keepingFocus(() => {
    const { rows, ...others } = message.fragments;
    if (rows !== undefined) show("rows", rows);
    for (const [name, html] of Object.entries(others)) show(name, html);
  });
  list(message.events, message.reset);
  body.dataset.seq = Math.max(message.reset ? 0 : Number(data("seq")), message.seq);
  moveSlider(message.seq);
  tick();
  count();
  if (message.events.some((event) => event.kind === "PlanAccepted")) go(location.href, { push: false }); // more to choose from
}

function show(name, html) {
  const old = document.getElementById(`live-${name}`);
  if (!old) return;
  if (isMarked(old)) return put_off.set(name, html);
  put_off.delete(name);
  const before = find(".state", old)?.textContent;
  const made = document.createElement("template");
  made.innerHTML = html;
  const now = become(old, made.content.firstElementChild);
  if (now.nodeName !== "TR") return;
  if (before !== undefined && before !== find(".state", now)?.textContent) flash(now);
  mark(now);
}

function flash(row) {
  row.classList.add("new");
  setTimeout(() => row.classList.remove("new"), 2500);
}

function isMarked(element) {
  const marked = getSelection();
  return marked && !marked.isCollapsed && marked.rangeCount > 0 && marked.getRangeAt(0).intersectsNode(element);
}

document.addEventListener("selectionchange", () => {
  if (put_off.size && getSelection().isCollapsed) {
    const parts = [...put_off];
    put_off.clear();
    for (const [name, html] of parts) show(name, html);
    tick();
  }
});

// ---- events: each once, by its number ----

function list(events, isNew) {
  const ticker = find("#ticker");
  if (ticker && isNew) ticker.replaceChildren();
  const known = isNew ? -1 : Number(data("seq"));
  for (const event of events) {
    if (event.seq <= known) continue;
    if (ticker && isListed(event, ticker.dataset)) ticker.prepend(item(event, ticker.dataset.whole));
    if (event.tone === "bad" && !isNew) say(`${event.kind}: ${event.about}`);
  }
  while (ticker && ticker.children.length > LISTED) ticker.lastElementChild.remove();
}

function isListed(event, { whole, plan, kind }) {
  return (whole || !event.quiet) && (!plan || plan === event.plan) && (!kind || kind === event.kind);
}

function item(event, whole) {
  const line = element("li", { "data-event": event.seq, class: event.tone });
  const told = whole ? `${event.at.slice(0, 19).replace("T", " ")}Z` : event.at.slice(11, 19);
  const time = element("time", { class: "clock", datetime: event.at, title: event.at }, told);
  if (whole) line.append(element("span", { class: "seq" }, event.seq), " ");
  const about = event.fit
    ? element("a", { href: `/fits/${encodeURIComponent(event.fit)}`, "data-fit": event.fit }, visible(event.about))
    : element("span", {}, visible(event.about));
  line.append(time, " ", element("b", {}, event.kind), " ", about, " ", element("span", { class: "words" }, visible(event.words)));
  return line;
}

function element(name, attributes, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Signs that turn the order of letters or cannot be seen are shown, as the server does.
function visible(text) {
  const shown = (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) => (sign === "\n" ? " " : shown(sign)));
}

function say(words) {
  find("#said").textContent = words;
}

// ---- ages ----

const begun = Date.now();
const skew = (Date.parse(data("now")) || begun) - begun; // the host's clock counts, not this machine's

function tick() {
  const then = Date.parse(data("then"));
  const now = then || Date.now() + skew;
  for (const time of all("time.age, time.ago")) {
    const words = span((now - Date.parse(time.dateTime)) / 1000);
    const told = time.className === "ago" ? `${words} ago` : words;
    if (time.textContent !== told) time.textContent = told;
  }
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m ${two(whole % 60)}s`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.floor((minutes % 1440) / 60)}h`;
}

// ---- another page in place of this one, without losing one's place ----

let asked = 0;
let shown = location.pathname + location.search; // the address whose answer this page is

async function go(address, { push = true, focus = null, back = false } = {}) {
  const mine = ++asked;
  const url = new URL(address, location.href);
  body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    trouble("");
    if (!page.getElementById("main") || !page.body.dataset.seq) return void (location.href = url);
    if (push) history.pushState({}, "", url);
    shown = url.pathname + url.search;
    document.title = page.title;
    put_off.clear();
    keepingFocus(() => become(body, page.body));
    if (back) for (const box of all("form[data-swap] input[type=search]")) box.value = box.getAttribute("value");
    document.documentElement.classList.add("scripted");
    arrive();
    if (focus) find(focus)?.focus();
  } catch {
    if (mine === asked) trouble("The host does not answer. What is shown here is from before; try again in a moment.");
  } finally {
    if (mine === asked) body.removeAttribute("aria-busy");
  }
}

function arrive() {
  find("[data-keys]")?.removeAttribute("hidden");
  const log = find("#log");
  if (log) log.scrollTop = log.scrollHeight;
  for (const select of all("select")) select.value = find("option[selected]", select)?.value ?? select.options[0]?.value;
  closeTimeline();
  showNow();
  mark();
  tick();
  count();
  connect();
}

const looked = new WeakSet(); // pictures that were scrolled to now once

function showNow() {
  for (const picture of all("#gantt .pic-scroll")) {
    if (!looked.has(picture)) picture.scrollLeft = picture.scrollWidth;
    looked.add(picture);
  }
}

function mark(row = null) {
  const open = new URLSearchParams(data("query")).get("fit");
  for (const one of row ? [row] : all("#live-rows tr")) {
    one.classList.toggle("chosen", open !== null && one.id === `live-row-${open}`);
  }
}

function opened(fit) {
  const query = new URLSearchParams(data("query"));
  query.set("fit", fit);
  query.delete("attempt");
  go(`/?${query}`, { focus: innerWidth < WIDE ? ".close" : null });
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (event.target.closest("[data-keys]")) return find("#keys").showModal();
  const link = event.target.closest("a");
  if (!link) return;
  const href = link.getAttribute("href") ?? "";
  const fit = link.dataset.fit ?? /^\/fits\/(f_\w+)(\?|$)/.exec(href)?.[1];
  if (fit && find("#live-rows") && !("leave" in link.dataset)) {
    event.preventDefault();
    opened(fit);
  } else if ("swap" in link.dataset || link.closest("#gantt .pic-links")) {
    event.preventDefault();
    const back = "close" in link.dataset ? `#live-row-${new URLSearchParams(data("query")).get("fit")} th a` : null;
    go(href, { focus: back }).then(() => link.rel && find(".fits")?.scrollIntoView());
  }
});

function addressOf(form) {
  const said = new URLSearchParams();
  for (const [key, value] of new FormData(form)) if (value !== "" && !(key === "order" && value === "urgency")) said.append(key, value);
  return `${form.getAttribute("action")}${said.size ? `?${said}` : ""}`;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("swap" in form.dataset)) return;
  event.preventDefault();
  go(addressOf(form));
});

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("form[data-swap] select")) target.form.requestSubmit();
  else if (target.id === "slider") {
    const now = Number(target.value) >= Number(target.max);
    const address = new URL(addressOf(target.form), location.href);
    if (now) address.searchParams.delete("at");
    go(address);
  } else if (target.name === "fit") count();
});

addEventListener("popstate", () => {
  if (shown !== location.pathname + location.search) return void go(location.href, { push: false, back: true });
  asked += 1; // a jump within the page, as to the content: another answer would take away what is typed meanwhile
  body.removeAttribute("aria-busy");
});

// ---- the way through the past ----

document.addEventListener("input", (event) => {
  if (event.target.id !== "slider") return;
  const seq = Number(event.target.value);
  const known = (event.target.dataset.ticks || "").split(" ").map((tick) => tick.split("@"));
  const after = known.find(([place]) => Number(place) >= seq) ?? known.at(-1);
  const before = known.filter(([place]) => Number(place) <= seq).at(-1) ?? after;
  const share = (seq - before[0]) / Math.max(1, after[0] - before[0]);
  const moment = Date.parse(before[1]) + share * (Date.parse(after[1]) - Date.parse(before[1]));
  const told = Number.isFinite(moment) ? `, ~${new Date(moment).toISOString().slice(0, 16).replace("T", " ")}Z` : "";
  find("#slid").textContent = `${seq.toLocaleString("en")}${told}`;
});

function moveSlider(seq) {
  const slider = find("#slider");
  if (!slider || slider === document.activeElement) return;
  slider.max = seq;
  slider.value = seq;
  slider.disabled = false;
  find("#slid").textContent = seq.toLocaleString("en");
}

// ---- what somebody closed stays closed ----

document.addEventListener("toggle", (event) => event.target.id === "gantt" && localStorage.setItem("gantt", event.target.open ? "open" : "closed"), true);

function closeTimeline() {
  if (localStorage.getItem("gantt") === "closed") find("#gantt")?.removeAttribute("open");
}

// ---- what is chosen ----

function count() {
  const words = find("[data-batch]");
  if (!words) return;
  const chosen = all("input[name=fit]:checked").length;
  const total = Number(find("#live-jobs")?.dataset.total ?? 0).toLocaleString("en");
  words.textContent = chosen ? `With the ${chosen} chosen:` : `With all ${total} that match:`;
}

// ---- keys ----

function step(by) {
  const links = all("#live-rows th a");
  const row = document.activeElement?.closest("tr") ?? find("tr.chosen");
  const at = links.findIndex((link) => link.closest("tr") === row);
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => find("#q")?.select(),
  j: () => step(1),
  k: () => step(-1),
  x: () => document.activeElement?.closest("tr")?.querySelector("input[name=fit]")?.click(),
  n: () => find(".band a")?.click(),
  "?": () => find("#keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
  const writes = event.target.matches("input:not([type=checkbox], [type=range]), textarea, select");
  if (event.key === "Escape") {
    if (writes) event.target.blur();
    else find("[data-close]")?.click();
  } else if (!writes && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

// ---- on and off ----

document.addEventListener("visibilitychange", connect);
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && connect());
setInterval(() => document.hidden || tick(), 1000);
document.documentElement.classList.add("scripted");
arrive();
