/* What a run asks and gets, through the real runner and a real worker. */
#include "worker_kit.h"

static int begin(void **state)
{
    struct kit *kit = STANCH_NEW(struct kit);
    kit_start(kit, NULL);
    *state = kit;
    return 0;
}

static int end(void **state)
{
    kit_stop(*state);
    free(*state);
    return 0;
}

static json_t *answer_plainly(struct act *act, const json_t *want)
{
    const char *op = stanch_json_str(want, "op", "");
    (void)act;
    if (strcmp(op, "action") == 0)
        return json_pack("{s:{s:{s:i}, s:s}}", "ok", "value", "weight", 7, "mitigation", "M-3");
    if (strcmp(op, "now") == 0)
        return json_pack("{s:I}", "ok", (json_int_t)1700000000000);
    return json_pack("{s:{}}", "ok");
}

static void a_run_asks_step_by_step(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act,
                 "note('began %s', incident.id)\n"
                 "sleep '15s'\n"
                 "local m = edge.drain { backend = 'b', server = p.server, lease = '1h', because = 'errors' }\n"
                 "return { m = m.mitigation, w = m.value.weight, at = now(), text = tostring(m) }");
    assert_string_equal(act.err.text, "");
    assert_int_equal(act.rc, 0);
    assert_int_equal(json_array_size(act.wants), 4);
    assert_string_equal(act_op(&act, 0), "note");
    assert_string_equal(stanch_json_str(act_args(&act, 0), "text", ""), "began INC-1");
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 0), "line", 0), 4);
    assert_string_equal(stanch_json_str(json_array_get(act.wants, 0), "file", ""), "a.lua");
    assert_int_equal(stanch_json_int(act_args(&act, 1), "ms", 0), 15000);
    const json_t *args = act_args(&act, 2);
    assert_string_equal(stanch_json_str(args, "instance", ""), "edge-eu");
    assert_string_equal(stanch_json_str(args, "because", ""), "errors");
    assert_int_equal(stanch_json_int(args, "lease_ms", 0), 3600000);
    assert_string_equal(stanch_json_str(json_object_get(args, "args"), "server", ""), "s1");
    assert_string_equal(stanch_json_str(act.result, "m", ""), "M-3");
    assert_int_equal(stanch_json_int(act.result, "w", 0), 7);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "mitigation M-3 (edge-eu.drain)");
    act_done(&act);
}

static const char *ops(struct act *act)
{
    static char text[1000];
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < json_array_size(act->wants); i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i ? " " : "", act_op(act, i));
    return text;
}

static void expect_error(void **state, const char *body, const char *kind, const char *text)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act, body);
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    if (strcmp(stanch_json_str(act.result, "kind", ""), kind) != 0 ||
        !strstr(stanch_json_str(act.result, "text", ""), text))
        fail_msg("%s\ngives %s", body, json_dumps(act.result, 0));
    act_done(&act);
}

