/* Which lines a run has run, told frame by frame, and which lines there are: what the one tells and the other lists has to
 * meet, for else no test could ever reach all of them. */
#include "worker_kit.h"
#include "script/cover.h"
#include <lauxlib.h>

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

static json_t *answer_wants(struct act *act, const json_t *want)
{
    const char *op = stanch_json_str(want, "op", "");
    if (json_object_get(want, "covered"))
        return NULL; /* no want */
    if (act->ctx && strcmp(op, "action") == 0)
        return json_pack("{s:{s:s, s:s}}", "error", "kind", "remote", "text", "it answered 500");
    if (strcmp(op, "now") == 0)
        return json_pack("{s:I}", "ok", (json_int_t)1700000000000);
    return json_pack("{s:{}}", "ok");
}

static void run_sources(struct kit *kit, struct act *act, const struct stanch_source *sources, int count, bool covers)
{
    int open = 1;
    json_t *input = act_input();
    if (covers)
        json_object_set_new(input, "cover", json_true());
    act->answer = answer_wants;
    act->open = &open;
    act_start(kit, act, input, sources, count);
    json_decref(input);
    stanch_loop_run(kit->loop);
    act->open = NULL;
    assert_true(act->ended);
}

/* A runbook whose run begins on line 3: `body` on line 4. */
static char *runbook_of(const char *body)
{
    return stanch_asprintf("local edge, prom = haproxy \"edge-eu\", prometheus \"main\"\n"
                           "runbook \"t\" { summary = \"a test\", owner = \"team\", on = alert { alertname = \"A\" },\n"
                           "uses = { edge.drain, prom.query }, run = function(incident, p)\n%s\nend }\n",
                           body);
}

static void run_body(struct kit *kit, struct act *act, const char *body, bool covers)
{
    char *text = runbook_of(body);
    struct stanch_source source = {"a.lua", text, strlen(text)};
    run_sources(kit, act, &source, 1, covers);
    free(text);
}

/* What came, in order: "note {"a.lua":[1,2]}; end" */
static char *story_of(struct act *act)
{
    struct stanch_buf out = {0};
    for (size_t i = 0; i < json_array_size(act->wants); i++) {
        const json_t *item = json_array_get(act->wants, i), *covered = json_object_get(item, "covered");
        stanch_buf_text(&out, i > 0 ? " " : "");
        if (covered)
            stanch_json_write(covered, &out);
        else
            stanch_buf_text(&out, stanch_json_str(item, "op", "?"));
    }
    return stanch_buf_take(&out);
}

static void expect_story(struct act *act, const char *expected)
{
    char *story = story_of(act);
    assert_string_equal(story, expected);
    free(story);
}

/* All lines of a file that were told; each once. */
static json_t *told_lines(struct act *act, const char *path)
{
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(act->wants); i++) {
        json_t *covered = json_object_get(json_array_get(act->wants, i), "covered");
        if (json_object_get(covered, path))
            json_array_extend(all, json_object_get(covered, path));
    }
    return all;
}

static bool has_line(const json_t *list, json_int_t line)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == line)
            return true;
    return false;
}

static void lines_come_with_each_want_and_before_the_end(void **state)
{
    struct act act = {0};
    run_body(*state, &act,
             "note('one')\n"
             "local x = 1\n"
             "if x > 1 then\n"
             "  note('never')\n"
             "end\n"
             "for i = 1, 2 do note('two') end\n"
             "return x",
             true);
    assert_int_equal(act.rc, 0);
    expect_story(&act, "note {\"a.lua\":[1,2,3,4,11]} note {\"a.lua\":[5,6,9]} note {\"a.lua\":[10]}");
    act_done(&act);
}

static void nobody_asked_nothing_is_told(void **state)
{
    struct act act = {0};
    run_body(*state, &act, "note('one')\nlocal x = 1\nreturn x", false);
    assert_int_equal(act.rc, 0);
    expect_story(&act, "note");
    act_done(&act);
}

