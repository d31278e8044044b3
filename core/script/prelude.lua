-- prelude.lua: the words of a run, on the primitives of sched.c, action.c and lib_host.c.
-- It is read before the sandbox is closed. Its frames are skipped when a place is looked for, so that every error
-- and every want names the runbook's own line.
local host, globals = ...
local want, raise, duration, text = host.want, host.raise, host.duration, host.text
local type, pcall, error, ipairs, select = type, pcall, error, ipairs, select
local pairs = pairs
local format, concat = string.format, table.concat

globals.array = host.array

local function need_table(value, what)
  if type(value) ~= "table" then raise("invalid", what .. " expects { ... }, not " .. type(value)) end
  return value
end

local function need_text(value, what)
  if type(value) == "number" then value = text(value) end
  if type(value) ~= "string" then raise("invalid", what .. " expects a text, not " .. type(value)) end
  return value
end

-- No name but the known ones, so that a typing error is an error and not a default.
local function only(given, what, ...)
  for key in pairs(given) do
    local known = false
    for i = 1, select("#", ...) do known = known or key == select(i, ...) end
    if not known then
      raise("invalid", what .. " has no \"" .. text(key) .. "\"; there is " .. concat({ ... }, ", "))
    end
  end
end

local function need_run(what)
  if not host.is_running() then
    raise("script", what .. " can be called inside run() only, not while a file is read")
  end
end

-- ---- simple words ----

local function say(op)
  return function(fmt, ...)
    local said = need_text(fmt, op)
    if select("#", ...) > 0 then said = format(said, ...) end
    want(op, { text = said })
  end
end
globals.note = say "note"
globals.decide = say "decide"

function globals.now() return want("now", {}) end

function globals.sleep(how_long) want("sleep", { ms = duration(how_long, "sleep") }) end

function globals.page(role, message)
  want("page", { role = need_text(role, "page: role"), text = need_text(message, "page: text") })
end

function globals.ask(spec)
  need_table(spec, "ask")
  only(spec, "ask", "role", "text", "choices", "within")
  local choices = need_table(spec.choices or { "yes", "no" }, "ask: choices")
  if #choices == 0 then raise("invalid", "ask: choices is empty; nobody could answer") end
  local answer = want("ask", { role = need_text(spec.role or "ic", "ask: role"), text = need_text(spec.text, "ask: text"),
                               choices = choices, within_ms = spec.within and duration(spec.within, "ask: within") or nil })
  return answer.choice, answer.note, answer.by
end

-- ---- changes ----

local changes_meta = { __index = {
  -- false, not nil: `when = change and ...` then is a condition that does not hold
  newest = function(list) return list[1] or false end,
}, ["stanch.is_array"] = true }

function globals.recent_changes(spec)
  need_table(spec, "recent_changes")
  only(spec, "recent_changes", "service", "within", "kind")
  local list = want("recent_changes", { service = spec.service, kind = spec.kind,
                                        within_ms = duration(spec.within or "1h", "recent_changes: within") })
  return host.set_meta(list, changes_meta)
end

-- ---- actions ----

local handle_meta = { __tostring = function(m)
  return "mitigation " .. text(m.mitigation) .. " (" .. m.instance .. "." .. m.action .. ")"
end }

