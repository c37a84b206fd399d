-- What a turn takes of its limits, judged and counted in one step. The only clock is Redis's own.
--
-- A subject (an organisation, a user, a key) is two keys: a hash of counters, and the running turns as a sorted set of
-- `turn:tokens` by the time at which each reservation runs out. A reservation that ran out is charged whole.
-- `since` names a counting: it begins when the hash is made, and a hash that was lost begins another one.
--
-- KEYS: hash and set of each subject. ARGV: see `core/storage/limiter.py`.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local KEPT_SECONDS = 32 * 86400
local ASK_AGAIN_SECONDS = 60

local function charge_lost(hash, running)  -- a Redis that is full may evict the set alone: as if all in it had run out
    local held = tonumber(redis.call('HGET', hash, 'held') or 0)
    if held > 0 and redis.call('EXISTS', running) == 0 then
        redis.call('HINCRBY', hash, 'month_tokens', held)
        redis.call('HSET', hash, 'held', 0)
    end
end

if ARGV[1] == 'renew' then  -- ARGV: seconds, then each reservation with the `since` of each subject
    local subjects = #KEYS / 2
    for i = 1, subjects do charge_lost(KEYS[2 * i - 1], KEYS[2 * i]) end
    for m = 3, #ARGV, 1 + subjects do
        local tokens = tonumber(string.match(ARGV[m], ':(%d+)$'))
        for i = 1, subjects do
            local hash, running = KEYS[2 * i - 1], KEYS[2 * i]
            if redis.call('ZADD', running, now + ARGV[2], ARGV[m]) == 1 then  -- it ran out and was charged, or was forgotten
                redis.call('HINCRBY', hash, 'held', tokens)
                local found = redis.call('HMGET', hash, 'since', 'month_tokens')
                if found[1] == ARGV[m + i] then
                    redis.call('HSET', hash, 'month_tokens', math.max(0, tonumber(found[2]) - tokens))
                end
                redis.call('EXPIRE', hash, KEPT_SECONDS)
            end
            redis.call('EXPIRE', running, KEPT_SECONDS)
        end
    end
    return {1}
end

local day = math.floor(now / 86400)

local function month_of(days)  -- http://howardhinnant.github.io/date_algorithms.html#civil_from_days
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local mp = math.floor((5 * (doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))) + 2) / 153)
    local month = mp < 10 and mp + 3 or mp - 9
    return (yoe + era * 400 + (month <= 2 and 1 or 0)) * 12 + month
end

local month = month_of(day)

if ARGV[1] == 'seed' then
    local found = redis.call('HMGET', KEYS[1], 'since', 'seeded', 'day', 'month')
    if found[1] == ARGV[2] and not found[2] then
        redis.call('HSET', KEYS[1], 'seeded', 1)
        if tonumber(found[3]) == tonumber(ARGV[3]) then redis.call('HINCRBY', KEYS[1], 'day_requests', ARGV[4]) end
        if tonumber(found[4]) == tonumber(ARGV[5]) then redis.call('HINCRBY', KEYS[1], 'month_tokens', ARGV[6]) end
    end
    return {1}
end

local turn, first, old, used, wanted = ARGV[2], ARGV[1] == 'admit', tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local seconds = tonumber(ARGV[6])
local FIELDS = {'requests', 'tokens', 'at', 'day', 'day_requests', 'month', 'month_tokens', 'held', 'since', 'seeded', 'asked'}

local function charge_expired(s)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', s.running, '-inf', now)) do
        local tokens = tonumber(string.match(member, ':(%d+)$'))
        s.held = math.max(0, s.held - tokens)
        s.month_tokens = s.month_tokens + tokens
        redis.call('ZREM', s.running, member)
    end
end