static void mistakes_are_explained(void **state)
{
    expect_error(state, "edge.drian { backend = 'b' }", "not-found",
                 "has no action \"drian\"; did you mean \"drain\"?");
    expect_error(state, "edge.drain { bakend = 'b', because = 'x' }", "invalid", "needs \"backend\"");
    expect_error(state, "edge.drain { backend = 'b', sever = 's', because = 'x' }", "invalid",
                 "no argument \"sever\"; did you mean \"server\"?");
    expect_error(state, "edge.drain { backend = 'b' }", "invalid", "must say why");
    expect_error(state, "edge.drain { backend = 'b', because = ' ' }", "invalid", "must say why");
    expect_error(state, "edge.drain { backend = 'b', because = 'x', lease = '1x' }", "invalid", "not a duration");
    expect_error(state, "edge.drain { backend = 'b', because = 'x', risk = 'none' }", "invalid", "never lower it");
    expect_error(state, "edge.drain('b')", "invalid", "called with one table");
    expect_error(state, "edge.drain { backend = { f = note }, because = 'x' }", "invalid",
                 "action.args.backend.f: a function");
    expect_error(state, "haproxy 'edge-us'", "not-found", "did you mean \"edge-eu\"?");
    expect_error(state, "haproxy 'main'", "not-found", "is an instance of prometheus");
    expect_error(state, "nginx 'main'", "script", "there is nothing called \"nginx\"");
    expect_error(state, "os.exit()", "script", "there is no \"os\" in a runbook");
    expect_error(state, "notes('x')", "script", "did you mean \"note\"?");
    expect_error(state, "x = 1", "script", "local x = ...");
    expect_error(state, "sleep(15)", "invalid", "a duration is text like \"15s\"");
    expect_error(state, "require 'lib.nope'", "script", "there is no lib/nope.lua in this commit");
    expect_error(state, "require '../etc'", "script", "a module is named like");
    expect_error(state, "table.sort({1,2}, function() note('x') end)", "script", "cannot be called here");
    expect_error(state, "('ab'):gsub('.', function() sleep '1s' end)", "script", "cannot be called here");
    expect_error(state, "return print", "invalid", "the result of run(): a function is not data");
    expect_error(state, "note { 1 }", "invalid", "note expects a text");
    expect_error(state, "local function f() return 1 + f() end f()", "script", "stack overflow");
    expect_error(state, "local t; t.x = 1", "script", "attempt to index a nil value (local 't')");
}

static void an_error_has_place_and_traceback(void **state)
{
    struct act act = {0};
    act_run_body(*state, &act,
                 "local function deep() error('boom') end\nlocal function outer() deep() return 1 end\nouter()");
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "boom");
    assert_string_equal(stanch_json_str(act.result, "file", ""), "a.lua");
    assert_int_equal(stanch_json_int(act.result, "line", 0), 4);
    const char *trace = stanch_json_str(act.result, "traceback", "");
    assert_non_null(strstr(trace, "a.lua:4: in 'deep'"));
    assert_non_null(strstr(trace, "a.lua:5: in 'outer'"));
    assert_null(strstr(trace, "stanch"));
    assert_string_equal(act.err.text, "a.lua:4: boom");
    act_done(&act);
}

static void a_syntax_error_has_its_line(void **state)
{
    struct act act = {0};
    act_run(*state, &act, "local x = \n\n = 3");
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    assert_int_equal(stanch_json_int(act.result, "line", 0), 3);
    assert_non_null(strstr(stanch_json_str(act.result, "text", ""), "unexpected symbol near '='"));
    act_done(&act);
}

static json_t *fail_action(struct act *act, const json_t *want)
{
    if (strcmp(stanch_json_str(want, "op", ""), "action") == 0)
        return json_pack("{s:{s:s, s:s, s:i}}", "error", "kind", "refused", "text", "the IC said no", "approval", 4);
    return answer_plainly(act, want);
}

static void a_failed_action_is_caught_by_kind(void **state)
{
    struct act act = {.answer = fail_action};
    act_run_body(*state, &act,
                 "local ok, e = pcall(edge.drain, { backend = 'b', because = 'x' })\n"
                 "return { ok = ok, kind = e.kind, text = tostring(e), line = e.line, approval = e.approval }");
    assert_int_equal(act.rc, 0);
    assert_string_equal(stanch_json_str(act.result, "kind", ""), "refused");
    assert_string_equal(stanch_json_str(act.result, "text", ""), "refused: the IC said no");
    assert_int_equal(stanch_json_int(act.result, "approval", 0), 4);
    assert_true(json_is_false(json_object_get(act.result, "ok")));
    act_done(&act);

    struct act uncaught = {.answer = fail_action};
    act_run_body(*state, &uncaught, "note 'a'\nedge.drain { backend = 'b', because = 'x' }");
    assert_int_equal(uncaught.rc, STANCH_E_SCRIPT);
    assert_string_equal(stanch_json_str(uncaught.result, "kind", ""), "refused");
    assert_int_equal(stanch_json_int(uncaught.result, "line", 0), 5);
    act_done(&uncaught);
}

