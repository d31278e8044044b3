/* test_declare_runbook.c: runbooks' metadata: the data that comes out, and what is said of every mistake. */
#include "declare_kit.h"
#include "base/digest.h"
#include <stdio.h>

static void a_full_runbook_becomes_data(void **state)
{
    (void)state;
    static const char text[] =
        "local edge, prom = haproxy 'edge-eu', prometheus 'main'\n"
        "\n"
        "runbook 'checkout-errors' {\n"
        "  summary = 'Stop the bleeding', owner = 'team-checkout',\n"
        "  on = { alert { alertname = 'X', severity = matches 'critical|page', env = is_not 'dev', max_age = '5m' },\n"
        "         alert { a = not_matching 'b.*', missing = '', state = 'resolved', labels = { state = 's' } } },\n"
        "  uses = { edge.drain, prom.query, edge.drain },\n"
        "  params = { server = label 'instance' { one_of = { 'eu1', 'eu2' } },\n"
        "             zone = label 'zone' { default = 'z', pattern = '[a-z]+' }, plain = label 'plain',\n"
        "             count = label 'n' { type = 'integer' },\n"
        "             percent = integer { default = 50, min = 0, max = 100 }, note = text {},\n"
        "             hold = duration { default = '5m', min = '1m', max = '1h' }, flag = boolean { default = false },\n"
        "             ratio = number { one_of = { 0.5, 1 }, required = true, label = 'r', description = 'how much' } "
        "},\n"
        "  limits = { cooldown = '30m', at_most = '3/1h', holds = 'service:checkout', at_once = 2,\n"
        "             group_by = { 'service' }, group_within = '30s' },\n"
        "  symptom = symptom { ask = prom.query { expr = 'job:errors' }, bad = '> 0.05', good = '< 0.01',\n"
        "                      settle = '15s', hold = '1m', within = '5m', every = '2s' },\n"
        "  on_resolved = 'stop', fresh_for = '2m', risk = 'high',\n"
        "  run = function(incident, p) use(p) end,\n"
        "  on_failure = function(incident, e) end,\n"
        "}\n";
    struct declared d;
    char digest[65];
    stanch_digest_hex(text, strlen(text), digest);
    declare_text(&d, "load", "ops/checkout.lua", text);
    STANCH_AUTO_FREE char *errors = told(json_object_get(d.result, "errors"), "path", NULL);
    assert_string_equal(errors, "");
    assert_int_equal(json_array_size(json_object_get(d.result, "warnings")), 0);
    STANCH_AUTO_FREE char *expected = stanch_asprintf(
        "[{\"name\":\"checkout-errors\",\"path\":\"ops/checkout.lua\",\"line\":3,\"digest\":\"%s\","
        "\"summary\":\"Stop the bleeding\",\"owner\":\"team-checkout\","
        "\"on\":[{\"kind\":\"alert\",\"state\":\"firing\",\"max_age_ms\":300000,\"matchers\":["
        "{\"label\":\"alertname\",\"op\":\"=\",\"value\":\"X\"},{\"label\":\"env\",\"op\":\"!=\",\"value\":\"dev\"},"
        "{\"label\":\"severity\",\"op\":\"=~\",\"value\":\"critical|page\"}]},"
        "{\"kind\":\"alert\",\"state\":\"resolved\",\"max_age_ms\":600000,\"matchers\":["
        "{\"label\":\"a\",\"op\":\"!~\",\"value\":\"b.*\"},{\"label\":\"missing\",\"op\":\"=\",\"value\":\"\"},"
        "{\"label\":\"state\",\"op\":\"=\",\"value\":\"s\"}]}],"
        "\"uses\":[{\"instance\":\"edge-eu\",\"action\":\"drain\"},{\"instance\":\"main\",\"action\":\"query\"}],"
        "\"params\":{\"server\":{\"type\":\"string\",\"from_label\":\"instance\",\"one_of\":[\"eu1\",\"eu2\"],"
        "\"required\":true},"
        "\"zone\":{\"type\":\"string\",\"from_label\":\"zone\",\"default\":\"z\",\"pattern\":\"[a-z]+\","
        "\"required\":false},"
        "\"plain\":{\"type\":\"string\",\"from_label\":\"plain\",\"required\":true},"
        "\"count\":{\"type\":\"integer\",\"from_label\":\"n\",\"required\":true},"
        "\"percent\":{\"type\":\"integer\",\"default\":50,\"min\":0,\"max\":100,\"required\":false},"
        "\"note\":{\"type\":\"string\",\"required\":false},"
        "\"hold\":{\"type\":\"duration\",\"default\":\"5m\",\"min\":60000,\"max\":3600000,\"required\":false},"
        "\"flag\":{\"type\":\"boolean\",\"default\":false,\"required\":false},"
        "\"ratio\":{\"type\":\"number\",\"one_of\":[0.5,1],\"required\":true,\"from_label\":\"r\","
        "\"description\":\"how much\"}},"
        "\"limits\":{\"cooldown_ms\":1800000,\"at_most\":{\"count\":3,\"within_ms\":3600000},"
        "\"holds\":\"service:checkout\",\"at_once\":2,\"group_by\":[\"service\"],\"group_within_ms\":30000},"
        "\"symptom\":{\"ask\":{\"instance\":\"main\",\"action\":\"query\",\"args\":{\"expr\":\"job:errors\"}},"
        "\"bad\":\"> 0.05\",\"good\":\"< 0.01\",\"settle_ms\":15000,\"hold_ms\":60000,\"within_ms\":300000,"
        "\"every_ms\":2000},"
        "\"on_resolved\":\"stop\",\"fresh_for_ms\":120000,\"risk\":\"high\"}]",
        digest);
    assert_json(json_object_get(d.result, "runbooks"), expected);
    declared_done(&d);
}

