-- Told after "--": how many requests to send at a time on each connection.

local depth = 1

function init(arguments)
  depth = tonumber(arguments[1] or "1")
  if depth > 1 then
    local requests = string.rep(wrk.format(), depth)
    request = function() return requests end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
