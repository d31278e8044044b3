/* test_declare_lint.c: what lint warns of in runbooks that load, and what it says nothing about. */
#include "declare_kit.h"
#include "base/digest.h"

static void lint_warns(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {HEAD "runbook 'a' { summary = 's', owner = 'o', on = alert { a = 'b' }, uses = { edge.drain }, run = "
              "function() end }",
         "a.lua:1: runbook \"a\": it can mitigate (edge-eu.drain), but declares no symptom: nothing can tell whether "
         "it "
         "helped"},
        {HEAD "runbook 'a' { summary = 's', owner = 'o', on = alert { a = 'b' }, uses = { edge.show }, run = "
              "function() end }",
         ""},
        {"runbook 'a' { summary = 's', owner = 'o', on = alert { a = 'b' }, run = function(i, p) f(p.x) end,\n"
         " params = { x = text { required = true } } }",
         "a.lua:2: runbook \"a\": params.x: it is required, but no label and no default gives it a value: no alert can "
         "start this runbook, only a person who gives one"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct declared d;
        declare_text(&d, "load", "a.lua", mistakes[i].text);
        STANCH_AUTO_FREE char *got = told(json_object_get(d.result, "warnings"), "path", NULL);
        assert_string_equal(got, mistakes[i].expected);
        assert_int_equal(json_array_size(json_object_get(d.result, "errors")), 0);
        declared_done(&d);
    }
}

/* A good runbook with the parameters `server` and `zone`; a.lua:2 and a.lua:3. */
#define PARAMS(rest)                                                                                                   \
    "runbook 'a' { summary = 's', owner = 'o', on = alert { a = 'b' },\nparams = { server = label 'instance',\n"       \
    "zone = label 'zone' },\n" rest " }"
#define UNUSED(line, name)                                                                                             \
    "a.lua:" line ": runbook \"a\": params." name ": `run` never looks at it: use it as p." name ", or leave it out"

/* Said only where nothing else can be meant. */
static void lint_warns_of_parameters_that_are_never_looked_at(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {PARAMS("run = function(incident, p) f(p.server, p.zone) end"), ""},
        {PARAMS("run = function(incident, p) f(p.server) end"), UNUSED("3", "zone")},
        {PARAMS("run = function(incident, p) f(\"x\" .. p.server .. \"y\") end"), UNUSED("3", "zone")},
        {PARAMS("run = function(incident, q) f(q.zone) end"), UNUSED("2", "server")},
        {PARAMS("run = function() end"), UNUSED("2", "server") "\n" UNUSED("3", "zone")},
        {PARAMS("run = function(incident) end"), UNUSED("2", "server") "\n" UNUSED("3", "zone")},
        {PARAMS("run = function(incident, p) f(p.server) --[[ p.zone ]] end"), UNUSED("3", "zone")},
        {PARAMS("run = function(incident, p) f { zone = p.server } end"), UNUSED("3", "zone")},
        {PARAMS("run = function(incident, p) f(p['server'], p[\"zone\"]) end"), ""},
        {PARAMS("run = function(incident, p) f(p.server, p[x]) end"), ""},
        {PARAMS("run = function(incident, p) f(p) end"), ""},
        {PARAMS("run = function(incident, p) local q = p end"), ""},
        {PARAMS("run = function(incident, p) for k, v in pairs(p) do f(k, v) end end"), ""},
        {PARAMS("run = function(incident, p) return function() return p.server, p.zone end end"), ""},
        {PARAMS("run = function(incident, p) f(p.server, 'zone') end"), ""},
        {PARAMS("run = function(incident, p) f(p.server, incident.zone) end"), ""},
        {PARAMS("run = function(...) f(...) end"), ""},
        {PARAMS("run = function(incident, ...) f(...) end"), ""},
        {PARAMS("run = f"), ""},
        {PARAMS("run = (function(incident, p) end)"), ""},
        {PARAMS("['run'] = function(incident, p) end"), ""},
        {PARAMS("run = function(incident, p) _ENV.q = p end"), ""},
        {PARAMS("run = function(incident, p) f(p.server) end") " runbook 'b' { summary = 's', owner = 'o', on = alert "
                                                               "{ a = "
                                                               "'b' }, run = function(i, x) f(x.zone) end }",
         ""},
        {"local function p(x) end " PARAMS("run = function(incident, p) f(p.server) end"), ""},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct declared d;
        STANCH_AUTO_FREE char *text = stanch_asprintf("local function f() end %s", mistakes[i].text);
        declare_text(&d, "load", "a.lua", text);
        STANCH_AUTO_FREE char *errors = told(json_object_get(d.result, "errors"), "path", NULL);
        assert_string_equal(errors, "");
        STANCH_AUTO_FREE char *got = told(json_object_get(d.result, "warnings"), "path", NULL);
        if (strcmp(got, mistakes[i].expected) != 0)
            fail_msg("%s\n%s", mistakes[i].text, got);
        declared_done(&d);
    }
}

static void lint_warns_of_what_cannot_be_taken_back_or_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *has, *more, *expected;
    } cases[] = {
        {"{\"undo\":true,\"verify\":true}", ", " OK_SYMPTOM_KEY, ""},
        {"{\"undo\":true}", ", " OK_SYMPTOM_KEY, ""},
        {"{\"verify\":true}", ", " OK_SYMPTOM_KEY,
         "a.lua:1: runbook \"a\": uses: edge-eu.drain cannot be taken back (its plugin has no undo for it): use one "
         "that can, "
         "or write into `because` how a person goes back"},
        {"{\"undo\":true}", "",
         "a.lua:1: runbook \"a\": it can mitigate (edge-eu.drain), but declares no symptom: nothing can tell whether "
         "it "
         "helped\n"
         "a.lua:1: runbook \"a\": uses: whether edge-eu.drain took effect is never looked at: its plugin cannot read "
         "it "
         "back, and there is no symptom; declare one, and ask for it with verify()"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct declared d;
        STANCH_AUTO_FREE char *text = stanch_asprintf(
            HEAD "runbook 'a' { summary = 's', owner = 'o', on = alert { a = 'b' }, run = function() end, "
                 "uses = { edge.drain, prom.query }%s }",
            cases[i].more);
        kit_has = cases[i].has;
        declare_text(&d, "load", "a.lua", text);
        kit_has = NULL;
        STANCH_AUTO_FREE char *got = told(json_object_get(d.result, "warnings"), "path", NULL);
        assert_string_equal(got, cases[i].expected);
        declared_done(&d);
    }
}

int main(void)
{
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lint_warns),
        cmocka_unit_test(lint_warns_of_parameters_that_are_never_looked_at),
        cmocka_unit_test(lint_warns_of_what_cannot_be_taken_back_or_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