static void a_short_runbook_has_its_defaults(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "load", "a.lua", "runbook 'a' { summary = 's', run = function() end }");
    const json_t *runbook = json_array_get(json_object_get(d.result, "runbooks"), 0);
    assert_json(json_object_get(runbook, "on"), "[]");
    assert_json(json_object_get(runbook, "uses"), "[]");
    assert_json(json_object_get(runbook, "params"), "{}");
    assert_json(json_object_get(runbook, "limits"), "{\"at_once\":16,\"group_within_ms\":60000}");
    assert_true(json_is_null(json_object_get(runbook, "symptom")));
    assert_string_equal(stanch_json_str(runbook, "on_resolved", ""), "ask");
    assert_null(json_object_get(runbook, "risk"));
    assert_int_equal(json_array_size(json_object_get(d.result, "errors")), 0);
    STANCH_AUTO_FREE char *warnings = told(json_object_get(d.result, "warnings"), "path", NULL);
    assert_string_equal(warnings, "a.lua:1: runbook \"a\": has no owner; nobody is named who answers for it\n"
                                  "a.lua:1: runbook \"a\": has no `on`: no alert starts it, only a person");
    declared_done(&d);
}

/* A good runbook but for the text given. */
#define WITH(text)                                                                                                     \
    HEAD "runbook 'a' { summary = 's', owner = 'o', run = function() end, uses = { prom.query },\n" text " }"
#define AT "a.lua:2: runbook \"a\": "

