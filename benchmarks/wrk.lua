-- Asks for lists of random users, whose ids are the lines of the file USERS, and says what came of
-- it as JSON.

local users = {}

function init(args)
  for line in io.lines(os.getenv("USERS")) do
    users[#users + 1] = line
  end
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", "/recommend?k=10&user=" .. users[math.random(#users)])
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests_per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