static void a_tail_call_keeps_its_line(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act,
                 "local function f()\n return edge.drain { backend = 'b', because = 'x' }\nend\nf()\n"
                 "local function g()\n return note 'x'\nend\ng()");
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 0), "line", 0), 5);
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 1), "line", 0), 9);
    act_done(&act);
}

static void large_answers_and_results_pass(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act,
                 "local t = {} for i = 1, 20000 do t['key ' .. i] = { i, i / 7 } end\n"
                 "local n = 0 for k, v in pairs(t) do n = n + 1 end note(('x'):rep(1000000)) return t");
    assert_string_equal(act.err.text, "");
    assert_int_equal(json_object_size(act.result), 20000);
    act_done(&act);
}

static void uses_is_enforced(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run(*state, &act,
            "local edge = haproxy 'edge-eu'\nrunbook 't' { summary = 's', owner = 'o',\n"
            "on = alert { alertname = 'A' }, uses = { edge.show },\n"
            "run = function() edge.show {} edge.drain { backend = 'b', because = 'x' } end }");
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    assert_string_equal(stanch_json_str(act.result, "kind", ""), "forbidden");
    assert_string_equal(ops(&act), "action");
    act_done(&act);
}

/* The last branch is answered first. */
static json_t *answer_backwards(struct act *act, const json_t *want)
{
    if (want != json_array_get(act->pending, json_array_size(act->pending) - 1))
        return NULL;
    return json_pack("{s:I}", "ok", (json_int_t)stanch_json_int(want, "n", 0));
}

static void branches_ask_together_and_go_on_one_by_one(void **state)
{
    struct act act = {.answer = answer_backwards};
    act_run_body(*state, &act,
                 "local order = array{}\n"
                 "local function branch(name) return function() local a = now() order[#order+1] = name .. a\n"
                 " local b = now() order[#order+1] = name .. b return { a, b } end end\n"
                 "local r = parallel { branch 'a', branch 'b', branch 'c' }\n"
                 "return { order = order, c = r[3], n = #r }");
    assert_string_equal(act.err.text, "");
    assert_int_equal(json_array_size(act.wants), 6);
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    stanch_json_canonical(act.result, &out, NULL);
    assert_string_equal(stanch_buf_str(&out),
                        "{\"c\":[3,4],\"n\":3,\"order\":[\"c3\",\"c4\",\"b2\",\"b5\",\"a1\",\"a6\"]}");
    assert_int_equal(act.frames, 6); /* one before each answer */
    act_done(&act);
}

static void an_error_in_a_branch_waits_for_the_others(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act,
                 "local seen = 0\n"
                 "local ok, e = pcall(parallel, { function() error('one') end,\n"
                 "  function() now() now() seen = seen + 1 return parallel { now, now } end })\n"
                 "return { ok = ok, seen = seen, text = e.text, line = e.line, kind = e.kind }");
    assert_int_equal(act.rc, 0);
    assert_int_equal(stanch_json_int(act.result, "seen", 0), 1);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "one");
    assert_int_equal(stanch_json_int(act.result, "line", 0), 5);
    assert_int_equal(json_array_size(act.wants), 4);
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 3), "line", 0), 6); /* of `parallel { now, now }` */
    act_done(&act);
}

static void what_is_known_as_incident_and_params(void **state)
{
    struct act act = {0};
    act_run_body(*state, &act,
                 "return { incident.id, incident.title, incident.severity, incident.event.labels.instance, p.server }");
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    stanch_json_canonical(act.result, &out, NULL);
    assert_string_equal(stanch_buf_str(&out), "[\"INC-1\",\"Checkout\",\"sev2\",\"eu1\",\"s1\"]");
    act_done(&act);
}

