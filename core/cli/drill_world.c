/* drill_world.c: what the outside said in an incident, as the world of a drill in Lua.
 *
 *   entries --> samples of reads, by what had been done before them --> handler that answers the same after the same
 *           \-> plans and outcomes of actions, in their order
 *
 * A read's answer belongs to the number of effects that had come into the world before it, and to the time since the last of them:
 * so it answers as then, also when people are faster or slower this time.
 */
#include "cli/room.h"
#include "cli/record.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define MAX_SAMPLES 1000 /* of one read; later ones are left out */

struct world {
    json_t *steps;    /* id -> {"instance","action","args","effect":bool} */
    json_t *actions;  /* "instance.action" -> {"samples":[[stage, since_ms, args, value]], "plans":[[args, plan]],
                      *  "applied":[outcome], "undone":[outcome], "holds":[bool]} */
    int stage;        /* effects so far */
    int64_t stage_ms; /* when the last of them came */
};

static json_t *action_of(struct world *w, const char *instance, const char *action)
{
    STANCH_AUTO_FREE char *name = stanch_asprintf("%s.%s", instance, action);
    json_t *known = json_object_get(w->actions, name);
    if (known)
        return known;
    known = json_pack("{s:[], s:[], s:[], s:[], s:[]}", "samples", "plans", "applied", "undone", "holds");
    json_object_set_new(w->actions, name, known);
    return known;
}

static json_t *list_of(struct world *w, const json_t *names, const char *list)
{
    const char *instance = stanch_json_str(names, "instance", ""), *action = stanch_json_str(names, "action", "");
    return *instance ? json_object_get(action_of(w, instance, action), list) : NULL;
}

/* ---- entries ---- */

/* Of a check of the symptom it is the symptom's question, of an action its own. */
static void on_asked(struct world *w, const json_t *entry, const json_t *data)
{
    const json_t *args = json_object_get(data, "args");
    const json_t *ask = json_object_get(json_object_get(args, "symptom"), "ask");
    (void)entry;
    json_object_set_new(w->steps, stanch_json_str(data, "step", ""),
                        json_pack("{s:O*, s:O*, s:O*}", "instance", json_object_get(ask ? ask : args, "instance"),
                                  "action", json_object_get(ask ? ask : args, "action"), "args",
                                  json_object_get(ask ? ask : args, "args")));
}

static void add_sample(struct world *w, const json_t *step, int64_t at_ms, json_t *value)
{
    json_t *samples = list_of(w, step, "samples"), *args = json_object_get(step, "args");
    STANCH_AUTO_JSON json_t *sample =
        json_pack("[i, I, O, O]", w->stage, (json_int_t)(at_ms - w->stage_ms), args ? args : json_null(), value);
    size_t count = json_array_size(samples);
    const json_t *last = count ? json_array_get(samples, count - 1) : NULL;
    bool is_same = last && json_equal(json_array_get(last, 0), json_array_get(sample, 0)) &&
                   json_equal(json_array_get(last, 2), json_array_get(sample, 2)) &&
                   json_equal(json_array_get(last, 3), value);
    if (samples && !is_same && count < MAX_SAMPLES)
        json_array_append(samples, sample);
}

static void on_symptom(struct world *w, const json_t *entry, const json_t *data)
{
    const json_t *step = json_object_get(w->steps, stanch_json_str(data, "step", ""));
    json_t *value = json_object_get(data, "value");
    if (step && value && !json_is_null(value))
        add_sample(w, step, stanch_json_int(entry, "at_ms", 0), value);
}

/* An answer that is no effect's: what was read. */
static void on_step_answered(struct world *w, const json_t *entry, const json_t *data)
{
    const json_t *step = json_object_get(w->steps, stanch_json_str(data, "step", ""));
    const json_t *ok = json_object_get(json_object_get(data, "answer"), "ok");
    json_t *value = json_object_get(ok, "value"); /* as the plugin gave it */
    bool is_read = step && json_object_get(step, "instance") && !json_object_get(step, "effect");
    if (is_read && value && !json_is_null(value) && !json_object_get(ok, "result"))
        add_sample(w, step, stanch_json_int(entry, "at_ms", 0), value);
}

