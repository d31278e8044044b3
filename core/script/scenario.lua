-- scenario.lua: the words of a test or a drill, and the world that stands for all plugins in it. core/drill/README.md is its
-- manual. It is read before the sandbox is closed; its frames are skipped when a place is looked for, as the prelude's are.
-- Whether what was seen is what was expected is verdict.lua's.
--
--   core --"list"--> what each scenario declares, as data
--   core --"play"--> want "scenario.next" {reply} <--> {"ask":"call"|"person"|"judge",...} ... the verdict
local host, globals, verdict, plays = ...
local want, raise, duration, text = host.want, host.raise, host.duration, host.text
local type, pcall, error, ipairs, pairs, select = type, pcall, error, ipairs, pairs, select
local concat = table.concat

local scenarios = {} -- in the order of the file: { data, spec }; when one is played, without data
local line_of = {}   -- of a name

-- ---- declaring: checked when the file is read, so that a mistake has its line ----

local function need(value, kind, what)
  if type(value) ~= kind then raise("invalid", what .. ": expected a " .. kind .. ", not a " .. type(value)) end
  return value
end

local function only(given, what, keys)
  for key in pairs(need(given, "table", what)) do
    if not keys[key] then
      local known = {}
      for name in pairs(keys) do known[#known + 1] = name end
      raise("invalid", what .. ": there is no \"" .. text(key) .. "\"; there is " .. concat(known, ", "))
    end
  end
end

local function set(...)
  local keys = {}
  for i = 1, select("#", ...) do keys[(select(i, ...))] = true end
  return keys
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local made = {}
  for key, inner in pairs(value) do made[key] = copy(inner) end
  return made
end

local function each(list, what, make)
  local made = {}
  for i, item in ipairs(need(list or {}, "table", what)) do made[i] = make(item, what .. "[" .. i .. "]") end
  return host.array(made)
end

local function ms(given, what, default) return given == nil and default or duration(given, what) end

-- Every key that is not one of these is a label, as in a runbook's `alert { ... }`.
local ALERT = set("at", "lasts", "age", "source", "annotations", "labels", "repeats")
local function alert_of(given, what)
  local labels = copy(need(given, "table", what).labels) or {}
  for key, value in pairs(given) do
    if not ALERT[key] then labels[need(key, "string", what)] = need(value, "string", what .. "." .. text(key)) end
  end
  if not labels.alertname then raise("invalid", what .. ": an alert has an alertname") end
  return { at_ms = ms(given.at, what .. ".at", 0), lasts_ms = given.lasts and ms(given.lasts, what .. ".lasts"),
           age_ms = ms(given.age, what .. ".age", 0), source = given.source or "alerts",
           repeats = given.repeats, labels = labels, annotations = copy(given.annotations) or {} }
end

local START = set("at", "runbook", "params", "by", "incident")
local function start_of(given, what)
  only(given, what, START)
  return { at_ms = ms(given.at, what .. ".at", 0), runbook = need(given.runbook, "string", what .. ".runbook"),
           params = copy(given.params) or {}, by = given.by or "tester",
           incident = given.incident and need(given.incident, "string", what .. ".incident") }
end

local CHANGE = set("at", "kind", "service", "name", "text", "by", "commit", "previous", "environment", "link", "state")
local function change_of(given, what)
  only(given, what, CHANGE)
  local change = copy(given)
  change.at_ms, change.at = ms(given.at, what .. ".at", 0), nil
  need(change.kind, "string", what .. ".kind")
  return change
end

local PERSON = set("roles", "answers", "after", "away_until", "note", "right", "acknowledges", "resolves")
local function person_of(name, given, what)
  if type(given) == "string" or type(given) == "function" then given = { answers = given } end
  only(given, what, PERSON)
  local answers = given.answers == nil and "approve" or given.answers
  if type(answers) ~= "string" and type(answers) ~= "function" then
    raise("invalid", what .. ".answers: \"approve\", \"deny\", a choice, \"nothing\", or a function of the question")
  end
  return { name = name, roles = given.roles and host.array(copy(given.roles)) or nil, note = given.note,
           answers = type(answers) == "string" and answers or nil, after_ms = ms(given.after, what .. ".after", 60000),
           away_until_ms = ms(given.away_until, what .. ".away_until", 0),
           right = given.right and need(given.right, "string", what .. ".right"),
           acknowledges_ms = given.acknowledges and ms(given.acknowledges, what .. ".acknowledges"),
           resolves_ms = given.resolves and ms(given.resolves, what .. ".resolves") }
end

-- What good looks like (DRILLS.md): each is a row of the report.
local GOOD = { detect = "time", acknowledge = "time", first_mitigation = "time", mitigate = "time", resolve = "time",
               approval = "time", outcome = "text", in_force = "list", wrong_decisions = "count", late_decisions = "count",
               failed_steps = "count", expired = "count", unmatched = "count", pages = "count" }
local function good_of(given)
  only(given, "good", GOOD)
  local made = {}
  for key, value in pairs(given) do
    local what, kind = "good." .. key, GOOD[key]
    if kind == "time" then
      made[key] = duration(value, what)
    elseif kind == "list" then
      made[key] = each(value, what, function(name, where) return need(name, "string", where) end)
    else
      made[key] = need(value, kind == "count" and "number" or "string", what)
    end
    if kind == "count" and (value < 0 or value % 1 ~= 0) then raise("invalid", what .. ": expected a whole number, 0 or more") end
  end
  return made
end

local function right_of(given)
  for about, decision in pairs(need(given, "table", "right")) do
    need(decision, "string", "right." .. need(about, "string", "right"))
  end
  return copy(given)
end

local function people_of(given, what)
  local made = {}
  for name, person in pairs(need(given or {}, "table", what)) do
    made[#made + 1] = person_of(need(name, "string", what), person, what .. "." .. text(name))
  end
  return host.array(made)
end

local FAULT = set("at", "lasts", "instance", "how")
local HOW = set("down", "failing", "silent", "lost")
local function fault_of(given, what)
  only(given, what, FAULT)
  local how = given.how or "down"
  if not HOW[how] then raise("invalid", what .. ".how: \"down\", \"failing\", \"silent\" or \"lost\"") end
  return { at_ms = ms(given.at, what .. ".at", 0), lasts_ms = given.lasts and ms(given.lasts, what .. ".lasts"),
           instance = need(given.instance, "string", what .. ".instance"), how = how }
end

local EXPECT = set("outcome", "actions", "asks", "checks", "notes", "pages", "in_force", "severity", "within", "check")
local SPEC = set("begins", "within", "alerts", "starts", "changes", "people", "faults", "world", "expect", "objectives",
                 "summary", "owner", "kind", "good", "right", "instances")

local function instances_of(given)
  for name, other in pairs(need(given or {}, "table", "instances")) do
    need(other, "string", "instances." .. need(name, "string", "instances"))
  end
  return copy(given)
end

local function declare(kind)
  return host.word(function(name)
    need(name, "string", kind)
    local file, line = host.place()
    return host.word(function(spec)
      if plays then
        scenarios[#scenarios + 1] = { spec = spec }
        return
      end
      only(spec, kind .. " \"" .. name .. "\"", SPEC)
      only(spec.expect or {}, "expect", EXPECT)
      if spec.world ~= nil and type(spec.world) ~= "function" then need(spec.world, "table", "world") end
      local data = { name = name, kind = kind, file = file, line = line, begins = spec.begins,
                     within_ms = ms(spec.within, "within", 6 * 3600 * 1000), summary = spec.summary, owner = spec.owner,
                     drill = spec.kind, instances = spec.instances and instances_of(spec.instances),
                     objectives = host.array(copy(spec.objectives) or {}),
                     good = spec.good and good_of(spec.good), right = spec.right and right_of(spec.right),
                     alerts = each(spec.alerts, "alerts", alert_of), starts = each(spec.starts, "starts", start_of),
                     changes = each(spec.changes, "changes", change_of), people = people_of(spec.people, "people"),
                     faults = each(spec.faults, "faults", fault_of) }
      if line_of[name] then
        raise("invalid", "there are two of the name \"" .. name .. "\"; the other one is in line " .. line_of[name])
      end
      line_of[name] = line
      scenarios[#scenarios + 1] = { data = data, spec = spec }
    end)
  end)
end
globals.test = declare "test"
globals.drill = declare "drill"

-- ---- the world: what handlers do not say is made up so that it fits ----

local Outcome = {}
local function outcome_of(made) return host.set_meta(made, Outcome) end
local is_outcome = {}
-- A handler's way to say that a call failed, or that nobody knows.
globals.fails = host.word(function(kind, why, retry)
  local made = outcome_of { fails = { kind = kind or "remote", text = why or "the world says no", retry = retry or false } }
  is_outcome[made] = true
  error(made, 0)
end)
globals.unknown = host.word(function(why)
  local made = outcome_of { unknown = why or "no answer came" }
  is_outcome[made] = true
  error(made, 0)
end)

local function handler_of(handlers, call)
  local own = handlers[call.instance .. "." .. call.action]
  local given = own
  if given == nil then given = handlers[call.instance .. ".*"] end
  if type(given) == "table" and given[call.op] ~= nil then return given[call.op], true end
  if type(given) == "function" then
    local is_own_op = call.op == "read" or call.op == "apply"
    return is_own_op and given or nil, true
  end
  if type(given) == "table" and call.op == "read" and given[1] ~= nil then return function() return given[1] end, true end
  if type(given) == "number" or type(given) == "boolean" or type(given) == "string" then
    return call.op == "read" and function() return given end or nil, true
  end
  return nil, given ~= nil
end

-- What went wrong in code of the scenario, with its place.
local function told(failure)
  if type(failure) ~= "table" then return text(failure) end
  local place = failure.file and failure.line and failure.file .. ":" .. text(failure.line) .. ": " or ""
  return place .. text(failure.text or failure)
end

local state = {} -- target -> what was applied there last

local function target_of(call)
  local parts = { call.instance }
  for _, value in pairs(call.args) do
    if type(value) ~= "table" then parts[#parts + 1] = text(value) end
  end
  return call.plugin .. ":" .. concat(parts, "/")
end

local function plan_of(call, given)
  local target = target_of(call)
  local from = state[target] or { is = "as before" }
  local plan = { targets = host.array { target }, from = from, to = copy(call.args), undo = from,
                 by_hand = call.action .. " " .. target, undo_by_hand = "undo " .. call.action .. " " .. target }
  for key, value in pairs(given or {}) do plan[key] = value end
  return plan
end

local function read_of(call, known, value)
  if not known then return { missing = call.instance .. "." .. call.action } end
  if value == nil then return { ok = { no_data = true, why = "the world has no sample" } } end
  if type(value) ~= "table" then value = { value = value } end
  return { ok = value }
end

local function value_of(call, known, value)
  if call.op == "read" then return read_of(call, known, value) end
  if call.op == "plan" then return { ok = plan_of(call, value) } end
  if call.op == "apply" or call.op == "undo" then
    for _, target in ipairs(call.plan and call.plan.targets or {}) do
      if call.op == "apply" then state[target] = copy(call.plan.to) else state[target] = nil end
    end
    return { ok = type(value) == "table" and value or {} }
  end
  if call.op == "verify" then
    if type(value) == "boolean" then value = { holds = value } end
    return { ok = value or { holds = true } }
  end
  if call.op == "reconcile" then
    if type(value) == "string" then value = { state = value } end
    return { ok = value } -- nil: what came into the world is known outside
  end
  return { ok = value or {} }
end

local function answer_call(handlers, call)
  local handler, known = handler_of(handlers, call)
  -- Stanch reads the calendars that the policy names by itself: one that the world does not have is empty.
  if not known and call.plugin == "ical" and call.op == "read" then return { ok = { windows = host.array {} } } end
  if handler == nil then return value_of(call, known, nil) end
  if type(handler) ~= "function" then return value_of(call, true, handler) end
  local ok, value = pcall(handler, call)
  if not ok and is_outcome[value] then return value end
  if not ok then return { broken = told(value) } end
  return value_of(call, true, value)
end

-- ---- a run that happened: `runbook record` writes these words ----

-- What a person says to each question, in the order in which they are put: { "approve", after = "5m", note = "..." }, or "nothing".
globals.in_turn = host.word(function(list)
  need(list, "table", "in_turn")
  local at = 0
  return function()
    at = at + 1
    local said = list[at] or "nothing"
    if type(said) ~= "table" then said = { said } end
    return said[1], said.after, said.note
  end
end)

-- The same answer for as long as it is asked for again at this pace, as a verify does; `lasts`: the last one that is asked for comes
-- so long after the first.
local is_again = {}
globals.again = host.word(function(given)
  only(given, "again", set(1, "every", "lasts"))
  local made = { given[1], every_ms = duration(given.every, "again.every"), lasts_ms = duration(given.lasts, "again.lasts") }
  is_again[made] = true
  return made
end)

local PACE_MS = 25 -- an answer takes its time too
local function goes_on(told, at_ms)
  local held = told.held
  local gap = held and at_ms - told.last_ms
  return held and gap >= held.every_ms and gap <= held.every_ms + PACE_MS and told.last_ms - told.first_ms < held.lasts_ms
end

-- The next answer of a list; the last one stays.
local function next_of(told, at_ms)
  if not goes_on(told, at_ms) then
    if told.at < #told.answers then told.at = told.at + 1 end
    local item = told.answers[told.at]
    told.held, told.first_ms = is_again[item] and item or nil, at_ms
  end
  told.last_ms = at_ms
  if told.held then return told.held[1] end
  return told.answers[told.at]
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Each { "instance.action", op = "read", args = {...}, answers = {...} }: consumed in order by calls with these arguments.
local TOLD = set(1, "op", "args", "answers")
globals.recorded = host.word(function(list)
  local handlers = {}
  for i, given in ipairs(need(list, "table", "recorded")) do
    local what = "recorded[" .. i .. "]"
    only(given, what, TOLD)
    local name, op = need(given[1], "string", what .. "[1]"), given.op or "read"
    local told = { at = 0, args = given.args or {}, answers = need(given.answers, "table", what .. ".answers") }
    local of_name = handlers[name] or {}
    handlers[name] = of_name
    local others = of_name[op]
    of_name[op] = function(call)
      if not same(told.args, call.args) then
        if others then return others(call) end
        if op ~= "read" then return nil end
        local made = outcome_of { missing = name }
        is_outcome[made] = true
        error(made, 0)
      end
      local answer = next_of(told, call.at_ms)
      if type(answer) == "function" then return answer(call) end
      return copy(answer)
    end
  end
  return handlers
end)

local function answer_person(spec, question)
  local person = spec.people[question.person]
  local answers = type(person) == "table" and person.answers or person
  local ok, decision, after, note = pcall(answers, question)
  if not ok then return { broken = told(decision) } end
  return { decision = decision, after_ms = after and duration(after, "answers") or nil, note = note }
end

-- ---- served to core ----

local judge = verdict(host, copy, told)

local function play(scenario)
  local handlers = scenario.spec.world or {}
  if type(handlers) == "function" then handlers = need(handlers(), "table", "what world() returns") end
  local reply
  while true do
    local asked = want("scenario.next", { reply = reply })
    if asked.ask == "judge" then return judge(scenario.spec.expect, asked.seen) end
    if asked.ask == "call" then reply = answer_call(handlers, asked.call) else reply = answer_person(scenario.spec, asked) end
  end
end

return function(input)
  if input.index then return play(scenarios[input.index]) end
  local list = {}
  for i, scenario in ipairs(scenarios) do list[i] = scenario.data end
  return host.array(list)
end