static void modules_come_from_the_same_commit(void **state)
{
    struct act act = {.answer = answer_plainly};
    int open = 1;
    static const char main_text[] =
        "local edge = require 'lib.edge'\n"
        "runbook 't' { summary = 's', owner = 'o', on = alert { alertname = 'A' }, uses = {},\n"
        "run = function() return { edge.say(), require('lib.edge') == edge,\n"
        "  (select(2, pcall(require, 'lib.a'))).text } end }";
    static const char edge_text[] = "local M = {} function M.say() note 'from lib' return 'said' end return M";
    static const char a_text[] = "return require 'lib.b'", b_text[] = "return require 'lib.a'";
    struct stanch_source sources[] = {{"lib/edge.lua", edge_text, sizeof edge_text - 1},
                                      {"a.lua", main_text, sizeof main_text - 1},
                                      {"lib/a.lua", a_text, sizeof a_text - 1},
                                      {"lib/b.lua", b_text, sizeof b_text - 1}};
    json_t *input = act_input();
    act.open = &open;
    act_start(*state, &act, input, sources, 4);
    json_decref(input);
    stanch_loop_run(((struct kit *)*state)->loop);
    assert_string_equal(act.err.text, "");
    assert_string_equal(json_string_value(json_array_get(act.result, 0)), "said");
    assert_true(json_is_true(json_array_get(act.result, 1)));
    assert_non_null(strstr(json_string_value(json_array_get(act.result, 2)), "in a circle"));
    assert_string_equal(stanch_json_str(json_array_get(act.wants, 0), "file", ""), "lib/edge.lua");
    act_done(&act);
}

/* ctx: the results of check and verify, one letter each: g good, b bad, n no data; w and e: bad, and of a verify it made it
 * worse or had no effect */
static json_t *answer_symptom(struct act *act, const json_t *want)
{
    const char *op = stanch_json_str(want, "op", "");
    if (strcmp(op, "check") != 0 && strcmp(op, "verify") != 0)
        return answer_plainly(act, want);
    const char *script = act->ctx;
    act->ctx = (void *)(uintptr_t)(script + 1);
    if (*script == 'n')
        return json_pack("{s:{s:s, s:n}}", "ok", "result", "no_data", "value");
    if (*script == 'w' || *script == 'e')
        return json_pack("{s:{s:s, s:i, s:s, s:i}}", "ok", "result", "bad", "value", 9, "verdict",
                         *script == 'w' ? "worse" : "no_effect", "before", 7);
    return json_pack("{s:{s:s, s:f}}", "ok", "result", *script == 'g' ? "good" : "bad", "value", 0.5);
}

#define LADDER                                                                                                         \
    "return ladder {\n"                                                                                                \
    "  rung { when = false, function() error('not this one') end },\n"                                                 \
    "  rung { function() return edge.drain { backend = 'b1', because = 'first' } end },\n"                             \
    "  rung { function() error('broken') end },\n"                                                                     \
    "  rung { function() return edge.drain { backend = 'b2', because = 'second' } end },\n"                            \
    "  otherwise = function() page('ic', 'help') end }"

static void climb(void **state, const char *symptoms, const char *expected_ops, const char *result, int rung)
{
    struct act act = {.answer = answer_symptom, .ctx = (void *)(uintptr_t)symptoms};
    act_run_body(*state, &act, LADDER);
    assert_string_equal(act.err.text, "");
    assert_string_equal(ops(&act), expected_ops);
    assert_string_equal(stanch_json_str(act.result, "result", ""), result);
    assert_int_equal(stanch_json_int(act.result, "rung", -1), rung);
    act_done(&act);
}

static void the_ladder_stops_where_it_helps(void **state)
{
    climb(state, "g", "check note", "good", 0);
    climb(state, "bg", "check action verify note", "good", 2);
    climb(state, "bbg", "check action verify note undo note action verify note", "good", 4);
    climb(state, "bnb", "check action verify note undo note action verify note undo note page", "bad", -1);
}