static void branches_and_modules_are_told_the_prelude_is_not(void **state)
{
    static const char *const module = "local m = {}\n"
                                      "function m.say()\n"
                                      "  note('said')\n"
                                      "  return 1\n"
                                      "end\n"
                                      "return m\n";
    char *text = runbook_of("local m = require 'lib.m'\n"
                            "parallel { function()\n"
                            "  m.say()\n"
                            "end, function()\n"
                            "  sleep '1s'\n"
                            "end }");
    struct stanch_source sources[] = {{"a.lua", text, strlen(text)}, {"lib/m.lua", module, strlen(module)}};
    struct act act = {0};
    run_sources(*state, &act, sources, 2, true);
    assert_int_equal(act.rc, 0);
    expect_story(&act, "note sleep {\"a.lua\":[1,2,3,4,5,6,7,8,9,10],\"lib/m.lua\":[1,2,3,5,6]} "
                       "{\"lib/m.lua\":[4]}");
    act_done(&act);
    free(text);
}

static void lines_of_a_run_that_fails_are_told(void **state)
{
    struct act act = {.ctx = *state};
    char *text = runbook_of("edge.drain { backend = 'b', because = 'x' }\n"
                            "note('never')\n"
                            "end, on_failure = function(incident, e)\n"
                            "  note('failed')\n"
                            "  local x = 1");
    struct stanch_source source = {"a.lua", text, strlen(text)};
    run_sources(*state, &act, &source, 1, true);
    assert_int_equal(act.rc, STANCH_E_SCRIPT);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "it answered 500");
    expect_story(&act, "action {\"a.lua\":[1,2,3,4,6,9]} note {\"a.lua\":[7]} {\"a.lua\":[8]}");
    act_done(&act);
    free(text);
}

static const char *const busy = "local t, n = {}, 0\n"
                                "local function count(a) n = n + 1; t[#t + 1] = tostring({}) .. a; return n end\n"
                                "for i = 1, 3000 do count(i) end\n"
                                "local ok, e = pcall(function() error({ kind = 'x', text = 'y' }) end)\n"
                                "parallel { function() note(t[1]) sleep '1s' end, function() note(t[2]) end }\n"
                                "table.sort(t, function(a, b) return #a < #b end)\n"
                                "local found = ('abc'):gsub('.', function(c) return c:upper() end)\n"
                                "note('%s %s %s %d', found, t[5], e.kind, math.random(1000000))\n"
                                "local function deep() return 1 + deep() end\n"
                                "local held, why = pcall(deep)\n"
                                "return { t = t[9], n = n, now = now(), held = held, why = tostring(why):sub(1, 40) }";

static void watching_changes_no_want_and_no_result(void **state)
{
    struct act plain = {0}, watched = {0};
    run_body(*state, &plain, busy, false);
    run_body(*state, &watched, busy, true);
    assert_int_equal(plain.rc, 0);
    assert_int_equal(watched.rc, 0);
    for (size_t i = json_array_size(watched.wants); i-- > 0;)
        if (json_object_get(json_array_get(watched.wants, i), "covered"))
            json_array_remove(watched.wants, i);
    assert_true(json_array_size(plain.wants) > 4);
    assert_true(json_equal(plain.wants, watched.wants));
    assert_true(json_equal(plain.result, watched.result));
    act_done(&plain);
    act_done(&watched);
}

