// The rules form: what it says goes into the address and into every request for suggestions.

import { counted, element, find } from "./dom.js";
import { titleOf } from "./rows.js";

const NUMBERS = ["min_price", "max_price", "k", "newcomers", "diversity"];
const USUAL = { category: "", min_price: "", max_price: "", k: "10", newcomers: "0", diversity: "0", include_seen: "" };

const form = find("rules");
const field = (name) => form.elements.namedItem(name);

export function rulesForm({ changed }) {
  let excluded = [];
  let timer = 0;

  // The rules that differ from the usual, as text: what the address says.
  function said() {
    const given = {};
    for (const name of Object.keys(USUAL)) {
      const value = name === "include_seen" ? (field(name).checked ? "true" : "") : field(name).value.trim();
      if (value !== USUAL[name]) given[name] = value;
    }
    return given;
  }

  // The same as a request's body says it.
  function asked() {
    const body = { k: Number(field("k").value) };
    for (const [name, value] of Object.entries(said())) body[name] = NUMBERS.includes(name) ? Number(value) : value === "true" ? true : value;
    if (excluded.length) body.exclude = excluded;
    return body;
  }

  function set(given, out) {
    for (const [name, usual] of Object.entries(USUAL)) {
      const value = given.get(name) ?? usual;
      if (name === "include_seen") field(name).checked = value === "true";
      else field(name).value = value;
      if (field(name).value === "" && name === "k") field(name).value = usual;
    }
    excluded = out;
    draw();
  }

  function draw() {
    const count = Object.keys(said()).length + excluded.length;
    find("rules-count").textContent = count;
    find("rules-count").hidden = count === 0;
    find("diversity-shown").textContent = field("diversity").value;
    find("excluded").hidden = excluded.length === 0;
    find("excluded").replaceChildren(
      element("span", {}, "Left out"),
      ...excluded.map((item) => element("button", { type: "button", "aria-label": `No longer leave out: ${titleOf(item)}`, onclick: () => include(item) }, titleOf(item), element("span", { "aria-hidden": "true" }, " ×"))),
    );
  }

  function exclude(item) {
    if (!excluded.includes(item)) excluded = [...excluded, item];
    open(true);
    done();
  }

  function include(item) {
    excluded = excluded.filter((other) => other !== item);
    done();
    find("rules-button").focus();
  }

  function open(wide) {
    form.hidden = !wide;
    find("rules-button").setAttribute("aria-expanded", String(wide));
  }

  function done() {
    clearTimeout(timer);
    draw();
    changed();
  }

  function soon() {
    draw();
    clearTimeout(timer);
    timer = setTimeout(done, 250);
  }

  find("rules-button").addEventListener("click", () => open(form.hidden));
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    done();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    set(new URLSearchParams(), []);
    done();
  });

  function offer(categories) {
    find("category-field").hidden = categories.length === 0;
    find("categories").replaceChildren(...categories.map(({ category, items }) => element("option", { value: category }, counted(items, "item", "items"))));
  }

  return { asked, said, set, exclude, offer, draw, open, excluded: () => excluded };
}
