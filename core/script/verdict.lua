-- verdict.lua: what a scenario expects, held against what was seen: every difference as a sentence with what there was instead.
-- It is read with scenario.lua, by which it is called.
local host, copy, told = ...
local duration, text = host.duration, host.text
local type, pcall, ipairs, pairs, tostring = type, pcall, ipairs, pairs, tostring
local concat, format, sort = table.concat, string.format, table.sort

local function shown(value)
  if type(value) == "string" then return "\"" .. value .. "\"" end
  if type(value) ~= "table" then return text(value) end
  local parts = {}
  for key, inner in pairs(value) do
    parts[#parts + 1] = (type(key) == "number" and "" or text(key) .. " = ") .. shown(inner)
  end
  return "{ " .. concat(parts, ", ") .. " }"
end

-- Everything that is asked for is there, and so.
local function fits(wanted, given)
  if type(wanted) ~= "table" then return wanted == given end
  if type(given) ~= "table" then return false end
  for key, value in pairs(wanted) do
    if not fits(value, given[key]) then return false end
  end
  return true
end

local function name_of(action) return (action.op == "undo" and "undo " or "") .. action.instance .. "." .. action.action end

local function expected_action(wanted)
  if type(wanted) == "string" then return wanted, {} end
  local args = {}
  for key, value in pairs(wanted) do
    if key ~= 1 then args[key] = value end
  end
  return wanted[1], args
end

local function actions_text(list)
  local names = {}
  for _, action in ipairs(list) do names[#names + 1] = name_of(action) .. " " .. shown(action.args) end
  return #names == 0 and "nothing was done" or "done was: " .. concat(names, "; ")
end

local function judge_actions(expected, seen, fail)
  local happened = actions_text(seen.actions)
  for i, wanted in ipairs(expected) do
    local name, args = expected_action(wanted)
    local action = seen.actions[i]
    if not action or name_of(action) ~= name or not fits(args, action.args) then
      return fail(format("actions[%d]: expected %s %s; %s", i, name, shown(args), happened))
    end
  end
  if #seen.actions > #expected then
    fail(format("actions: %d expected, %d happened; %s", #expected, #seen.actions, happened))
  end
end

local function asks_text(list)
  local parts = {}
  for _, ask in ipairs(list) do
    parts[#parts + 1] = format("%s about %s (%s)", ask.role, ask.action or ask.about, ask.outcome)
  end
  return #parts == 0 and "nobody was asked" or "asked was: " .. concat(parts, "; ")
end

local function judge_asks(expected, seen, fail)
  if type(expected) == "number" then
    if #seen.asks ~= expected then fail(format("asks: %d expected, %d were put; %s", expected, #seen.asks, asks_text(seen.asks))) end
    return
  end
  for i, wanted in ipairs(expected) do
    if type(wanted) == "string" then wanted = { role = wanted } end
    if not fits(wanted, seen.asks[i]) then
      return fail(format("asks[%d]: expected %s; %s", i, shown(wanted), asks_text(seen.asks)))
    end
  end
  if #seen.asks > #expected then fail(format("asks: %d expected, %d were put; %s", #expected, #seen.asks, asks_text(seen.asks))) end
end

local function judge_texts(expected, list, what, fail)
  for i, part in ipairs(expected) do
    local found = false
    for _, given in ipairs(list) do found = found or given:find(part, 1, true) ~= nil end
    if not found then
      fail(format("%s[%d]: nothing says \"%s\"; said was: %s", what, i, part, #list > 0 and concat(list, "; ") or "nothing"))
    end
  end
end

-- What the symptom was, each time that a run asked: "bad", "good".
local function judge_checks(expected, seen, fail)
  local results = {}
  for i, check in ipairs(seen.checks) do results[i] = check.result end
  if concat(results, ", ") ~= concat(expected, ", ") then
    fail(format("checks: expected %s, the symptom was %s", concat(expected, ", "), #results > 0 and concat(results, ", ") or "not asked for"))
  end
end

local function judge_in_force(expected, seen, fail)
  local names = {}
  for _, mitigation in ipairs(seen.in_force) do names[#names + 1] = mitigation.instance .. "." .. mitigation.action end
  sort(names)
  local wanted = copy(expected)
  sort(wanted)
  if concat(names, ", ") ~= concat(wanted, ", ") then
    fail(format("in_force: expected %s, in force is %s", #wanted > 0 and concat(wanted, ", ") or "nothing",
                #names > 0 and concat(names, ", ") or "nothing"))
  end
end

local function why_of(seen)
  for _, run in ipairs(seen.runs) do
    if run.why and run.why ~= "" then return ": " .. run.why end
  end
  for _, event in ipairs(seen.outcome == "none" and seen.events or {}) do
    for _, one in ipairs(event.considered or {}) do
      if not one.match then return ": " .. one.runbook .. " did not match: " .. one.why end
    end
  end
  return ""
end

return function(expect, seen)
  local failures = {}
  local function fail(what) failures[#failures + 1] = what end
  local expected = expect or {}
  if expected.outcome and seen.outcome ~= expected.outcome then
    fail(format("outcome: expected \"%s\", it is \"%s\"%s", expected.outcome, seen.outcome, why_of(seen)))
  end
  if expected.actions then judge_actions(expected.actions, seen, fail) end
  if expected.asks then judge_asks(expected.asks, seen, fail) end
  if expected.notes then judge_texts(expected.notes, seen.notes, "notes", fail) end
  if expected.pages then judge_texts(expected.pages, seen.pages, "pages", fail) end
  if expected.checks then judge_checks(expected.checks, seen, fail) end
  if expected.in_force then judge_in_force(expected.in_force, seen, fail) end
  if expected.severity and seen.severity ~= expected.severity then
    fail(format("severity: expected %s, it is %s", expected.severity, tostring(seen.severity)))
  end
  if expected.within and seen.took_ms > duration(expected.within, "within") then
    fail(format("within: expected %s at most, it took %d ms", expected.within, seen.took_ms))
  end
  if expected.check then
    local ok, why = pcall(expected.check, seen)
    if not ok then fail("check: " .. told(why)) end
  end
  return { failures = host.array(failures) }
end