static void limits_hold(void **state)
{
    struct stanch_runner_limits limits = stanch_runner_default_limits;
    struct kit kit;
    struct act act = {0}, big = {0};
    (void)state;
    limits.cpu_ms = 300;
    limits.memory_bytes = 32 << 20;
    kit_start(&kit, &limits);
    run_body(&kit, &act, "note('one')\nlocal n = 0\nwhile true do\n  pcall(function() n = n + 1 end)\nend", true);
    assert_int_equal(act.rc, STANCH_E_TIMEOUT);
    if (act.result) { /* the VM's own look at the clock came first, as it should; the kernel's tells no line */
        assert_true(stanch_json_int(act.result, "line", 0) >= 6);
        expect_story(&act, "note {\"a.lua\":[1,2,3,4,9]} {\"a.lua\":[5,7]}");
    }
    act_done(&act);
    run_body(&kit, &big, "local t = 'x'\nwhile true do\n  t = t .. t\nend", true);
    assert_int_equal(big.rc, STANCH_E_CRASHED);
    expect_story(&big, "{\"a.lua\":[1,2,3,4,6,8]}");
    act_done(&big);
    kit_stop(&kit);
}

/* While another branch waits core owes an answer: it hears the end, and no turn that it could mistake for its own. */
static void a_limit_in_one_branch_while_another_waits(void **state)
{
    struct act act = {0};
    run_body(*state, &act, "parallel { function() sleep '1s' while true do end end, function() sleep '2s' end }", true);
    assert_int_equal(act.rc, STANCH_E_TIMEOUT);
    expect_story(&act, "sleep sleep {\"a.lua\":[1,2,3,4,5]}");
    act_done(&act);
}

/* ---- which lines there are ---- */

static json_t *load(struct kit *kit, struct act *act, const struct stanch_source *sources, int count, bool covers)
{
    int open = 1;
    struct stanch_err err;
    json_t *input = act_input();
    if (covers)
        json_object_set_new(input, "cover", json_true());
    struct stanch_worker_spec spec = {"load", input, sources, count};
    act->kit = kit;
    act->open = &open;
    act->wants = json_array();
    act->pending = json_array();
    assert_int_equal(stanch_worker_start(kit->runner, &spec, &act_events, act, &act->worker, &err), 0);
    json_decref(input);
    stanch_loop_run(kit->loop);
    act->open = NULL;
    assert_int_equal(act->rc, 0);
    return json_object_get(act->result, "lines");
}

static void expect_json(const json_t *value, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    assert_non_null(value);
    stanch_json_write(value, &out);
    assert_string_equal(stanch_buf_str(&out), expected);
}

static void load_lists_the_lines_of_each_file(void **state)
{
    char *text = runbook_of("local x = p.a\n-- why\nif x then\n  note('a')\nend");
    static const char *const module = "return {\n  f = function()\n    return 1\n  end,\n}\n", *const bad =
                                                                                                   "local = 1\n";
    struct stanch_source sources[] = {
        {"a.lua", text, strlen(text)}, {"bad.lua", bad, strlen(bad)}, {"lib/m.lua", module, strlen(module)}};
    struct act act = {0}, plain = {0};
    expect_json(load(*state, &act, sources, 3, true), "{\"a.lua\":[1,2,3,4,6,7],\"lib/m.lua\":[1,3]}");
    assert_null(load(*state, &plain, sources, 3, false));
    json_object_del(act.result, "lines");
    assert_true(json_equal(act.result, plain.result));
    act_done(&act);
    act_done(&plain);
    free(text);
}

static int write_dump(lua_State *L, const void *bytes, size_t len, void *ctx)
{
    (void)L;
    stanch_buf_add(ctx, bytes, len);
    return 0;
}

static void dump(const char *text, int strip, struct stanch_buf *ret)
{
    lua_State *L = luaL_newstate();
    assert_int_equal(luaL_loadbufferx(L, text, strlen(text), "@a.lua", "t"), LUA_OK);
    assert_int_equal(lua_dump(L, write_dump, ret, strip), 0);
    lua_close(L);
}

static void expect_lines(const char *text, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf bytes = {0};
    dump(text, 0, &bytes);
    STANCH_AUTO_JSON json_t *lines = stanch_cover_lines_of(bytes.data, bytes.len, text, strlen(text));
    expect_json(lines, expected);
}

