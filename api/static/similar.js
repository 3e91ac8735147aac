// The items most like one, in a dialog over the page.

import * as api from "./api.js";
import { find, message, skeleton, wrong, element } from "./dom.js";
import { remember, showKnown, suggestionRow, titleOf } from "./rows.js";

const LENGTH = 10;

export function similarDialog(acts) {
  const dialog = find("similar");
  let asking = new AbortController();

  async function show(item) {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    find("similar-title").textContent = `Similar to ${titleOf(item)}`;
    find("similar-fact").textContent = "";
    find("similar-body").replaceChildren(skeleton());
    if (!dialog.open) dialog.showModal();
    try {
      const [{ items }, time] = await api.timed(api.similar(item, LENGTH, signal));
      if (signal.aborted) return;
      remember(items);
      find("similar-fact").textContent = `${items.length} in ${time} ms`;
      find("similar-body").replaceChildren(items.length ? list(items) : message("Nothing is like it", ""));
      find("similar-body").scrollTop = 0;
      const known = await api.itemsOf(items.map((each) => each.item), signal);
      for (const info of known.items) for (const row of rowsOf(info.item)) showKnown(row, info);
    } catch (error) {
      if (!signal.aborted) find("similar-body").replaceChildren(wrong(error, () => show(item)));
    }
  }

  function list(items) {
    const highest = Math.max(...items.map(({ score }) => score));
    const rows = items.map((each) => suggestionRow(each, highest, { ...acts, similar: show, exclude: null }, false));
    return element("ol", { class: "list ranked" }, ...rows);
  }

  const rowsOf = (item) => [...find("similar-body").querySelectorAll("li")].filter((row) => row.dataset.item === item);

  find("similar-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  dialog.addEventListener("close", () => asking.abort());

  return show;
}