static void a_condition_may_be_a_function(void **state)
{
    struct act act = {.answer = answer_symptom, .ctx = (void *)(uintptr_t) "bg"};
    act_run_body(*state, &act,
                 "return ladder { rung { when = function() return nil end, function() error('no') end },\n"
                 "rung { when = function() return now() > 0 end, function() note 'yes' end } }");
    assert_string_equal(ops(&act), "check now note verify note");
    assert_int_equal(stanch_json_int(act.result, "rung", -1), 2);
    act_done(&act);
}

static void an_undone_rung_says_so(void **state)
{
    struct act act = {.answer = answer_symptom, .ctx = (void *)(uintptr_t) "bb"};
    act_run_body(*state, &act,
                 "ladder { rung { name = 'drain', function() edge.drain { backend = 'b', because = 'x' } end } }");
    assert_string_equal(ops(&act), "check action verify note undo note");
    assert_string_equal(stanch_json_str(act_args(&act, 4), "mitigation", ""), "M-3");
    assert_string_equal(stanch_json_str(act_args(&act, 4), "because", ""), "drain did not help");
    act_done(&act);
}

static void a_rung_that_made_it_worse_says_so(void **state)
{
    static const struct {
        const char *symptoms, *note, *because, *verdict;
    } cases[] = {
        {"bw", "drain made it worse: the symptom is bad (9), it was 7", "drain made it worse", "worse"},
        {"be", "drain had no effect: the symptom is bad (9), it was 7", "drain had no effect", "no_effect"},
        {"bb", "drain did not help: the symptom is bad (0.5)", "drain did not help", NULL}, /* of an earlier release */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct act act = {.answer = answer_symptom, .ctx = (void *)(uintptr_t)cases[i].symptoms};
        act_run_body(
            *state, &act,
            "return ladder { rung { name = 'drain', function() edge.drain { backend = 'b', because = 'x' } end } }");
        assert_string_equal(ops(&act), "check action verify note undo note");
        assert_string_equal(stanch_json_str(act_args(&act, 3), "text", ""), cases[i].note);
        assert_string_equal(stanch_json_str(act_args(&act, 4), "because", ""), cases[i].because);
        const char *verdict = stanch_json_str(act.result, "verdict", NULL);
        assert_true(verdict ? cases[i].verdict && strcmp(verdict, cases[i].verdict) == 0 : !cases[i].verdict);
        act_done(&act);
    }
}

static void verify_gives_its_verdict(void **state)
{
    static const struct {
        const char *symptoms, *counts;
    } cases[] = {{"w", "3 worse"}, {"b", "2 nil"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct act act = {.answer = answer_symptom, .ctx = (void *)(uintptr_t)cases[i].symptoms};
        act_run_body(*state, &act,
                     "local all = table.pack(verify())\n"
                     "return { counts = all.n .. ' ' .. tostring(all[3]) }");
        assert_string_equal(stanch_json_str(act.result, "counts", ""), cases[i].counts);
        act_done(&act);
    }
}

static json_t *answer_waits(struct act *act, const json_t *want)
{
    const char *op = stanch_json_str(want, "op", "");
    if (strcmp(op, "wait_for") == 0)
        return json_pack("{s:{s:s, s:f}}", "ok", "result", "held", "value", 0.25);
    if (strcmp(op, "ask") == 0)
        return json_pack("{s:{s:s, s:s, s:s}}", "ok", "choice", "go", "by", "person:a", "note", "fine");
    if (strcmp(op, "recent_changes") == 0)
        return json_pack("{s:[]}", "ok");
    if (strcmp(op, "action") == 0)
        return json_pack("{s:{s:f, s:n}}", "ok", "value", 0.5, "mitigation");
    return answer_plainly(act, want);
}

static void the_other_words(void **state)
{
    struct act act = {.answer = answer_waits};
    act_run_body(*state, &act,
                 "local r, v = wait_for { ask = prom.query, args = { expr = 'q' }, becomes = '< 1', within = '1m' }\n"
                 "local c = ask { role = 'ic', text = 'go on?', choices = { 'go', 'stop' }, within = '5m' }\n"
                 "local newest = recent_changes { service = 'checkout', within = '45m' }:newest()\n"
                 "decide('because of ' .. r)\nundo('M-9', 'enough')\n"
                 "return { r, v, c, newest, prom.query { expr = 'x' } }");
    assert_string_equal(act.err.text, "");
    assert_string_equal(ops(&act), "wait_for ask recent_changes decide undo action");
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    stanch_json_canonical(act.result, &out, NULL);
    assert_string_equal(stanch_buf_str(&out), "[\"held\",0.25,\"go\",false,0.5]");
    out.len = 0;
    stanch_json_canonical(act_args(&act, 0), &out, NULL);
    assert_string_equal(stanch_buf_str(&out),
                        "{\"ask\":{\"action\":\"query\",\"args\":{\"expr\":\"q\"},\"instance\":\"main\"},"
                        "\"every_ms\":5000,\"until\":\"< 1\",\"within_ms\":60000}");
    act_done(&act);
}

static void on_failure_is_told(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run(*state, &act,
            "runbook 't' { summary = 's', owner = 'o', on = alert { alertname = 'A' }, uses = {},\n"
            "run = function() note 'a' error('boom') end,\n"
            "on_failure = function(incident, e) page('ic', incident.id .. ': ' .. e.text) end }");
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "boom");
    assert_string_equal(ops(&act), "note page");
    assert_string_equal(stanch_json_str(act_args(&act, 1), "text", ""), "INC-1: boom");
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 1), "n", 0), 2);
    act_done(&act);
}