static void every_mistake_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"runbook 'a' { owner = 'o', run = function() end }",
         "a.lua:1: runbook \"a\": summary: missing; expected a text"},
        {"runbook 'a' { summary = 's', owner = 'o' }", "a.lua:1: runbook \"a\": run: missing; expected a function"},
        {"\nrunbook 'a'", "a.lua:2: runbook \"a\": no { ... } follows the name"},
        {"runbook { summary = 's', run = function() end }", "a.lua:1: runbook \"?\": name: expected a name in front, "
                                                            "as in runbook \"checkout-errors\" { ... }, not a table"},
        {"runbook 'a b' { summary = 's', run = function() end }",
         "a.lua:1: runbook \"a b\": name: \"a b\" is not a name; use letters, digits, _ - and ., at most 64, beginning "
         "with "
         "a letter or digit"},
        {"runbook 'a' { summary = 's', run = 5 }", "a.lua:1: runbook \"a\": run: expected a function, not 5"},
        {"runbook 'a' { summary = 's', run = function() end, on_failure = {} }",
         "a.lua:1: runbook \"a\": on_failure: expected a function, not a table"},
        {"runbook 'a' { sumary = 's', run = function() end }",
         "a.lua:1: runbook \"a\": summary: missing; expected a text\n"
         "a.lua:1: runbook \"a\": sumary: there is no such key; did you mean \"summary\"?"},
        {"runbook 'a' { summary = function() end, run = function() end }",
         "a.lua:1: runbook \"a\": summary: expected a text, not a function"},
        {"runbook 'a' { summary = 's', run = function() end } { }", "a.lua:1: this runbook has its { ... } already"},
        /* triggers */
        {WITH("on = { alertname = 'X' }"),
         "a.lua:1: runbook \"a\": on: expected alert { ... } or a list of them, not a table"},
        {WITH("on = alert {}"), AT "on: needs at least one label, or every alert would start it"},
        {WITH("on = alert 'X'"), AT "on: expected { label = value, ... }, not \"X\""},
        {WITH("on = alert { 'X' }"), AT "on: there is a value without a label; write it like alertname = \"X\""},
        {WITH("on = alert { code = 500 }"),
         AT "on.code: expected text, is_not \"x\", matches \"a|b\" or not_matching \"a|b\", not 500"},
        {WITH("on = alert { a = matches(5) }"),
         AT "on.a: expected text, is_not \"x\", matches \"a|b\" or not_matching \"a|b\", not 5"},
        {WITH("on = alert { a = 'x', max_age = 10 }"),
         AT "on.max_age: expected a duration like \"15s\" or \"10m\", not 10"},
        {WITH("on = alert { a = 'x', state = 'pending' }"),
         AT "on.state: expected \"firing\" or \"resolved\", not \"pending\""},
        {WITH("on = { alert { a = 'x' },\n'y' }"), "a.lua:1: runbook \"a\": on[2]: expected alert { ... }, not \"y\""},
        {WITH("on = { alert { a = 'x' },\nalert { a = {} } }"),
         "a.lua:3: runbook \"a\": on[2].a: expected text, is_not \"x\", matches \"a|b\" or not_matching \"a|b\", not a "
         "table"},
        /* uses */
        {HEAD "runbook 'a' { summary = 's', owner = 'o', run = function() end, uses = prom.query }",
         "a.lua:1: runbook \"a\": uses: expected a list of actions, as in { edge.drain, prom.query }, not a value of "
         "another kind"},
        {HEAD
         "runbook 'a' { summary = 's', owner = 'o', run = function() end, uses = { edge.drain { server = 'x' } } }",
         "a.lua:1: runbook \"a\": uses[1]: this action was called; name it only: edge.drain, without { ... }"},
        {HEAD "runbook 'a' { summary = 's', owner = 'o', run = function() end, uses = { 'edge.drain', edge } }",
         "a.lua:1: runbook \"a\": uses[1]: expected an action, as in edge.drain, not \"edge.drain\"\n"
         "a.lua:1: runbook \"a\": uses[2]: expected an action, as in edge.drain, not a value of another kind"},
        {"\nlocal x = haproxy 'edge-ue'",
         "a.lua:2: haproxy \"edge-ue\": no such instance is configured; did you mean \"edge-eu\"?"},
        {HEAD "runbook 'a' { uses = { edge.drian } }",
         "a.lua:1: haproxy \"edge-eu\" has no action \"drian\"; did you mean \"drain\"?"},
        {"local x = unleash 'prod'",
         "a.lua:1: there is nothing called \"unleash\"; a plugin's name is known once an instance of it is configured, "
         "everything else is a local variable"},
        /* parameters */
        {WITH("params = { 'x' }"),
         "a.lua:1: runbook \"a\": params: expected { name = label \"x\" { ... }, ... }, not a table"},
        {WITH("params = { x = 5 }"), "a.lua:1: runbook \"a\": params.x: expected label \"x\" { ... }, text {}, integer "
                                     "{}, number {}, boolean {} or "
                                     "duration {}, not 5"},
        {WITH("params = { x = integer }"), "a.lua:1: runbook \"a\": params.x: expected label \"x\" { ... }, text {}, "
                                           "integer {}, number {}, boolean {} or "
                                           "duration {}, not a function"},
        {WITH("params = { ['a-b'] = text {} }"),
         "a.lua:1: runbook \"a\": params.a-b: a parameter's name is letters, digits and _, so that p.name reads it"},
        {WITH("params = { x = integer { defualt = 5 } }"),
         AT "params.x.defualt: there is no such key; did you mean \"default\"?"},
        {WITH("params = { x = integer { default = 'many' } }"),
         AT "params.x.default: expected a whole number, not \"many\""},
        {WITH("params = { x = integer { default = 101, min = 0, max = 100 } }"), AT "params.x.default: is above max"},
        {WITH("params = { x = integer { min = 5, max = 1 } }"),
         AT "params.x: min is above max: no value would be allowed"},
        {WITH("params = { x = number { min = '1' } }"), AT "params.x.min: expected a number, not \"1\""},
        {WITH("params = { x = boolean { max = 1 } }"), AT "params.x.max: true and false have no order"},
        {WITH("params = { x = duration { default = '5 min' } }"),
         AT "params.x.default: expected a duration like \"15s\", not \"5 min\""},
        {WITH("params = { x = text { one_of = {} } }"),
         AT "params.x.one_of: expected a list of values, as in { \"a\", \"b\" }, not a table"},
        {WITH("params = { x = text { one_of = { 'a', 5 } } }"), AT "params.x.one_of[2]: expected text, not 5"},
        {WITH("params = { x = text { one_of = { 'a' }, default = 'b' } }"), AT "params.x.default: is not among one_of"},
        {WITH("params = { x = integer { pattern = 'a' } }"), AT "params.x.pattern: a pattern is for text only"},
        {WITH("params = { x = integer { type = 'text' } }"), AT "params.x.type: integer { ... } has its type already"},
        {WITH("params = { x = label 'l' { label = 'm' } }"), AT "params.x: the label is named twice"},
        {WITH("params = { x = label { one_of = { 'a' } } }"),
         AT "params.x: expected the name of a label, as in label \"instance\" {}, not a table"},
        {WITH("params = { x = text { required = 'yes' } }"),
         AT "params.x.required: expected true or false, not \"yes\""},
        {WITH("params = { x = text { default = function() end } }"), AT "params.x.default: a function is not data"},
        /* limits */
        {WITH("limits = { at_most = '3 per hour' }"),
         "a.lua:1: runbook \"a\": limits.at_most: expected a number and a time like \"3/1h\", not \"3 per hour\""},
        {WITH("limits = { at_most = '0/1h' }"),
         "a.lua:1: runbook \"a\": limits.at_most: expected a number and a time like \"3/1h\", not \"0/1h\""},
        {WITH("limits = { cooldown = '1 h' }"),
         "a.lua:1: runbook \"a\": limits.cooldown: \"1 h\" is not a duration; write it like 250ms, 15s, 10m, 2h or 7d"},
        {WITH("limits = { hold = 'x' }"),
         "a.lua:1: runbook \"a\": limits.hold: there is no such key; did you mean \"holds\"?"},
        /* symptom */
        {WITH("symptom = { bad = '> 1' }"),
         "a.lua:1: runbook \"a\": symptom: expected symptom { ask = ..., bad = ..., good = ... }, not a table"},
        {WITH("symptom = symptom { bad = '> 1', good = '< 1' }"),
         AT "symptom.ask: missing; expected a read of a plugin"},
        {WITH("symptom = symptom { ask = prom.query, bad = '> 1', good = '< 1' }"),
         AT "symptom.ask: main.query was not called; write query { ... } with its arguments"},
        {WITH("symptom = symptom { ask = 'up', bad = '> 1', good = '< 1' }"),
         AT "symptom.ask: expected a read of a plugin, as in prom.query { expr = \"...\" }, not \"up\""},
        {WITH("symptom = symptom { ask = edge.drain { server = 'x' }, bad = '> 1', good = '< 1' }"),
         AT "symptom.ask: edge-eu.drain does not read, it is a mitigate action; a symptom only asks"},
        {WITH("symptom = symptom { ask = edge.show {}, bad = '> 1', good = '< 1' }"),
         "a.lua:1: runbook \"a\": uses: the symptom asks edge-eu.show, which is not listed here"},
        {WITH("symptom = symptom { ask = prom.query { expr = 'e' }, bad = 'above 5', good = '< 1' }"),
         AT "symptom.bad: \"above 5\" is not a range; write it like > 0.05, <= 10 or == 0"},
        {WITH("symptom = symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = '< 1%' }"),
         AT "symptom.good: \"< 1%\" is not a range; write it like > 0.05, <= 10 or == 0"},
        {WITH("symptom = symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = 1 }"),
         AT "symptom.good: expected a range like \"> 0.05\", not 1"},
        {WITH("symptom = symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = '> 5' }"),
         AT "symptom: bad and good are the same range"},
        {WITH("symptom = symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = '< 1', hold = '10m' }"),
         AT "symptom: hold is not below within: it could never be proven good"},
        /* words */
        {WITH("on_resolved = 'wait'"),
         "a.lua:1: runbook \"a\": on_resolved: expected \"ask\", \"stop\" or \"continue\", not \"wait\""},
        {WITH("risk = 'none'"), "a.lua:1: runbook \"a\": risk: expected \"low\", \"medium\" or \"high\", not \"none\""},
        {WITH("fresh_for = '0s'"), "a.lua:1: runbook \"a\": fresh_for: expected 1s to 1d"},
        /* files */
        {"local t = nil\nlocal function f() return t.x end\nf()",
         "a.lua:2: attempt to index a nil value (upvalue 't')"},
        {"runbook 'a' {", "a.lua:1: unexpected symbol near <eof>"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct declared d;
        declare_text(&d, "load", "a.lua", mistakes[i].text);
        STANCH_AUTO_FREE char *got = told(json_object_get(d.result, "errors"), "path", NULL);
        if (strcmp(got, mistakes[i].expected) != 0)
            fail_msg("%s\n  told     %s\n  expected %s", mistakes[i].text, got, mistakes[i].expected);
        assert_int_equal(d.rc, 0);
        declared_done(&d);
    }
}

