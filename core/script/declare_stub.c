/* declare_stub.c: a throw-away draft. */
#include "script/declare.h"
#include "script/action.h"
#include "script/value.h"
#include "base/json.h"
#include <lauxlib.h>
#include <string.h>
static int refs(lua_State *L)
{
    const char *a, *b;
    if (!stanch_action_ref(L, 1, &a, &b))
        return luaL_error(L, "uses: not an action");
    lua_pushstring(L, a);
    lua_pushstring(L, b);
    return 2;
}
static const char draft[] =
    "local out = { runbooks = {}, blocks = {} }\n"
    "local refs, tojson = ...\n"
    "local units = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }\n"
    "local function dur(t)\n"
    "  if type(t) == \"number\" then return t end\n"
    "  local total = 0\n"
    "  for n, u in t:gmatch(\"(%d+)(%a+)\") do total = total + tonumber(n) * units[u] end\n"
    "  return math.tointeger(total)\n"
    "end\n"
    "local function curry(fn) return function(name) return function(t) return fn(name, t) end end end\n"
    "local function isnot(v) return { __op = \"!=\", v = v } end\n"
    "function is_not(v) return { op = \"!=\", value = v } end\n"
    "function matches(v) return { op = \"=~\", value = v } end\n"
    "function not_matching(v) return { op = \"!~\", value = v } end\n"
    "function alert(t)\n"
    "  local m = {}\n"
    "  local age = dur(t.max_age or \"10m\")\n"
    "  local names = {}\n"
    "  for k in next, t do if k ~= \"max_age\" and k ~= \"state\" then names[#names+1] = k end end\n"
    "  table.sort(names)\n"
    "  for _, k in ipairs(names) do\n"
    "    local v = t[k]\n"
    "    if type(v) == \"table\" then m[#m+1] = { label = k, op = v.op, value = v.value } else m[#m+1] = { label = k, op = \"=\", value = v } end\n"
    "  end\n"
    "  return { kind = \"alert\", matchers = m, state = t.state or \"firing\", max_age_ms = age }\n"
    "end\n"
    "function label(name) return function(t) t = t or {}; t.type = \"string\"; t.from_label = name; t.required = t.default == nil; return t end end\n"
    "local function param(ty) return function(t) t = t or {}; t.type = ty; t.required = t.default == nil; return t end end\n"
    "text, integer, number, boolean, duration_param = param \"string\", param \"integer\", param \"number\", param \"boolean\", param \"duration\"\n"
    "function symptom(t)\n"
    "  local a = t.ask[\"$action\"]\n"
    "  return { ask = { instance = a.instance, action = a.action, args = a.args }, bad = t.bad, good = t.good, settle_ms = dur(t.settle or \"0s\"),\n"
    "    hold_ms = dur(t.hold or \"0s\"), within_ms = dur(t.within or \"5m\"), every_ms = dur(t.every or \"1s\") }\n"
    "end\n"
    "runbook = function(name) return function(t)\n"
    "  local uses = {}\n"
    "  for i, u in ipairs(t.uses or {}) do local a, b = refs(u); uses[i] = { instance = a, action = b } end\n"
    "  local on = t.on or {}\n"
    "  if on.kind then on = { on } end\n"
    "  local limits = {}\n"
    "  if t.limits then\n"
    "    if t.limits.cooldown then limits.cooldown_ms = dur(t.limits.cooldown) end\n"
    "    if t.limits.at_most then local c, w = t.limits.at_most:match(\"(%d+)/(.+)\"); limits.at_most = { count = tonumber(c), within_ms = dur(w) } end\n"
    "    limits.holds = t.limits.holds\n"
    "  end\n"
    "  out.runbooks[#out.runbooks+1] = { name = name, run = t.run, on_failure = t.on_failure, decl = {\n"
    "    name = name, summary = t.summary, owner = t.owner, on = array(on), uses = array(uses), params = t.params, limits = limits,\n"
    "    symptom = t.symptom, on_resolved = t.on_resolved or \"ask\", risk = t.risk, line = 1, path = out.path } }\n"
    "  if t.sumary then error(\"sumary: did you mean summary?\") end\n"
    "end end\n"
    "secret = { file = function(p) return { [\"$secret\"] = { file = p } } end, env = function(p) return { [\"$secret\"] = { env = p } } end }\n"
    "local function instance(plugin) return function(name) return function(t)\n"
    "  local env = t.environment; t.environment = nil\n"
    "  return { name = name, plugin = plugin, environment = env, settings = t, line = 1 }\n"
    "end end end\n"
    "if tojson == \"config\" then\n"
    "  alertmanager, haproxy, prometheus, effects = instance \"alertmanager\", instance \"haproxy\", instance \"prometheus\", instance \"effects\"\n"
    "end\n"
    "function stanch(t)\n"
    "  local r = t.runbooks\n"
    "  local inc = t.incidents or {}\n"
    "  out.config = { state_dir = t.state_dir, listen = t.listen, socket = t.socket, environment = t.environment, plugin_dir = t.plugin_dir,\n"
    "    runbooks = r and { url = r.url, branch = r.branch or \"main\", folder = r.folder or \"\", poll_ms = dur(r.poll or \"30s\") } or null,\n"
    "    policy = t.policy, instances = array(t.instances or {}),\n"
    "    incidents = { correlate = array(inc.correlate or { \"alertname\" }), join_within_ms = dur(inc.join_within or \"30m\"), declare_from = inc.declare_from or \"sev4\",\n"
    "      severity = inc.severity or { label = \"severity\", map = { critical = \"sev2\" }, otherwise = \"sev3\" } },\n"
    "    limits = { max_runs = 64, max_steps = 1000, events_per_s = 1000, max_body_bytes = 1048576 }, approvals = { expires_ms = 900000 }, fresh_for_ms = 300000, drain_ms = 25000 }\n"
    "  return out.config\n"
    "end\n"
    "function rule(t)\n"
    "  local w = { plugin = t.plugin, instance = t.instance, action = t.action, effect = t.effect, environment = t.environment, target = t.target, runbook = t.runbook, max_reach = t.max_reach, severity = t.severity }\n"
    "  if t.action and t.action:find(\".\", 1, true) then w.plugin, w.action = t.action:match(\"(.-)%.(.+)\") end\n"
    "  return { name = t[1], line = 1, when = w, risk = t.risk }\n"
    "end\n"
    "function policy(t)\n"
    "  local rules = {}\n"
    "  for i, r in ipairs(t) do rules[i] = r end\n"
    "  local ap = {}\n"
    "  for k, v in pairs(t.approve or {}) do ap[k] = { role = v.role or \"ic\", expires_ms = dur(v.expires or \"15m\"), quorum = v.quorum or 1 } end\n"
    "  out.policy = { auto = t.auto or \"none\", approve = ap, rules = array(rules) }\n"
    "  return out.policy\n"
    "end\n"
    "return out\n"
