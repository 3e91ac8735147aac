// A person picks a customer or builds a basket; history and suggestions stand side by side.
// What is shown stands in the address (?user=… or ?basket=…), so that it can be shared.

import * as api from "./api.js";
import { element, find } from "./dom.js";
import { searchBox } from "./search.js";

const LENGTH = 10;
const EXAMPLES = 6;

const state = { mode: "user", user: null, basket: [] };
const titles = new Map(); // of every item seen so far
let asking = new AbortController();

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

// --- the address ---

function readAddress() {
  const user = new URLSearchParams(location.search).get("user");
  const basket = /[?&]basket=([^&]*)/.exec(location.search);
  state.mode = basket && user === null ? "basket" : "user";
  if (state.mode === "user") state.user = user;
  else state.basket = [...new Set(basket[1].split(",").filter(Boolean).map(decoded))];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function writeAddress() {
  const basket = `?basket=${state.basket.map(encodeURIComponent).join(",")}`;
  const user = state.user === null ? location.pathname : `?user=${encodeURIComponent(state.user)}`;
  history.pushState(null, "", state.mode === "basket" ? basket : user);
}

// --- changing what is shown ---

function show(change) {
  Object.assign(state, change);
  writeAddress();
  render();
}

function addToBasket(item) {
  if (!state.basket.includes(item)) state.basket.push(item);
  say(`${titles.get(item) ?? item} is in the basket`);
  if (state.mode === "basket") show({});
  else renderControls();
}

function takeFromBasket(item) {
  const place = state.basket.indexOf(item);
  state.basket = state.basket.filter((other) => other !== item);
  say(`${titles.get(item) ?? item} was taken out of the basket`);
  if (state.mode === "user") return renderControls();
  show({});
  const buttons = find("taken").querySelectorAll("button");
  (buttons[Math.min(place, buttons.length - 1)] ?? find("search")).focus();
}

const say = (text) => (find("status").textContent = text);

// --- drawing ---

function render() {
  asking.abort();
  asking = new AbortController();
  renderControls();
  if (state.mode === "basket") renderBasket(asking.signal);
  else renderUser(asking.signal);
}

function renderControls() {
  const [basket, words] = [state.mode === "basket", state.mode === "basket" ? "Find an item by its title" : "Find a customer by id"];
  find(`mode-${state.mode}`).checked = true;
  find("search").placeholder = words;
  find("search-label").textContent = words;
  find("basket-count").textContent = state.basket.length;
  find("basket-count").hidden = state.basket.length === 0;
  find("chips").hidden = basket;
  find("clear").hidden = !basket || state.basket.length === 0;
  for (const chip of find("chips").querySelectorAll("button"))
    chip.setAttribute("aria-pressed", String(chip.value === state.user));
  for (const button of find("suggestions").querySelectorAll("button[value]")) mark(button);
}

function renderUser(signal) {
  find("taken-title").textContent = state.user === null ? "History" : `History of ${state.user}`;
  if (state.user === null) {
    fill("taken", "", message("No customer yet", "Find one by id above, or take an example."));
    fill("suggestions", "", message("Suggestions appear here", "A basket will do in place of a customer."));
    return;
  }
  const { user } = state;
  load("taken", signal, async () => {
    const { items } = await api.history(user, signal).catch((error) => {
      if (error.status === 404) return { items: null };
      throw error;
    });
    if (items === null) return ["", message("A new customer", "Nobody here has heard of this id.")];
    if (items.length === 0) return ["", message("Nothing yet", "This customer has no history.")];
    return [`${items.length} ${items.length === 1 ? "item" : "items"}`, element("ul", { class: "list" }, ...items.map(takenRow))];
  });
  load("suggestions", signal, () => suggestions(() => api.recommendTo(user, LENGTH, signal)));
}

function renderBasket(signal) {
  find("taken-title").textContent = "Basket";
  const basket = [...state.basket];
  if (basket.length === 0) fill("taken", "", message("The basket is empty", "Search for a title, or add a suggestion."));
  else fill("taken", `${basket.length} ${basket.length === 1 ? "item" : "items"}`, element("ul", { class: "list" }, ...basket.map(basketRow)));
  load("suggestions", signal, () => suggestions(() => api.recommendFor(basket, LENGTH, signal)));
  nameItems(basket.filter((item) => !titles.has(item)), signal);
}

// Items that come from the address alone are shown by id until their titles are known.
async function nameItems(items, signal) {
  for (const item of items) {
    const found = await api.findItems(item, 100, signal).catch(() => ({ items: [] }));
    remember(found.items);
    const row = [...find("taken").querySelectorAll("[data-item]")].find((each) => each.dataset.item === item);
    if (row && titles.has(item)) row.querySelector(".title").textContent = titles.get(item);
  }
}

async function load(panel, signal, content) {
  const body = find(panel);
  body.setAttribute("aria-busy", "true");
  if (body.querySelector(".list:not(.skeleton)") === null) fill(panel, "", skeleton());
  try {
    const [fact, ...children] = await content();
    if (!signal.aborted) fill(panel, fact, ...children);
  } catch (error) {
    if (!signal.aborted) fill(panel, "", wrong(error));
  } finally {
    if (!signal.aborted) body.removeAttribute("aria-busy");
  }
}

function fill(panel, fact, ...children) {
  find(`${panel}-fact`).textContent = fact;
  find(panel).replaceChildren(...children.filter(Boolean));
}

async function suggestions(recommend) {
  const start = performance.now();
  const answer = await recommend();
  const time = Math.max(1, Math.round(performance.now() - start));
  remember(answer.items);
  showModel(answer);
  const popular = answer.basis === "popular" ? "No history to go by: these are popular." : null;
  const highest = Math.max(...answer.items.map((item) => item.score), 0);
  return [
    `${answer.items.length} in ${time} ms`,
    ...[popular, answer.note].filter(Boolean).map((text) => element("p", { class: "note" }, text)),
    answer.items.length
      ? element("ol", { class: "list ranked" }, ...answer.items.map((item) => suggestionRow(item, highest)))
      : message("Nothing to suggest", ""),
  ];
}

function suggestionRow({ rank, item, title, score }, highest) {
  const filled = element("i");
  filled.style.width = `${highest > 0 ? Math.max(0, (100 * score) / highest) : 0}%`;
  const button = element("button", { type: "button", class: "act", value: item, onclick: () => (state.basket.includes(item) ? takeFromBasket(item) : addToBasket(item)) });
  mark(button);
  return element(
    "li",
    {},
    element("span", { class: "rank" }, String(rank)),
    element(
      "div",
      {},
      element("div", { class: "title" }, title),
      element("div", { class: "detail" }, element("span", {}, item), element("div", { class: "bar", title: `score ${score.toPrecision(4)}` }, filled)),
    ),
    button,
  );
}

function mark(button) {
  const inside = state.basket.includes(button.value);
  button.textContent = inside ? "✓" : "+";
  button.setAttribute("aria-pressed", String(inside));
  button.setAttribute("aria-label", `${inside ? "In the basket" : "Add to the basket"}: ${titles.get(button.value) ?? button.value}`);
}

function takenRow({ item, title, times, last }) {
  const when = last === null ? null : `last ${date.format(new Date(last))}`;
  const often = times > 1 ? `${times} times` : null;
  const facts = [item, often, when].filter(Boolean).map((fact) => element("span", {}, fact));
  return element("li", {}, element("div", {}, element("div", { class: "title" }, title), element("div", { class: "detail" }, ...facts)));
}

function basketRow(item) {
  const title = titles.get(item) ?? item;
  return element(
    "li",
    { "data-item": item },
    element("div", {}, element("div", { class: "title" }, title), element("div", { class: "detail" }, element("span", {}, item))),
    element("button", { type: "button", class: "act", "aria-label": `Take out of the basket: ${title}`, onclick: () => takeFromBasket(item) }, "×"),
  );
}

const message = (title, text) => element("p", { class: "message" }, element("strong", {}, title), text);

const skeleton = () => element("ul", { class: "list skeleton", "aria-hidden": "true" }, ...Array.from({ length: 6 }, () => element("li")));

const wrong = (error) =>
  element("p", { class: "wrong", role: "alert" }, error.message, element("button", { type: "button", onclick: render }, "Try again"));

function remember(items) {
  for (const { item, title } of items) titles.set(item, title);
}

function showModel({ model, version }) {
  find("model").replaceChildren("model ", element("strong", {}, model), element("span", { class: "version" }, ` · ${version}`));
}

// --- starting ---

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
render();
api.ready().then(showModel, () => {}); // the panels say what is wrong
showExamples().catch(() => {});
