// The lines of the lists: what was taken, what is in the basket, what is suggested.

import { element } from "./dom.js";

const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" });
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const titles = new Map(); // of every item seen so far

export const titleOf = (item) => titles.get(item) ?? item;

export const isTitled = (item) => titles.has(item);

export function remember(items) {
  for (const { item, title } of items) titles.set(item, title);
}

export const day = (moment) => date.format(new Date(moment));

// What can be done about an item: `acts` has similar(item), exclude(item), toggle(item), inBasket(item).
const link = (text, label, onclick) => element("button", { type: "button", class: "link", "aria-label": label, onclick }, text);

const similarLink = (item, acts) => link("Similar", `Similar to ${titleOf(item)}`, () => acts.similar(item));

function basketButton(item, acts) {
  const button = element("button", { type: "button", class: "act", value: item, onclick: () => acts.toggle(item) });
  mark(button, acts);
  return button;
}

export function mark(button, acts) {
  const inside = acts.inBasket(button.value);
  button.textContent = inside ? "✓" : "+";
  button.setAttribute("aria-pressed", String(inside));
  button.setAttribute("aria-label", `${inside ? "In the basket" : "Add to the basket"}: ${titleOf(button.value)}`);
}

const fact = (text) => element("span", {}, text);

const bare = (title) => element("div", { class: "title" }, title);

export function takenRow({ item, title, times, last }, acts) {
  const facts = [item, times > 1 ? `${times} times` : null, last === null ? null : day(last)];
  return element(
    "li",
    { "data-item": item },
    element("div", {}, bare(title), element("div", { class: "detail" }, ...facts.filter(Boolean).map(fact), similarLink(item, acts))),
  );
}

export function basketRow(item, acts) {
  return element(
    "li",
    { "data-item": item },
    element("div", {}, bare(titleOf(item)), element("div", { class: "detail" }, fact(item), similarLink(item, acts))),
    element("button", { type: "button", class: "act", "aria-label": `Take out of the basket: ${titleOf(item)}`, onclick: () => acts.toggle(item) }, "×"),
  );
}

// One suggestion; its price and its reasons are filled in once they are known.
export function suggestionRow({ rank, item, title, score, new: isNew }, highest, acts, hints) {
  const share = isNew || highest <= 0 ? 0 : Math.max(0, score / highest);
  const filled = element("i");
  filled.style.width = `${100 * share}%`;
  const heading = bare(title);
  if (isNew) heading.append(" ", element("span", { class: "badge" }, "New"));
  return element(
    "li",
    { "data-item": item },
    element("span", { class: "rank" }, String(rank)),
    element(
      "div",
      {},
      heading,
      hints ? element("p", { class: "because" }, "\u00a0") : null,
      element(
        "div",
        { class: "detail" },
        fact(item),
        element("span", { class: "known" }),
        similarLink(item, acts),
        acts.exclude ? link("Leave out", `Leave out: ${title}`, () => acts.exclude(item)) : null,
      ),
    ),
    isNew ? element("span", { class: "bar none" }) : element("div", { class: "bar", title: `score ${score.toPrecision(4)}` }, filled),
    basketButton(item, acts),
  );
}

export function showKnown(row, { category, price }) {
  const parts = [price === null ? null : money.format(price), ...category.slice(0, 2)].filter(Boolean);
  row.querySelector(".known").textContent = parts.join(" · ");
}

// `words` is what comes before the title: because you bought …
export function showBecause(row, because, words) {
  const place = row.querySelector(".because");
  const helping = because.filter(({ contribution }) => contribution > 0);
  if (helping.length === 0) return place.remove();
  const more = helping.length > 1 ? ` and ${helping.length - 1} more` : "";
  place.replaceChildren(`${words} `, element("span", {}, helping[0].title), more);
  place.title = `${words} ${helping.map(({ title }) => title).join(", ")}`;
  row.dataset.because = JSON.stringify(helping.map(({ item }) => item));
}