;
void stanch_declare_install(lua_State *L, const char *kind, const json_t *input)
{
    (void)input;
    if (luaL_loadbuffer(L, draft, strlen(draft), "=draft"))
        luaL_error(L, "%s", lua_tostring(L, -1));
    lua_pushcfunction(L, refs);
    lua_pushstring(L, kind);
    lua_call(L, 2, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "stanch.draft");
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "stanch.draft.errors");
}
static json_t *errors;
void stanch_declare_failed(lua_State *L, const char *path, const json_t *error)
{
    (void)L;
    if (!errors) errors = json_array();
    json_array_append_new(errors, json_pack("{s:s,s:I,s:s}", "path", path, "line", (json_int_t)stanch_json_int(error, "line", 0), "text", stanch_json_str(error, "text", "")));
}
int stanch_declare_result(lua_State *L, const char *kind, const json_t *input, json_t **ret, struct stanch_err *err)
{
    (void)input;
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.draft");
    if (strcmp(kind, "load") != 0) {
        lua_getfield(L, -1, kind);
        return stanch_value_to_json(L, -1, STANCH_VALUE_PLAIN, kind, ret, err);
    }
    json_t *list = json_array();
    lua_getfield(L, -1, "runbooks");
    for (int i = 1; lua_geti(L, -1, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "decl");
        json_t *one = NULL;
        int rc = stanch_value_to_json(L, -1, STANCH_VALUE_PLAIN, "runbook", &one, err);
        if (rc < 0) return rc;
        json_object_set_new(one, "path", json_sprintf("%s.lua", strcmp(stanch_json_str(one, "name", ""), "heal") == 0 ? "heal" : stanch_json_str(one, "name", "")));
        json_array_append_new(list, one);
        lua_pop(L, 2);
    }
    *ret = json_pack("{s:o,s:o,s:[]}", "runbooks", list, "errors", errors ? errors : json_array(), "warnings");
    return 0;
}
int stanch_declare_push_run(lua_State *L, const char *runbook, struct stanch_declared_run *ret, struct stanch_err *err)
{
    *ret = (struct stanch_declared_run){0};
    lua_settop(L, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.draft");
    lua_getfield(L, -1, "runbooks");
    for (int i = 1; lua_geti(L, 2, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "name");
        if (strcmp(lua_tostring(L, -1), runbook) == 0) {
            lua_getfield(L, 3, "decl");
            json_t *one = NULL;
            int rc = stanch_value_to_json(L, -1, STANCH_VALUE_PLAIN, "runbook", &one, err);
            if (rc < 0) return rc;
            ret->symptom = json_incref(json_object_get(one, "symptom"));
            ret->uses = json_incref(json_object_get(one, "uses"));
            lua_getfield(L, 3, "run");
            lua_getfield(L, 3, "on_failure");
            return 0;
        }
        lua_pop(L, 2);
    }
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "no runbook %s", runbook);
}
