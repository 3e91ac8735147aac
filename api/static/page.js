// A person picks a customer or builds a basket; history and suggestions stand side by side.
// What is shown stands in the address (?user=… or ?basket=…, and rules), so that it can be shared.

import * as api from "./api.js";
import { counted, element, find, message, note, say, skeleton, wrong } from "./dom.js";
import { basketRow, day, isTitled, mark, remember, showBecause, showKnown, suggestionRow, takenRow, titleOf } from "./rows.js";
import { rulesForm } from "./rules.js";
import { searchBox } from "./search.js";
import { similarDialog } from "./similar.js";

const EXAMPLES = 6;
const AT_FIRST = 100; // items of a history, before one asks for all

const state = { mode: "user", user: null, basket: [] };
let asking = new AbortController();
let asked = null; // the address's query, as it is shown

// --- the address ---

const listed = (name) => {
  const found = new RegExp(`[?&]${name}=([^&]*)`).exec(location.search);
  return found ? [...new Set(found[1].split(",").filter(Boolean).map(decoded))] : null;
};

function readAddress() {
  const given = new URLSearchParams(location.search);
  const [user, basket] = [given.get("user"), listed("basket")];
  state.mode = basket && user === null ? "basket" : "user";
  if (state.mode === "user") state.user = user;
  else state.basket = basket;
  rules.set(given, listed("exclude") ?? []);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function writeAddress() {
  const joined = (items) => items.map(encodeURIComponent).join(",");
  const parts = Object.entries(rules.said()).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  if (rules.excluded().length) parts.push(`exclude=${joined(rules.excluded())}`);
  if (state.mode === "basket") parts.unshift(`basket=${joined(state.basket)}`);
  else if (state.user !== null) parts.unshift(`user=${encodeURIComponent(state.user)}`);
  history.pushState(null, "", parts.length ? `?${parts.join("&")}` : location.pathname);
}

// --- changing what is shown ---

function show(change) {
  Object.assign(state, change);
  writeAddress();
  render();
}

function addToBasket(item) {
  if (!state.basket.includes(item)) state.basket.push(item);
  say(`${titleOf(item)} is in the basket`);
  if (state.mode === "basket") show({});
  else renderControls();
}

function takeFromBasket(item) {
  const place = state.basket.indexOf(item);
  const inPanel = find("taken").contains(document.activeElement);
  state.basket = state.basket.filter((other) => other !== item);
  say(`${titleOf(item)} was taken out of the basket`);
  if (state.mode === "user") return renderControls();
  show({});
  if (!inPanel) return;
  const buttons = find("taken").querySelectorAll("button.act");
  (buttons[Math.min(place, buttons.length - 1)] ?? find("search")).focus();
}

const acts = {
  inBasket: (item) => state.basket.includes(item),
  toggle: (item) => (state.basket.includes(item) ? takeFromBasket(item) : addToBasket(item)),
  similar: (item) => showSimilar(item),
  exclude: (item) => {
    rules.exclude(item);
    say(`${titleOf(item)} is left out`);
    find("suggestions").focus();
  },
};

// --- drawing ---

function render() {
  asked = location.search;
  asking.abort();
  asking = new AbortController();
  renderControls();
  if (state.mode === "basket") renderBasket(asking.signal);
  else renderUser(asking.signal);
  learnTitles(rules.excluded(), asking.signal).then((some) => some && rules.draw());
}

function renderControls() {
  const basket = state.mode === "basket";
  const words = basket ? "Find an item by its title" : "Find a customer by id";
  find(`mode-${state.mode}`).checked = true;
  find("search").placeholder = words;
  find("search-label").textContent = words;
  find("basket-count").textContent = state.basket.length;
  find("basket-count").hidden = state.basket.length === 0;
  find("chips").hidden = basket;
  find("clear").hidden = !basket || state.basket.length === 0;
  for (const chip of find("chips").querySelectorAll("button"))
    chip.setAttribute("aria-pressed", String(chip.value === state.user));
  for (const button of document.querySelectorAll("button.act[value]")) mark(button, acts);
}

function renderUser(signal) {
  const { user } = state;
  find("taken-title").textContent = user === null ? "History" : `History of ${user}`;
  if (user === null) {
    fill("taken", "", message("No customer yet", "Find one by id above, or take an example."));
    fill("suggestions", "", message("Suggestions appear here", "A basket will do in place of a customer."));
    return;
  }
  load("taken", signal, async () => {
    const [found, time] = await api.timed(api.history(user, signal).catch(unlessUnknown));
    if (found === null) return ["", message("A new customer", "Nobody here has heard of this id.")];
    if (found.items.length === 0) return ["", message("Nothing yet", "This customer has no history.")];
    remember(found.items);
    return [`${counted(found.items.length, "item", "items")} in ${time} ms`, ...takenList(found.items)];
  });
  suggest({ user }, "because you bought", signal);
}

function unlessUnknown(error) {
  if (error.status === 404) return null;
  throw error;
}

function takenList(items) {
  const rows = items.slice(0, AT_FIRST).map((item) => takenRow(item, acts));
  const list = element("ul", { class: "list" }, ...rows);
  if (items.length <= AT_FIRST) return [list];
  const more = element("button", { type: "button", class: "more" }, `Show all ${items.length.toLocaleString("en")}`);
  more.addEventListener("click", () => {
    list.append(...items.slice(AT_FIRST).map((item) => takenRow(item, acts)));
    more.remove();
    find("taken").focus();
  });
  return [list, more];
}

async function renderBasket(signal) {
  find("taken-title").textContent = "Basket";
  const basket = [...state.basket];
  drawBasket(basket);
  suggest({ history: basket }, "goes with", signal);
  if (await learnTitles(basket, signal)) drawBasket(basket);
}

// Items that come from the address alone are shown by id until their titles are known.
async function learnTitles(items, signal) {
  const untitled = items.filter((item) => !isTitled(item));
  if (untitled.length === 0) return false;
  const found = await api.itemsOf(untitled, signal).catch(() => ({ items: [] }));
  remember(found.items);
  return !signal.aborted && found.items.length > 0;
}

function drawBasket(basket) {
  if (basket.length === 0) fill("taken", "", message("The basket is empty", "Search for a title, or add a suggestion."));
  else fill("taken", counted(basket.length, "item", "items"), element("ul", { class: "list" }, ...basket.map((item) => basketRow(item, acts))));
}

// First the list, then what is known of its items and why they are there, which takes longer.
async function suggest(whom, words, signal) {
  const wishes = rules.asked();
  const mayExplain = whom.history?.length !== 1; // one item is the reason for everything
  let answer = null;
  await load("suggestions", signal, async () => {
    const [found, time] = await api.timed(api.recommend(whom, wishes, signal));
    remember(found.items);
    answer = found;
    return [`${found.items.length} in ${time} ms`, ...suggestionList(found, mayExplain)];
  });
  if (answer === null || signal.aborted || answer.items.length === 0) return;
  showServing(answer);
  api.itemsOf(answer.items.map(({ item }) => item), signal).then(
    ({ items }) => items.forEach((info) => rowsOf(info.item).forEach((row) => showKnown(row, info))),
    () => {}, // the list stands without prices
  );
  if (answer.basis === "popular" || !mayExplain) return;
  try {
    const [explained, time] = await api.timed(api.recommend(whom, { ...wishes, why: true }, signal));
    if (signal.aborted) return;
    for (const { item, because, new: isNew } of explained.items)
      for (const row of rowsOf(item)) showBecause(row, because, isNew ? "new, like" : words);
    find("suggestions-fact").textContent += ` · reasons in ${time} ms`;
  } catch {
    if (!signal.aborted) find("suggestions").querySelectorAll(".because").forEach((place) => place.remove());
  }
}

const rowsOf = (item) => [...find("suggestions").querySelectorAll("li")].filter((row) => row.dataset.item === item);

const BASES = {
  popular: "No history to go by: these are popular.",
  "trained-history": "The store does not answer: only what the model was trained on counts.",
};

function suggestionList({ items, basis, note: said }, mayExplain) {
  const highest = Math.max(...items.filter((item) => !item.new).map(({ score }) => score), 0);
  const hints = mayExplain && basis !== "popular";
  const sentence = said ? `${said[0].toUpperCase()}${said.slice(1)}.` : null;
  return [
    ...[BASES[basis], sentence].filter(Boolean).map(note),
    items.length
      ? element("ol", { class: "list ranked" }, ...items.map((item) => suggestionRow(item, highest, acts, hints)))
      : message("Nothing to suggest", "Other rules may let something through."),
  ];
}

async function load(panel, signal, content) {
  const body = find(panel);
  body.setAttribute("aria-busy", "true");
  if (body.querySelector(".list:not(.skeleton)") === null) fill(panel, "", skeleton());
  try {
    const [fact, ...children] = await content();
    if (!signal.aborted) fill(panel, fact, ...children);
  } catch (error) {
    if (!signal.aborted) fill(panel, "", wrong(error, render));
  } finally {
    if (!signal.aborted) body.removeAttribute("aria-busy");
  }
}

function fill(panel, fact, ...children) {
  find(`${panel}-fact`).textContent = fact;
  find(panel).replaceChildren(...children);
}

// Whoever looks at a suggestion sees which lines of the history speak for it.
function point({ target }) {
  const row = target instanceof Element ? target.closest("#suggestions li") : null;
  const items = new Set(row?.dataset.because ? JSON.parse(row.dataset.because) : []);
  for (const line of find("taken").querySelectorAll("li")) line.classList.toggle("pointed", items.has(line.dataset.item));
}

for (const event of ["mouseover", "focusin"]) addEventListener(event, point);

// --- the model ---

function showServing({ model, version }) {
  find("serving").replaceChildren("model ", element("strong", {}, model), element("span", { class: "version" }, ` · ${version}`));
}

const METRIC_NAMES = { "validation ndcg@100": "NDCG@100, held out" };

async function showModel() {
  const said = await api.model();
  showServing(said);
  const { data } = said;
  const facts = [
    ["Model", said.model],
    ["Published", day(said.created)],
    ["Learnt from", `${data.interactions.toLocaleString("en")} events`],
    ["Customers", data.users.toLocaleString("en")],
    ["Items", data.items.toLocaleString("en")],
    data.reference_time === null ? null : ["Newest event", day(data.reference_time)],
    ...Object.entries(said.metrics).map(([name, value]) => [METRIC_NAMES[name] ?? name, typeof value === "number" ? value.toFixed(3) : String(value)]),
  ].filter(Boolean);
  find("about-facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  find("about").hidden = false;
}

// --- starting ---

const rules = rulesForm({ changed: () => show({}) });
const showSimilar = similarDialog(acts);

const search = searchBox(find("search"), find("options"), {
  async look(text, signal) {
    if (state.mode === "user") {
      const { users } = await api.findUsers(text, 8, signal);
      return users.map((user) => ({ value: user, label: user }));
    }
    const { items } = await api.findItems(text, 12, signal);
    remember(items);
    return items.map(({ item, title }) => ({ value: item, label: title, hint: item }));
  },
  typed: (text) => (state.mode === "user" ? { value: text, label: text, hint: "a new customer" } : null),
  choose: ({ value }) => (state.mode === "user" ? show({ user: value }) : addToBasket(value)),
});

for (const mode of ["user", "basket"])
  find(`mode-${mode}`).addEventListener("change", () => {
    search.close();
    find("search").value = "";
    show({ mode });
  });

find("clear").addEventListener("click", () => {
  show({ basket: [] });
  find("search").focus();
});

addEventListener("popstate", () => {
  if (location.search === asked) return; // the skip link changes what comes after it alone
  readAddress();
  render();
});

async function showExamples() {
  const { users } = await api.findUsers("", EXAMPLES);
  const chips = users.map((user) => element("button", { type: "button", value: user, onclick: () => show({ mode: "user", user }) }, user));
  if (chips.length) find("chips").replaceChildren(element("span", {}, "For example"), ...chips);
  renderControls();
}

readAddress();
rules.open(Object.keys(rules.said()).length + rules.excluded().length > 0);
render();
// the panels say what is wrong, so these need not
showModel().catch(() => {});
showExamples().catch(() => {});
api.categories().then(({ categories }) => rules.offer(categories), () => {});