static void lines_that_only_close_or_jump_do_not_count(void **state)
{
    (void)state;
    expect_lines("", "[]");
    expect_lines("-- nothing\n\n", "[]");
    expect_lines("local a = 1\nlocal b <const> = 2\nreturn a + b", "[1,3]");
    expect_lines("local function f()\n  return 1\nend\nreturn f", "[2,4]");
    expect_lines("local t = {\n  1,\n  f = function(a)\n    return a\n  end, -- why\n  g = {\n    2,\n  },\n}",
                 "[1,2,4,6]"); /* the last item is gathered where the table ends */
    expect_lines("while true do\n  if a then\n    b()\n  else\n    break\n  end\nend", "[2,3]");
    expect_lines("if a then\n  if b then\n    c()\n  end\nelse\n  d()\nend", "[1,2,3,6]");
    expect_lines("return (function(...)\n  return ...\nend)(\n  1\n)", "[1,2,3]");
    expect_lines("f(\n  1,\n  endless()\n)", "[1,2,3]");
    expect_lines("a()\r\nb()\n\rc()\n\nd()\r\re()", "[1,2,3,5,7]"); /* as Lua counts */
    expect_lines("local t = [[\nend\n]]\nreturn t", "[3,4]");
    expect_lines("f(1) end_of(2)\nend_of(3)", "[1,2]");
}

static void long_steps_are_read(void **state)
{
    (void)state;
    STANCH_AUTO_BUF struct stanch_buf text = {0}, expected = {0};
    stanch_buf_text(&text,
                    "local a = 'long long long long long long long long text', 1.5, 1 << 40\nlocal f = function()\n");
    stanch_buf_text(&expected, "[1");
    for (int i = 0; i < 300; i++) /* over MAXIWTHABS (128) instructions, and over 127 lines in one step */
        stanch_buf_printf(&text, "%s a = f(%d, nil, true)\n", i == 150 ? "--\n" : "", i);
    for (int i = 3; i < 304; i++)
        if (i != 153)
            stanch_buf_printf(&expected, ",%d", i);
    for (int i = 0; i < 200; i++)
        stanch_buf_char(&text, '\n');
    stanch_buf_text(&text, " a = 2\nend\nreturn f(a,\n");
    for (int i = 0; i < 200; i++)
        stanch_buf_char(&text, '\n');
    stanch_buf_text(&text, " f)");
    stanch_buf_text(&expected, ",504,506,707]");
    expect_lines(stanch_buf_str(&text), stanch_buf_str(&expected));
}

static void another_format_is_unknown_and_a_broken_dump_is_refused(void **state)
{
    (void)state;
    static const char *const text =
        "local a <const>, b = 1, 'x'\nlocal function f(...)\n  return b, ...\nend\nreturn f(2.5)\n";
    STANCH_AUTO_BUF struct stanch_buf bytes = {0}, stripped = {0};
    dump(text, 0, &bytes);
    dump(text, 1, &stripped);
    assert_null(stanch_cover_lines_of(stripped.data, stripped.len, text, strlen(text)));
    for (size_t at = 0; at < 31; at++) { /* the header: signature, version, format, sizes, samples of numbers */
        bytes.data[at] ^= 1;
        assert_null(stanch_cover_lines_of(bytes.data, bytes.len, text, strlen(text)));
        bytes.data[at] ^= 1;
    }
    for (size_t len = 0; len < bytes.len;
         len++) { /* a copy of just that size, so that a sanitizer sees a read behind it */
        char *cut = stanch_strndup(bytes.data, len);
        assert_null(stanch_cover_lines_of(cut, len, text, strlen(text)));
        free(cut);
    }
    for (size_t at = 31; at < bytes.len; at++) {
        for (int value = 0; value < 256; value++) { /* whatever it gives, it comes back */
            char was = bytes.data[at];
            bytes.data[at] = (char)value;
            json_decref(stanch_cover_lines_of(bytes.data, bytes.len, text, strlen(text)));
            bytes.data[at] = was;
        }
    }
    assert_null(stanch_cover_lines_of(bytes.data, bytes.len, "", 0)); /* the text of another file */
}

