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
    const refusal = new Error(answer?.detail ?? `The server answered ${response.status}.`);
    refusal.status = response.status;
    throw refusal;
  }
  return answer;
}

const query = (parameters) => new URLSearchParams(parameters).toString();

export const ready = () => ask("/readyz");

export const findItems = (q, limit, signal) => ask(`/items?${query({ q, limit })}`, { signal });

export const findUsers = (q, limit, signal) => ask(`/users?${query({ q, limit })}`, { signal });

export const history = (user, signal) => ask(`/history?${query({ user })}`, { signal });

export const recommendTo = (user, k, signal) => ask(`/recommend?${query({ user, k })}`, { signal });

export const recommendFor = (items, k, signal) =>
  ask("/recommend", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ history: items, k }),
    signal,
  });
