-- wrk's script: each request carries, in a header, a key drawn at random from a file of keys of equal length, one a line.
local keys, width, count, head
local tail = "\r\n\r\n"

function init(args)
  head = "GET /fast HTTP/1.1\r\nHost: gateway.example.com\r\n" .. args[2] .. ": "
  local file = assert(io.open(args[1], "rb"))
  keys = file:read("*a")
  file:close()
  width = keys:find("\n", 1, true)
  count = math.floor(#keys / width)
  math.randomseed(os.time())
end

local random, sub = math.random, string.sub

function request()
  local at = random(0, count - 1) * width
  return head .. sub(keys, at + 1, at + width - 1) .. tail
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