/* ---- the two meet ---- */

static const char *const everything = "local t, n = {\n"
                                      "  1, 2,\n"
                                      "  x = 'a' ..\n"
                                      "    'b' .. tostring(1),\n"
                                      "}, 0\n"
                                      "local function sum(...)\n"
                                      "  local s = 0\n"
                                      "  for _, v in ipairs { ... } do\n"
                                      "    s = s + v\n"
                                      "  end\n"
                                      "  return s\n"
                                      "end\n"
                                      "while true do\n"
                                      "  n = n + 1\n"
                                      "  if n < 3 then\n"
                                      "    sum(n)\n"
                                      "  elseif n == 3 or\n"
                                      "      n == 4 then\n"
                                      "    goto continue\n"
                                      "  else\n"
                                      "    break\n"
                                      "  end\n"
                                      "  ::continue::\n"
                                      "end\n"
                                      "repeat\n"
                                      "  local held = n\n"
                                      "  t[#t + 1] = function() return held end\n"
                                      "  n = n - 1\n"
                                      "until n < 2\n"
                                      "for i = 3, 1, -1 do\n"
                                      "  if not t.x then return end n = n +\n"
                                      "    i\n"
                                      "end\n"
                                      "local ok, e = pcall(\n"
                                      "  error,\n"
                                      "  'x'\n"
                                      ")\n"
                                      "local both = ok == false\n"
                                      "  and e ~= nil\n"
                                      "do\n"
                                      "  local f <const> = t[4]\n"
                                      "  n = f()\n"
                                      "end\n"
                                      "note('%d', sum(\n"
                                      "  1,\n"
                                      "  n\n"
                                      "))\n"
                                      "parallel {\n"
                                      "  function()\n"
                                      "    sleep '1s'\n"
                                      "  end,\n"
                                      "  function() sleep '2s' end,\n"
                                      "}\n"
                                      "if both then return { n = n } end\n";

static void a_line_that_is_listed_can_be_told(void **state)
{
    char *text = runbook_of(everything);
    struct stanch_source source = {"a.lua", text, strlen(text)};
    struct act run = {0}, all = {0};
    run_sources(*state, &run, &source, 1, true);
    assert_string_equal(run.err.text, "");
    const json_t *lines = json_object_get(load(*state, &all, &source, 1, true), "a.lua");
    json_t *told = told_lines(&run, "a.lua");
    assert_true(json_array_size(lines) > 32);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        json_int_t line = json_integer_value(json_array_get(lines, i));
        if (!has_line(told, line))
            fail_msg("line %lld is listed, and was run, and was not told", (long long)line);
    }
    json_decref(told);
    act_done(&run);
    act_done(&all);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_with_each_want_and_before_the_end, begin, end),
        cmocka_unit_test_setup_teardown(nobody_asked_nothing_is_told, begin, end),
        cmocka_unit_test_setup_teardown(branches_and_modules_are_told_the_prelude_is_not, begin, end),
        cmocka_unit_test_setup_teardown(lines_of_a_run_that_fails_are_told, begin, end),
        cmocka_unit_test_setup_teardown(watching_changes_no_want_and_no_result, begin, end),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test_setup_teardown(a_limit_in_one_branch_while_another_waits, begin, end),
        cmocka_unit_test_setup_teardown(load_lists_the_lines_of_each_file, begin, end),
        cmocka_unit_test(lines_that_only_close_or_jump_do_not_count),
        cmocka_unit_test(long_steps_are_read),
        cmocka_unit_test(another_format_is_unknown_and_a_broken_dump_is_refused),
        cmocka_unit_test_setup_teardown(a_line_that_is_listed_can_be_told, begin, end),
    };
    return cmocka_run_group_tests_name("script/cover", tests, NULL, NULL);
}