#define BUSY_BODY                                                                                                      \
    "local t = {} for i = 1, 40 do t['k' .. math.random(1000)] = math.random() end\n"                                  \
    "for k, v in pairs(t) do note('%s %s %s', k, v, {}) end\n"                                                         \
    "parallel { function() for i = 1, 5 do now() note('a') end end, function() for i = 1, 3 do note(tostring(now)) "   \
    "end end }\n"                                                                                                      \
    "local m = edge.drain { backend = 'b', because = 'x' }\n"                                                          \
    "return { tostring({}), math.random(5), m }"

/* Other runner, other address space, other hash seed: the same questions, byte for byte. */
static void the_same_answers_give_the_same_wants(void **state)
{
    struct act first = {.answer = answer_plainly};
    act_run_body(*state, &first, BUSY_BODY);
    assert_string_equal(first.err.text, "");
    assert_true(json_array_size(first.wants) > 30);
    for (int i = 0; i < 5; i++) {
        struct kit other;
        struct act again = {.answer = answer_plainly};
        kit_start(&other, NULL);
        act_run_body(&other, &again, BUSY_BODY);
        kit_stop(&other);
        assert_true(json_equal(first.wants, again.wants));
        assert_true(json_equal(first.result, again.result));
        act_done(&again);
    }
    act_done(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_asks_step_by_step),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(an_error_has_place_and_traceback),
        cmocka_unit_test(a_syntax_error_has_its_line),
        cmocka_unit_test(a_failed_action_is_caught_by_kind),
        cmocka_unit_test(a_tail_call_keeps_its_line),
        cmocka_unit_test(large_answers_and_results_pass),
        cmocka_unit_test(uses_is_enforced),
        cmocka_unit_test(branches_ask_together_and_go_on_one_by_one),
        cmocka_unit_test(an_error_in_a_branch_waits_for_the_others),
        cmocka_unit_test(what_is_known_as_incident_and_params),
        cmocka_unit_test(modules_come_from_the_same_commit),
        cmocka_unit_test(the_ladder_stops_where_it_helps),
        cmocka_unit_test(a_condition_may_be_a_function),
        cmocka_unit_test(an_undone_rung_says_so),
        cmocka_unit_test(a_rung_that_made_it_worse_says_so),
        cmocka_unit_test(verify_gives_its_verdict),
        cmocka_unit_test(the_other_words),
        cmocka_unit_test(on_failure_is_told),
        cmocka_unit_test(the_same_answers_give_the_same_wants),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