local function load(i)
    local at = 6 + (i - 1) * 6
    local s = {
        hash = KEYS[2 * i - 1], running = KEYS[2 * i], reserved_in = ARGV[at + 1],
        per_minute = tonumber(ARGV[at + 2]), per_day = tonumber(ARGV[at + 3]),
        tokens_per_minute = tonumber(ARGV[at + 4]), tokens_per_month = tonumber(ARGV[at + 5]),
        concurrent = tonumber(ARGV[at + 6]),
    }
    charge_lost(s.hash, s.running)
    local found = redis.call('HMGET', s.hash, unpack(FIELDS))
    s.known = found[9]
    s.since = found[9] or string.format('%.6f', now)
    local passed = math.max(0, now - tonumber(found[3] or now))
    s.requests = math.min(s.per_minute, tonumber(found[1] or s.per_minute) + passed * s.per_minute / 60)
    s.tokens = math.min(s.tokens_per_minute, tonumber(found[2] or s.tokens_per_minute) + passed * s.tokens_per_minute / 60)
    s.day_requests = tonumber(found[4]) == day and tonumber(found[5]) or 0
    s.month_tokens = tonumber(found[6]) == month and tonumber(found[7]) or 0
    s.held = tonumber(found[8] or 0)
    s.asked = tonumber(found[11] or 0)
    s.unseeded = first and not found[10] and now - s.asked > ASK_AGAIN_SECONDS  -- only who is let in asks the books
    charge_expired(s)
    return s
end

local function settle(s)
    local mine = redis.call('ZREM', s.running, turn .. ':' .. string.format('%d', old)) == 1
    if mine then s.held = math.max(0, s.held - old) end
    local counted = (s.since == s.reserved_in or mine and s.reserved_in == '') and old or 0
    local charged = mine and 0 or counted  -- when it ran out
    s.month_tokens = math.max(0, s.month_tokens + used - charged)
    s.tokens = math.min(s.tokens_per_minute, s.tokens + counted - used)
end

local function refusal(s)  -- the limit that is in the way, and for how many seconds
    if first then
        local need = math.min(wanted, s.tokens_per_minute)
        if redis.call('ZCARD', s.running) >= s.concurrent then return 'concurrent_turns', 1 end
        if s.requests < 1 then return 'requests_per_minute', (1 - s.requests) * 60 / s.per_minute end
        if s.day_requests >= s.per_day then return 'requests_per_day', (day + 1) * 86400 - now end
        if s.tokens < need then return 'tokens_per_minute', (need - s.tokens) * 60 / s.tokens_per_minute end
    end
    if wanted > 0 and s.month_tokens + s.held + wanted > s.tokens_per_month then
        return 'tokens_per_month', s.month_tokens + wanted > s.tokens_per_month and 0 or 1  -- what others hold may come back
    end
end

local function take(s)
    if first then
        s.requests = s.requests - 1
        s.day_requests = s.day_requests + 1
    end
    s.tokens = s.tokens - wanted
    s.held = s.held + wanted
    redis.call('ZADD', s.running, now + seconds, turn .. ':' .. string.format('%d', wanted))
    redis.call('EXPIRE', s.running, KEPT_SECONDS)
end

local function save(s)
    redis.call('HSET', s.hash, 'requests', string.format('%.6f', s.requests), 'tokens', string.format('%.6f', s.tokens),
        'at', string.format('%.6f', now), 'day', day, 'day_requests', string.format('%d', s.day_requests),
        'month', month, 'month_tokens', string.format('%d', s.month_tokens), 'held', string.format('%d', s.held),
        'since', s.since, 'asked', string.format('%.6f', s.asked))
    redis.call('EXPIRE', s.hash, KEPT_SECONDS)
end

local subjects, answer = {}, nil
for i = 1, #KEYS / 2 do
    local s = load(i)
    if s.known or wanted > 0 then
        if not first then settle(s) end
        table.insert(subjects, s)
    end
end
for i, s in ipairs(subjects) do
    local limit, wait = refusal(s)
    if limit and not answer then
        answer = {0, i - 1, limit, math.ceil(wait * 1000), math.floor(s.requests), math.floor(s.tokens)}
    end
end
if not answer then
    answer = {1}
    for _, s in ipairs(subjects) do
        if wanted > 0 then take(s) end
        if s.unseeded then s.asked = now end
        for _, told in ipairs({s.since, s.unseeded and 1 or 0, math.floor(s.requests), math.floor(s.tokens)}) do
            table.insert(answer, told)
        end
    end
end
for _, s in ipairs(subjects) do save(s) end
return answer