static void one_bad_file_does_not_hide_the_others(void **state)
{
    (void)state;
    static const char a[] = "runbook 'x' { summary = 's', owner = 'o', on = alert { a = 'b' }, run = function() end }",
                      b[] = "\nlocal function f() error 'boom' end\nf()", c[] = "runbook 'y' { run = function() end }",
                      d_text[] =
                          "\nrunbook 'x' { summary = 's', owner = 'o', on = alert { a = 'b' }, run = function() end }",
                      e[] = "return { just = 'a library' }";
    const struct stanch_vm_source sources[] = {{"a.lua", a, sizeof a - 1},
                                               {"b.lua", b, sizeof b - 1},
                                               {"c.lua", c, sizeof c - 1},
                                               {"d.lua", d_text, sizeof d_text - 1},
                                               {"e.lua", e, sizeof e - 1}};
    struct declared d;
    declare_files(&d, "load", sources, 5);
    const json_t *errors = json_object_get(d.result, "errors");
    STANCH_AUTO_FREE char *got = told(errors, "path", NULL);
    assert_string_equal(got, "c.lua:1: runbook \"y\": summary: missing; expected a text\n"
                             "d.lua:2: runbook \"x\": the name is taken by a.lua:1\n"
                             "b.lua:2: boom");
    assert_string_equal(stanch_json_str(json_array_get(errors, 0), "key", ""), "runbook \"y\": summary");
    assert_string_equal(stanch_json_str(json_array_get(errors, 2), "at", ""), "b.lua:2: in 'f'");
    declared_done(&d);
}