static void on_planned(struct world *w, const json_t *entry, const json_t *data)
{
    static const char *const members[] = {"targets", "from", "to", "undo", "impact", "reach", "risk"};
    json_t *step = json_object_get(w->steps, stanch_json_str(data, "step", ""));
    const json_t *plan = json_object_get(data, "plan");
    json_t *plans = list_of(w, step, "plans"), *args = json_object_get(step, "args");
    (void)entry;
    if (!plans || !json_is_object(plan))
        return;
    json_object_set_new(step, "effect", json_true());
    json_t *kept = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(plan, members[i]) && !json_is_null(json_object_get(plan, members[i])))
            json_object_set(kept, members[i], json_object_get(plan, members[i]));
    for (size_t i = 0; i < json_array_size(plans); i++) {
        if (!json_equal(json_array_get(json_array_get(plans, i), 0), args))
            continue;
        json_decref(
            kept); /* the first one of these arguments stands for all: a plan is made again before it is applied */
        return;
    }
    json_array_append_new(plans, json_pack("[O, o]", args ? args : json_null(), kept));
}

/* What became of an effect: "done", or how it failed. */
static void add_outcome(struct world *w, const json_t *entry, const json_t *data, const char *list, const char *outcome)
{
    json_t *outcomes = list_of(w, data, list);
    const char *why = stanch_json_str(data, "why", "");
    if (!outcomes)
        return;
    if (strcmp(outcome, "done") == 0) {
        w->stage++;
        w->stage_ms = stanch_json_int(entry, "at_ms", 0);
        json_array_append_new(outcomes, json_pack("[s]", "done"));
    } else if (strcmp(outcome, "failed") == 0) {
        json_array_append_new(outcomes, json_pack("[s, s, s]", "failed", stanch_json_str(data, "kind", "remote"), why));
    } else {
        json_array_append_new(outcomes, json_pack("[s, s]", "unknown", why));
    }
}

static void on_action_answered(struct world *w, const json_t *entry, const json_t *data)
{
    json_t *step = json_object_get(w->steps, stanch_json_str(data, "step", ""));
    if (step)
        json_object_set_new(step, "effect", json_true());
    add_outcome(w, entry, data, "applied", stanch_json_str(data, "outcome", ""));
}

static void on_undone(struct world *w, const json_t *entry, const json_t *data)
{
    add_outcome(w, entry, data, "undone", "done");
}

static void on_undo_failed(struct world *w, const json_t *entry, const json_t *data)
{
    add_outcome(w, entry, data, "undone", "failed");
}

static void on_read_back(struct world *w, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_t *holds = list_of(w, data, "holds");
    if (holds && json_is_boolean(json_object_get(data, "holds")))
        json_array_append(holds, json_object_get(data, "holds"));
}

static void read_entries(struct world *w, const json_t *entries)
{
    static const struct {
        const char *kind;
        void (*take)(struct world *w, const json_t *entry, const json_t *data);
    } table[] = {
        {"step.asked", on_asked},
        {"step.checked", on_symptom},
        {"step.verified", on_symptom},
        {"step.planned", on_planned},
        {"action.sent", on_planned}, /* what nobody was asked about is planned in no other entry */
        {"step.answered", on_step_answered},
        {"action.answered", on_action_answered},
        {"action.verified", on_read_back},
        {"mitigation.undone", on_undone},
        {"mitigation.undo-failed", on_undo_failed},
    };
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (i == 0)
            w->stage_ms = stanch_json_int(entry, "at_ms", 0);
        for (size_t k = 0; k < sizeof table / sizeof *table; k++)
            if (strcmp(stanch_json_str(entry, "kind", ""), table[k].kind) == 0)
                table[k].take(w, entry, json_object_get(entry, "data"));
    }
}

/* ---- Lua ---- */

