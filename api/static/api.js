// The API as the page uses it. A refusal becomes an Error with the problem's detail and status.

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer === null) {
    const refusal = new Error(reason(response.status, answer));
    refusal.status = response.status;
    throw refusal;
  }
  return answer;
}

function reason(status, answer) {
  if (status === 401 || status === 403) return "This server wants a key for reading, which the page does not have.";
  return answer?.detail ?? `The server answered ${status}.`;
}

const get = (path, parameters, signal) => ask(`${path}?${new URLSearchParams(parameters)}`, { signal });

// Resolves to the answer and how many milliseconds it took.
export async function timed(answer) {
  const start = performance.now();
  const found = await answer;
  return [found, Math.max(1, Math.round(performance.now() - start))];
}

export const model = () => ask("/model");

export const categories = () => ask("/categories");

export const findItems = (q, limit, signal) => get("/items", { q, limit }, signal);

// What is known of these items: at most a thousand, none with a comma in its id.
export const itemsOf = (items, signal) => get("/items", { ids: items.slice(0, 1000).join(",") }, signal);

export const findUsers = (q, limit, signal) => get("/users", { q, limit }, signal);

export const history = (user, signal) => get("/history", { user }, signal);

export const similar = (item, k, signal) => get("/similar", { item, k }, signal);

// `whom` is {user} or {history}; `rules` is what else the body may say.
export const recommend = (whom, rules, signal) =>
  ask("/recommend", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...whom, ...rules }),
    signal,
  });