static void a_run_gets_its_functions_and_its_symptom(void **state)
{
    (void)state;
    struct declared d;
    struct stanch_declared_run run = {0};
    declare_text(&d, "run", "a.lua",
                 HEAD "runbook 'a' { summary = 's', uses = { prom.query }, run = function() return 'ran' end,\n"
                      " symptom = " OK_SYMPTOM ", on_failure = function() return 'failed' end }\n"
                      "runbook 'b' { summary = 's', run = function() end }\n"
                      "runbook 'c' { run = function() end }");
    lua_State *L = d.vm->L;
    assert_int_equal(stanch_declare_push_run(L, "a", &run, &d.err), 0);
    assert_int_equal(lua_gettop(L), 2);
    lua_call(L, 0, 1);
    assert_string_equal(lua_tostring(L, -1), "failed");
    lua_pop(L, 1);
    lua_call(L, 0, 1);
    assert_string_equal(lua_tostring(L, -1), "ran");
    lua_pop(L, 1);
    assert_json(run.uses, "[{\"instance\":\"main\",\"action\":\"query\"}]");
    assert_json(run.symptom,
                "{\"ask\":{\"instance\":\"main\",\"action\":\"query\",\"args\":{\"expr\":\"e\"}},\"bad\":\"> 5\","
                "\"good\":\"< 1\",\"settle_ms\":15000,\"hold_ms\":30000,\"within_ms\":300000,\"every_ms\":5000}");
    json_decref(run.uses);
    json_decref(run.symptom);

    run = (struct stanch_declared_run){0};
    assert_int_equal(stanch_declare_push_run(L, "b", &run, &d.err), 0);
    assert_true(lua_isfunction(L, 1) && lua_isnil(L, 2));
    assert_null(run.symptom);
    json_decref(run.uses);
    lua_settop(L, 0);

    assert_int_equal(stanch_declare_push_run(L, "x", &run, &d.err), STANCH_E_NOT_FOUND);
    assert_string_equal(d.err.text, "there is no runbook \"x\" in this file; there is a, b, c");
    assert_int_equal(stanch_declare_push_run(L, "c", &run, &d.err), STANCH_E_INVALID);
    assert_string_equal(d.err.text, "a.lua:4: runbook \"c\": summary: missing; expected a text");
    assert_int_equal(lua_gettop(L), 0);
    declared_done(&d);
}

