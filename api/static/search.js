// Search as you type: a combobox after the ARIA pattern, with a list of options below it.

import { element } from "./dom.js";

const PAUSE = 120; // milliseconds without a key before asking

// `look(text, signal)` resolves to options {value, label, hint}; `choose(option)` is called with one.
// `typed(text)` makes an option of what was typed where nothing was found, or returns null.
export function searchBox(input, list, { look, typed, choose }) {
  let options = [];
  let active = -1;
  let timer = 0;
  let asking = new AbortController();

  function close() {
    clearTimeout(timer);
    asking.abort();
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function open(found, empty) {
    options = found;
    active = -1;
    input.removeAttribute("aria-activedescendant");
    list.replaceChildren(
      ...found.map((option, index) =>
        element(
          "li",
          { role: "option", id: `option-${index}`, "aria-selected": "false", onclick: () => take(option) },
          element("span", {}, option.label),
          option.hint ? element("span", { class: "detail" }, option.hint) : null,
        ),
      ),
    );
    if (found.length === 0) list.append(element("li", { class: "nothing", role: "none" }, empty));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function move(to) {
    const rows = list.querySelectorAll("[role=option]");
    rows[active]?.setAttribute("aria-selected", "false");
    active = (to + rows.length) % rows.length;
    rows[active].setAttribute("aria-selected", "true");
    rows[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", rows[active].id);
  }

  async function refresh() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const text = input.value.trim();
    try {
      const found = await look(text, signal);
      if (signal.aborted) return;
      const instead = found.length === 0 && text ? typed(text) : null;
      open(instead ? [instead] : found, "Nothing found");
    } catch (error) {
      if (error.name !== "AbortError") open([], error.message);
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE);
  }

  function take(option) {
    close();
    input.value = "";
    choose(option);
  }

  async function enter() {
    if (list.hidden && !input.value.trim()) return;
    if (active < 0) {
      clearTimeout(timer);
      await refresh(); // what was typed last may not have been looked up yet
    }
    const exact = options.find((option) => option.value === input.value.trim());
    const option = options[active] ?? exact ?? options[0];
    if (option) take(option);
  }

  input.addEventListener("input", soon);
  input.addEventListener("click", () => list.hidden && soon());
  input.addEventListener("blur", close);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) soon();
      else if (options.length) move(event.key === "ArrowDown" ? active + 1 : Math.max(active, 0) - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });

  return { close };
}
