// Making elements. Text is always set as text, so nothing that comes from data is ever markup.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const find = (id) => document.getElementById(id);

export const say = (text) => (find("status").textContent = text);

export const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const message = (title, text) => element("p", { class: "message" }, element("strong", {}, title), text);

export const note = (text) => element("p", { class: "note" }, text);

export const skeleton = () => element("ul", { class: "list skeleton", "aria-hidden": "true" }, ...Array.from({ length: 6 }, () => element("li")));

export const wrong = (error, again) =>
  element("p", { class: "wrong", role: "alert" }, element("span", {}, error.message), element("button", { type: "button", onclick: again }, "Try again"));