static void inside_a_run_a_symptom_is_data_and_nothing_else_declares(void **state)
{
    (void)state;
    struct declared d;
    declare_text(&d, "run", "a.lua",
                 HEAD "local s = " OK_SYMPTOM "\n"
                      "local q = prom.query { expr = 'e' }\n"
                      "runbook 'a' { summary = 's', run = function()\n"
                      " local one = symptom(s)\n"
                      " local two = symptom { ask = q, bad = '> 5', good = '< 1', hold = '1s' }\n"
                      " local ok, e = pcall(symptom, { ask = q, bad = 'x', good = '< 1' })\n"
                      " local ok2, e2 = pcall(runbook, 'b')\n"
                      " return one.ask.action .. ' ' .. two.hold_ms .. ' ' .. e.text .. ' ' .. e2.text end }");
    struct stanch_declared_run run = {0};
    assert_int_equal(stanch_declare_push_run(d.vm->L, "a", &run, &d.err), 0);
    json_decref(run.uses);
    lua_pop(d.vm->L, 1);
    d.vm->phase = STANCH_VM_RUNNING;
    assert_int_equal(lua_pcall(d.vm->L, 0, 1, 0), LUA_OK);
    assert_string_equal(lua_tostring(d.vm->L, -1),
                        "query 1000 symptom: bad: \"x\" is not a range; write it like > 0.05, <= 10 or == 0 runbook "
                        "declares; write it at the top of the file, not inside run()");
    declared_done(&d);
}

static char *read_document(void)
{
    const char *source = getenv("STANCH_SOURCE"); /* ctest sets it; else this file tells */
    STANCH_AUTO_FREE char *path = source ? stanch_asprintf("%s/core/script/DECLARATIONS.md", source)
                                         : stanch_asprintf("%.*s/../../../core/script/DECLARATIONS.md",
                                                           (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("no %s", path);
    struct stanch_buf text = {0};
    char bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;)
        stanch_buf_add(&text, bytes, n);
    (void)fclose(file);
    return stanch_buf_take(&text);
}

/* The tables in DECLARATIONS.md are those of the code. To write one anew, copy what this test prints. */
static void the_reference_says_what_the_code_checks(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *document = read_document();
    int missing = 0;
    for (const struct stanch_section *const *section = stanch_declare_sections(); *section; section++) {
        STANCH_AUTO_FREE char *table = stanch_declare_markdown(*section);
        STANCH_AUTO_FREE char *whole = stanch_asprintf("<!-- %s -->\n%s", (*section)->title, table);
        if (strstr(document, whole))
            continue;
        missing++;
        print_error("DECLARATIONS.md should hold\n%s\n", whole);
    }
    assert_int_equal(missing, 0);
}

int main(void)
{
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_runbook_becomes_data),
        cmocka_unit_test(a_short_runbook_has_its_defaults),
        cmocka_unit_test(every_mistake_is_told_with_its_place),
        cmocka_unit_test(one_bad_file_does_not_hide_the_others),
        cmocka_unit_test(a_run_gets_its_functions_and_its_symptom),
        cmocka_unit_test(inside_a_run_a_symptom_is_data_and_nothing_else_declares),
        cmocka_unit_test(the_reference_says_what_the_code_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