static const char MACHINE[] =
    "-- The world as it was: reads answer what was read after as many effects, and as long after the last of them; "
    "actions end as\n"
    "-- they ended, in their order.\n"
    "local function world()\n"
    "  local stage, since = 0, 0\n"
    "  local function same(a, b)\n"
    "    if type(a) ~= \"table\" or type(b) ~= \"table\" then return a == b end\n"
    "    for key, value in pairs(a) do if not same(value, b[key]) then return false end end\n"
    "    for key in pairs(b) do if a[key] == nil then return false end end\n"
    "    return true\n"
    "  end\n"
    "  -- samples: { effects before it, ms since the last of them, args, value }\n"
    "  local function seen(samples)\n"
    "    return function(call)\n"
    "      local fits, found = {}, nil\n"
    "      for _, one in ipairs(samples) do\n"
    "        if one[3] == nil or same(one[3], call.args) then fits[#fits + 1] = one end\n"
    "      end\n"
    "      if #fits == 0 then fits = samples end\n"
    "      for _, one in ipairs(fits) do\n"
    "        local is_due = one[1] < stage or (one[1] == stage and (one[2] <= call.at_ms - since or not found or "
    "found[1] < stage))\n"
    "        if is_due then found = one end\n"
    "      end\n"
    "      found = found or fits[1]\n"
    "      return found and found[4]\n"
    "    end\n"
    "  end\n"
    "  local function planned(plans)\n"
    "    return function(call)\n"
    "      for _, one in ipairs(plans) do if same(one[1], call.args) then return one[2] end end\n"
    "      return plans[1] and plans[1][2]\n"
    "    end\n"
    "  end\n"
    "  local function went(outcomes)\n"
    "    local count = 0\n"
    "    return function(call)\n"
    "      count = count + 1\n"
    "      local outcome = outcomes[count] or { \"done\" }\n"
    "      if outcome[1] == \"failed\" then fails(outcome[2], outcome[3]) end\n"
    "      if outcome[1] == \"unknown\" then unknown(outcome[2]) end\n"
    "      stage, since = stage + 1, call.at_ms\n"
    "      return {}\n"
    "    end\n"
    "  end\n"
    "  local function held(answers)\n"
    "    local count = 0\n"
    "    return function()\n"
    "      count = count + 1\n"
    "      return answers[count] ~= false\n"
    "    end\n"
    "  end\n"
    "  return {\n";

/* name of the call, its function, its list; on a line of its own */
static void write_call(const char *call, const char *made_by, const json_t *list, struct stanch_buf *out)
{
    stanch_buf_printf(out, "      %s = %s {", call, made_by);
    for (size_t i = 0; i < json_array_size(list); i++) {
        stanch_buf_text(out, "\n        ");
        stanch_cli__lua_value(json_array_get(list, i), out);
        stanch_buf_char(out, ',');
    }
    stanch_buf_text(out, json_array_size(list) ? "\n      },\n" : "},\n");
}

static bool has_false(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_false(json_array_get(list, i)))
            return true;
    return false;
}

static void write_action(const char *name, const json_t *action, struct stanch_buf *out)
{
    const json_t *samples = json_object_get(action, "samples"), *holds = json_object_get(action, "holds");
    bool is_read = json_array_size(samples) > 0;
    stanch_buf_text(out, "    [");
    stanch_cli__lua_text(name, strlen(name), out);
    stanch_buf_text(out, "] = {\n");
    if (is_read)
        write_call("read", "seen", samples, out);
    if (json_array_size(json_object_get(action, "plans")) > 0)
        write_call("plan", "planned", json_object_get(action, "plans"), out);
    if (!is_read) {
        write_call("apply", "went", json_object_get(action, "applied"), out);
        write_call("undo", "went", json_object_get(action, "undone"), out);
    }
    if (has_false(holds))
        write_call("verify", "held", holds, out);
    stanch_buf_text(out, "    },\n");
}

void stanch_cli__write_world(const json_t *told, struct stanch_buf *out)
{
    struct world w = {.steps = json_object(), .actions = json_object()};
    const char *name;
    json_t *action;
    read_entries(&w, json_object_get(told, "entries"));
    stanch_buf_text(out, MACHINE);
    json_object_foreach(w.actions, name, action) write_action(name, action, out);
    stanch_buf_text(out, "  }\nend\n\n");
    json_decref(w.steps);
    json_decref(w.actions);
}