-- What a rung applied, so that it can be taken back: collector by coroutine, inherited by branches.
local collectors = {}
local function collect(handle)
  local list = collectors[host.current()]
  if list then list[#list + 1] = handle end
end
-- The policy lets the runbook only observe: the rung has done nothing.
local function collect_observed()
  local list = collectors[host.current()]
  if list then list.observed = true end
end

local function call_action(action, args, ...)
  local instance, name, effect = host.describe(action)
  local what = instance .. "." .. name
  if select("#", ...) > 0 or type(args) ~= "table" then
    raise("invalid", what .. " is called with one table, as in " .. name .. " { ... }")
  end
  local plain, how = {}, {}
  for key, value in pairs(args) do
    if key == "because" or key == "lease" or key == "risk" or key == "retry" then how[key] = value else plain[key] = value end
  end
  host.check_args(action, plain)
  if not host.is_running() then
    return { ["$action"] = { instance = instance, action = name, args = plain } }
  end
  host.permit(action)
  local because = how.because
  if effect == "mitigate" and (type(because) ~= "string" or not because:find("%S")) then
    raise("invalid", what .. " changes production, so it must say why: because = \"...\"")
  end
  if because ~= nil then need_text(because, what .. ": because") end
  local risk = how.risk
  if risk ~= nil and risk ~= "low" and risk ~= "medium" and risk ~= "high" then
    raise("invalid", what .. ": risk is \"low\", \"medium\" or \"high\"; a runbook can raise it, never lower it")
  end
  if how.retry ~= nil and (math.type(how.retry) ~= "integer" or how.retry < 0 or how.retry > 10) then
    raise("invalid", what .. ": retry is a number of tries from 0 to 10")
  end
  local answer = want("action", { instance = instance, action = name, args = plain, because = because, risk = risk,
                                  retry = how.retry, lease_ms = how.lease and duration(how.lease, what .. ": lease") or nil },
                      what)
  local value, id = answer.value, answer.mitigation
  if value == globals.null then value = nil end
  if effect ~= "mitigate" then return value end
  if id == globals.null then id = nil end
  local handle = host.set_meta({ mitigation = id, instance = instance, action = name, value = value }, handle_meta)
  if id then collect(handle) end
  if answer.observed then
    handle.observed = true
    collect_observed()
  end
  return handle
end
host.set_call(host.word(call_action))

function globals.undo(what, because)
  local id = what
  if type(what) == "table" then
    id = what.mitigation
    because = because or what.because
    if id == nil and what.observed then
      return globals.note(what.instance .. "." .. what.action .. " was only observed: there is nothing to take back")
    end
    if id == nil then raise("invalid", "undo: there is nothing to undo in " .. text(what)) end
  end
  return want("undo", { mitigation = need_text(id, "undo"), because = need_text(because or "taken back by the runbook", "undo: because") })
end

-- ---- the symptom ----

local function symptom_of(given, what)
  local symptom = given
  if symptom == nil then symptom = host.symptom() end
  if symptom == nil then
    raise("invalid", what .. ": this runbook declares no symptom; declare `symptom = symptom { ... }` or give one")
  end
  if type(symptom) == "userdata" then symptom = globals.symptom(symptom) end -- declared at the top of the file
  need_table(symptom, what)
  local plain = {}
  for key, value in pairs(symptom) do plain[key] = value end
  if type(plain.ask) == "table" and plain.ask["$action"] then plain.ask = plain.ask["$action"] end
  return plain
end

-- result, value; of a verify after something was done also what it says of that, and the value before
local function measure(op, symptom)
  need_run(op)
  local answer = want(op, { symptom = symptom_of(symptom, op) })
  local value = answer.value
  if value == globals.null then value = nil end
  return answer.result, value, answer.verdict, answer.before
end
function globals.check(symptom)
  local result, value = measure("check", symptom)
  return result, value
end
function globals.verify(symptom)
  local result, value, verdict = measure("verify", symptom)
  if verdict == nil then return result, value end -- an answer of an earlier release has none: what came of it stays
  return result, value, verdict
end

function globals.wait_for(spec)
  need_run "wait_for"
  need_table(spec, "wait_for")
  only(spec, "wait_for", "ask", "args", "becomes", "every", "within")
  local asked = spec.ask
  if type(asked) == "userdata" and host.describe(asked) then
    local instance, name = host.describe(asked)
    local args = need_table(spec.args or {}, "wait_for: args")
    host.check_args(asked, args)
    host.permit(asked)
    asked = { instance = instance, action = name, args = args }
  elseif type(asked) == "table" and type(asked["$action"]) == "table" then
    asked = asked["$action"]
  else
    raise("invalid", "wait_for: ask is an action that was not called, with its args beside it: "
      .. "wait_for { ask = prom.query, args = { expr = \"...\" }, becomes = \"< 1\" }")
  end
  local answer = want("wait_for", { ask = asked, ["until"] = need_text(spec.becomes, "wait_for: becomes"),
                                    every_ms = duration(spec.every or "5s", "wait_for: every"),
                                    within_ms = duration(spec.within or "5m", "wait_for: within") })
  local value = answer.value
  if value == globals.null then value = nil end
  return answer.result, value
end

-- ---- side by side ----

function globals.parallel(branches)
  need_table(branches, "parallel")
  local count, inherited, wrapped = #branches, collectors[host.current()], {}
  if count == 0 then return {} end
  for i = 1, count do
    local branch = branches[i]
    if type(branch) ~= "function" then
      raise("invalid", "parallel expects functions; number " .. i .. " is a " .. type(branch))
    end
    wrapped[i] = function()
      collectors[host.current()] = inherited
      return branch()
    end
  end
  local ended, results = host.fork(table.unpack(wrapped, 1, count)), {}
  for i = 1, count do
    if not ended[i][1] then error(ended[i][2], 0) end
    results[i] = ended[i][2]
  end
  return results
end

-- ---- the ladder ----

local rung_meta = {}
local is_rung = {}

function globals.rung(spec)
  need_table(spec, "rung")
  only(spec, "rung", 1, "when", "name")
  if type(spec[1]) ~= "function" then raise("invalid", "rung expects a function: rung { when = ..., function() ... end }") end
  local made = host.set_meta({ spec[1], when = spec.when, name = spec.name }, rung_meta)
  is_rung[made] = true
  return made
end

local function shown(result, value)
  return result .. (value ~= nil and " (" .. text(value) .. ")" or "")
end

local failures = { worse = " made it worse", no_effect = " had no effect" }

-- What came of a rung that did not help, and why it is undone. An answer of an earlier release says no verdict: then the words are
-- those of that release, for they are wants, and are replayed.
local function tell_failure(name, result, value, verdict, before)
  local why = name .. (failures[verdict] or " did not help")
  globals.note(why .. ": the symptom is " .. shown(result, value) .. (before ~= nil and ", it was " .. text(before) or ""))
  return why
end

-- Run one rung. Returns "good" or why not, the value and the verdict; what it applied and did not help is undone.
local function climb(name, body)
  local thread = host.current()
  local outer, applied = collectors[thread], {}
  collectors[thread] = applied
  local ok, failure = pcall(body)
  collectors[thread] = outer
  local result, value, verdict, before
  local why = name .. " did not help"
  if not ok then
    globals.note(name .. " failed: " .. text(failure))
  end
  if applied.observed and #applied == 0 then
    globals.note(name .. " was only observed: nothing was changed")
    if outer then outer.observed = true end
    return "observed"
  end
  if ok or #applied > 0 then
    result, value, verdict, before = measure "verify"
    if result == "good" then
      for _, handle in ipairs(applied) do collect(handle) end
      globals.note(name .. " helped: the symptom is " .. shown(result, value))
      return "good", value, verdict
    end
    why = tell_failure(name, result, value, verdict, before)
  end
  for i = #applied, 1, -1 do
    local undone, problem = pcall(globals.undo, applied[i], why)
    if not undone then globals.note(text(applied[i]) .. " could not be undone: " .. text(problem)) end
  end
  return result or "failed", value, verdict
end

function globals.ladder(spec)
  need_run "ladder"
  need_table(spec, "ladder")
  local count = #spec
  for key, value in pairs(spec) do
    if key == "otherwise" then
      if type(value) ~= "function" then raise("invalid", "ladder: otherwise is a function") end
    elseif not is_rung[value] then
      raise("invalid", "ladder takes rungs and `otherwise`; \"" .. text(key) .. "\" is neither")
    end
  end
  if count == 0 then raise("invalid", "ladder: there is no rung") end
  local result, value, verdict = measure "check"
  if result == "good" then
    globals.note("the symptom is good already" .. (value ~= nil and " (" .. text(value) .. ")" or "") .. ": nothing to do")
    return { result = "good", rung = 0, value = value }
  end
  for i = 1, count do
    local rung = spec[i]
    local name = rung.name and need_text(rung.name, "rung: name") or "rung " .. i
    local when = rung.when
    if type(when) == "function" then when = when() or false end -- asked when its turn comes
    if when == nil or (when and when ~= globals.null) then
      result, value, verdict = climb(name, rung[1])
      if result == "good" then return { result = "good", rung = i, value = value, verdict = verdict } end
    end
  end
  globals.note("no rung of the ladder helped")
  if spec.otherwise then spec.otherwise() end
  return { result = result, rung = globals.null, value = value, verdict = verdict }
end

-- ---- every word keeps its caller's line ----

for _, name in ipairs { "note", "decide", "now", "sleep", "page", "ask", "recent_changes", "undo", "verify", "check",
                        "wait_for", "parallel", "rung", "ladder" } do
  globals[name] = host.word(globals[name])
end
