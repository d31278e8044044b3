/* Every mutant, word for word; and what is no Lua is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/mutate.h"
#include <dirent.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static json_t *actions_of(void)
{
    return json_pack("[s, s, s]", "drain", "kill", "rollback");
}

/* expected: "LINE|what|whole text", ..., NULL */
static void expect(const char *text, const char *const *expected)
{
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    int count = 0, i = 0;
    STANCH_AUTO_JSON json_t *actions = actions_of();
    char *exact = stanch_alloc(strlen(text) + 1); /* no NUL behind it: a sanitizer sees a read there */
    memcpy(exact, text, strlen(text));
    exact = stanch_realloc(exact, strlen(text) ? strlen(text) : 1);
    if (stanch_mutants_make("a.lua", exact, strlen(text), actions, &mutants, &count, &err) < 0)
        fail_msg("%s", err.text);
    for (; i < count && expected[i]; i++) {
        char *got = stanch_asprintf("%d|%s|%s", mutants[i].line, mutants[i].what, mutants[i].text);
        assert_string_equal(got, expected[i]);
        assert_string_equal(mutants[i].path, "a.lua");
        free(got);
    }
    if (i < count)
        fail_msg("%d mutants; one too many is %s", count, mutants[i].what);
    if (expected[i])
        fail_msg("%d mutants; missing is %s", count, expected[i]);
    stanch_mutants_free(mutants, count);
    free(exact);
}

#define EXPECT(text, ...) expect(text, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void actions_are_left_out(void **state)
{
    (void)state;
    EXPECT("edge.drain { server = 's1' }", "1|edge.drain { ... } is left out|type { server = 's1' }");
    EXPECT("local m = edge.drain(args)", "1|edge.drain(...) is left out|local m = type(args)");
    EXPECT("f(edge.kill 'x', 1)", "1|edge.kill \"...\" is left out|f(type 'x', 1)");
    EXPECT("f(edge.kill [[x]])", "1|edge.kill \"...\" is left out|f(type [[x]])");
    EXPECT("haproxy \"x\".drain { }", "1|haproxy \"x\".drain { ... } is left out|type { }");
    EXPECT("haproxy 'x' . drain { }", "1|haproxy 'x' . drain { ... } is left out|type { }");
    EXPECT("haproxy(name).drain { }", "1|haproxy(name).drain { ... } is left out|type { }");
    EXPECT("x = t[i].a[1].drain { }", "1|t[i].a[1].drain { ... } is left out|x = type { }");
    EXPECT("get { 1 }:of(2).drain { }", "1|get { 1 }:of(2).drain { ... } is left out|type { }");
    EXPECT("x = (a or b).drain { }", "1|or became and|x = (a and b).drain { }",
           "1|(a or b).drain { ... } is left out|x = type { }");
    EXPECT("return edge.drain { }, edge.rollback { }",
           "1|edge.drain { ... } is left out|return type { }, edge.rollback { }",
           "1|edge.rollback { ... } is left out|return edge.drain { }, type { }");
    EXPECT("edge.drain { a = edge.kill { } }", "1|edge.drain { ... } is left out|type { a = edge.kill { } }",
           "1|edge.kill { ... } is left out|edge.drain { a = type { } }");
    EXPECT("return(f).drain { }", "1|(f).drain { ... } is left out|return type { }");
    EXPECT("edge.drain { }.value:go()", "1|edge.drain { ... } is left out|type { }.value:go()");
}

static void what_is_no_call_of_an_action_stays(void **state)
{
    (void)state;
    EXPECT("uses = { edge.drain, edge.kill, prom.query }");
    EXPECT("pcall(edge.drain, { })");
    EXPECT("prom.query { expr = 'e' } edge.drained { } drain { } edge.drai { }");
    EXPECT("edge:drain { }");
    EXPECT("function edge.drain(a) end");
    EXPECT("x = { drain = 1, [drain] = 2 } y = 'edge.drain { }' -- edge.drain { }\n--[==[ edge.drain { } ]] ]==]");
    EXPECT("x = '\\'edge.drain { }' y = [=[ ]] edge.drain { } ]=] z = a .. drain { }");
}

static void a_call_begins_where_lua_would_say(void **state)
{
    (void)state;
    EXPECT("x = 's' (f).drain { }", "1|(f).drain { ... } is left out|x = 's' type { }");
    EXPECT("x = { } (f).drain { }", "1|(f).drain { ... } is left out|x = { } type { }");
    EXPECT("local x (f).drain { }", "1|(f).drain { ... } is left out|local x type { }");
    EXPECT("local x <const> = y");
    EXPECT("goto on (f).drain { }", "1|(f).drain { ... } is left out|goto on type { }");
    EXPECT("function g(a) (f).drain { } end", "1|(f).drain { ... } is left out|function g(a) type { } end");
    EXPECT("function m.g:h(a) (f).drain { } end", "1|(f).drain { ... } is left out|function m.g:h(a) type { } end");
    EXPECT("g(function(a) (f).drain { } end)", "1|(f).drain { ... } is left out|g(function(a) type { } end)");
    EXPECT("y = g(a) (f).drain { }", "1|g(a) (f).drain { ... } is left out|y = type { }");
    EXPECT("if x then (f).drain { } end", "1|(f).drain { ... } is left out|if x then type { } end");
    EXPECT("x = 1 (f).drain { }", "1|(f).drain { ... } is left out|x = 1 type { }");
    EXPECT("'x'.drain { } = 1 }.drain { } ].drain { } 1 .drain { } .drain { }"); /* words, no program */
}

static void undo_and_page_are_left_out(void **state)
{
    (void)state;
    EXPECT("undo(m, 'why') page('ic', 'text')", "1|undo(...) is left out|type(m, 'why') page('ic', 'text')",
           "1|page(...) is left out|undo(m, 'why') type('ic', 'text')");
    EXPECT("x = page 'ic'", "1|page \"...\" is left out|x = type 'ic'");
    EXPECT("m.undo(1) m:page(2) x = { undo = 1 } f(undo, page) ask { } note('x')");
    EXPECT("local function undo(a) end function page() end");
}

static void comparisons_are_turned(void **state)
{
    (void)state;
    EXPECT("if a < b then end", "1|< became >=|if a >= b then end");
    EXPECT("x = a<=b", "1|<= became >|x = a>b");
    EXPECT("x = a>b", "1|> became <=|x = a<=b");
    EXPECT("x = a>=b", "1|>= became <|x = a<b");
    EXPECT("x = a==b", "1|== became ~=|x = a~=b");
    EXPECT("x = a~=b", "1|~= became ==|x = a==b");
    EXPECT("x = a[~=b]"); /* words, no program */
    EXPECT("x = a << b >> c ~ ~d // e y = '<' -- <\n::on:: z = [[>]]");
    EXPECT("local a <const>, b <close> = 1, c < d", "1|< became >=|local a <const>, b <close> = 1, c >= d");
    EXPECT("local a<b>c"); /* as an attribute */
    EXPECT("x = a\r\n <\r\nb", "2|< became >=|x = a\r\n >=\r\nb");
}

static void words_of_logic_are_turned(void **state)
{
    (void)state;
    EXPECT("x = a and b", "1|and became or|x = a or b");
    EXPECT("x = a or b", "1|or became and|x = a and b");
    EXPECT("x = not a", "1|not became not not|x = not not a");
    EXPECT("x = not(a)", "1|not became not not|x = not not(a)");
    EXPECT("android = order .. knot, 'and or not'");
}

static void ranges_are_turned(void **state)
{
    (void)state;
    EXPECT("s { bad = \"> 0.05\", good = '< 0.01' }",
           "1|bad = \"> 0.05\" became \"<= 0.05\"|s { bad = \"<= 0.05\", good = '< 0.01' }",
           "1|good = \"< 0.01\" became \">= 0.01\"|s { bad = \"> 0.05\", good = '>= 0.01' }");
    EXPECT("w { x = 1; becomes = '>= 1e-3' }",
           "1|becomes = \">= 1e-3\" became \"< 1e-3\"|w { x = 1; becomes = '< 1e-3' }");
    EXPECT("w { becomes = '<=1' }", "1|becomes = \"<=1\" became \">1\"|w { becomes = '>1' }");
    EXPECT("w { becomes = '== 0' }", "1|becomes = \"== 0\" became \"!= 0\"|w { becomes = '!= 0' }");
    EXPECT("w { becomes = '!= 0' }", "1|becomes = \"!= 0\" became \"== 0\"|w { becomes = '== 0' }");
    EXPECT("bad = '> 1' good = '< 1'"); /* no key of a table */
    EXPECT("w { bad = x, good = '1 > 2', becomes = '', worse = '> 1', bad = [[> 1]], good = '> one', bad = '>\\n1' }");
    EXPECT("w { bad = '' }");
    EXPECT("w { good = '' .. bad, becomes = '>'");
}

static void lines_keep_their_numbers(void **state)
{
    (void)state;
    EXPECT("local a = 1\nhaproxy\n  'x' -- which\n  .drain\n{ }\nif a < 2 then end\n",
           "4|haproxy 'x' .drain { ... } is left out|local a = 1\ntype\n\n \n{ }\nif a < 2 then end\n",
           "6|< became >=|local a = 1\nhaproxy\n  'x' -- which\n  .drain\n{ }\nif a >= 2 then end\n");
}

static void long_callees_are_cut(void **state)
{
    (void)state;
    EXPECT("f '0123456789012345678901234567890123456789012345678901234567890123456789'.drain { }",
           "1|f '012345678901234567890123456789012345678901234567890123456...drain { ... } is left out|type { }");
    EXPECT("f [[a\nb]].drain { }", "2|...drain { ... } is left out|type\n  { }");
    EXPECT("f '\xff'.drain { }", "1|...drain { ... } is left out|type { }");
}

/* ---- what is no Lua ---- */

static void what_is_no_lua_is_refused(void **state)
{
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    int count = -1;
    (void)state;
    assert_int_equal(stanch_mutants_make("dir/a.lua", "a < b\nc = 'd", 12, NULL, &mutants, &count, &err),
                     STANCH_E_INVALID);
    assert_string_equal(err.text, "dir/a.lua:2: the string that begins here is not ended");
    assert_null(mutants);
    assert_int_equal(count, -1);
}

/* ---- what Lua compiles, it compiles still ---- */

static void compile(lua_State *L, const char *text, size_t len, const char *what)
{
    if (luaL_loadbufferx(L, text, len, "=a.lua", "t") != LUA_OK)
        fail_msg("%s: %s\n%s", what, lua_tostring(L, -1), text);
    lua_settop(L, 0);
}

static int compile_mutants(const char *text, size_t len)
{
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    int count = 0;
    STANCH_AUTO_JSON json_t *actions = actions_of();
    lua_State *L = luaL_newstate();
    compile(L, text, len, "the source");
    if (stanch_mutants_make("a.lua", text, len, actions, &mutants, &count, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < count; i++)
        compile(L, mutants[i].text, strlen(mutants[i].text), mutants[i].what);
    stanch_mutants_free(mutants, count);
    lua_close(L);
    return count;
}

static void a_mutant_is_valid_where_its_source_was(void **state)
{
    (void)state;
    static const char *const text =
        "local edge <const>, a <close> = haproxy 'x', nil\n"
        "local function f(x) (g).drain { } return not x == nil end\n"
        "function edge.on(y) (y or f):of(1)\n.kill 'x' end goto done;\n"
        "(f).drain { a = 1 < 2 and 3 <= 4 or 5 ~= 6, bad = '> 1', haproxy\n'y'\n.kill(1) }\n"
        "for i = 1, #edge do if i > 2 then local z;(z).drain { } end end\n"
        "f { page 'x', undo(1) }.x.drain { } x = { } ::done::\n"
        "return edge.drain { }.mitigation == 'M-1', -edge.kill(f) ^ 2\n";
    assert_int_equal(compile_mutants(text, strlen(text)), 21);
}

static void mutants_of_the_examples_are_valid(void **state)
{
    (void)state;
    const char *folders[] = {"/checkout", "/rollback", "/bad-deploy", "/flag-kill"}, *source = getenv("STANCH_SOURCE");
    int files = 0, mutants = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        STANCH_AUTO_FREE char *folder = stanch_asprintf("%s/runbooks%s", source ? source : ".", folders[i]);
        DIR *dir = opendir(folder);
        assert_non_null(dir);
        for (struct dirent *each; (each = readdir(dir));) {
            char text[65536];
            STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", folder, each->d_name);
            FILE *file = strstr(each->d_name, ".lua") ? fopen(path, "r") : NULL;
            if (!file)
                continue;
            size_t len = fread(text, 1, sizeof text - 1, file);
            (void)fclose(file);
            text[len] = 0;
            files++;
            mutants += compile_mutants(text, len);
        }
        closedir(dir);
    }
    assert_true(files >= 4 && mutants >= 4 * 3); /* at least an action, and both ranges of a symptom */
}

/* ---- hostile ---- */

static void deep_nesting_is_no_recursion(void **state)
{
    (void)state;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    int count = 0;
    STANCH_AUTO_JSON json_t *actions = actions_of();
    stanch_buf_text(&text, "x = ");
    for (int i = 0; i < 300000; i++)
        stanch_buf_char(&text, "([{"[i % 3]);
    stanch_buf_text(&text, "a < b");
    for (int i = 300000; i-- > 0;)
        stanch_buf_char(&text, ")]}"[i % 3]);
    stanch_buf_text(&text, ".drain { }");
    assert_int_equal(stanch_mutants_make("a.lua", text.data, text.len, actions, &mutants, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(mutants[1].text, "x = type { }");
    stanch_mutants_free(mutants, count);
}

static void repeated(const char *piece, size_t bytes, int rc)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    int count = 0;
    STANCH_AUTO_JSON json_t *actions = actions_of();
    while (text.len + strlen(piece) <= bytes)
        stanch_buf_text(&text, piece);
    assert_int_equal(stanch_mutants_make("a.lua", text.data, text.len, actions, &mutants, &count, &err), rc);
    if (rc < 0)
        assert_true(strncmp(err.text, "a.lua", 5) == 0);
    stanch_mutants_free(mutants, count);
}

static void huge_sources_are_bounded(void **state)
{
    (void)state;
    repeated("x", (1u << 20) + 1, STANCH_E_TOO_LARGE);
    repeated("x ", 1u << 20, 0);
    repeated("a < b ", 1u << 20, STANCH_E_TOO_LARGE);
    repeated("=}.drain{", 1u << 20, 0);
    repeated("=\"x\".drain{}", 1u << 20, 0);
    repeated("a.drain{}.", 8u << 10, 0);
    repeated("--[[", 1u << 20, STANCH_E_INVALID);
    repeated("[=", 1u << 20, STANCH_E_INVALID);
    repeated("local a<b>,", 1u << 20, 0);
}

static void an_empty_source_has_no_mutants(void **state)
{
    struct stanch_mutant *mutants = NULL;
    int count = -1;
    (void)state;
    assert_int_equal(stanch_mutants_make("a.lua", "", 0, NULL, &mutants, &count, NULL), 0);
    assert_int_equal(count, 0);
    stanch_mutants_free(mutants, count);
    stanch_mutants_free(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_left_out),
        cmocka_unit_test(what_is_no_call_of_an_action_stays),
        cmocka_unit_test(a_call_begins_where_lua_would_say),
        cmocka_unit_test(undo_and_page_are_left_out),
        cmocka_unit_test(comparisons_are_turned),
        cmocka_unit_test(words_of_logic_are_turned),
        cmocka_unit_test(ranges_are_turned),
        cmocka_unit_test(lines_keep_their_numbers),
        cmocka_unit_test(long_callees_are_cut),
        cmocka_unit_test(what_is_no_lua_is_refused),
        cmocka_unit_test(a_mutant_is_valid_where_its_source_was),
        cmocka_unit_test(mutants_of_the_examples_are_valid),
        cmocka_unit_test(deep_nesting_is_no_recursion),
        cmocka_unit_test(huge_sources_are_bounded),
        cmocka_unit_test(an_empty_source_has_no_mutants),
    };
    return cmocka_run_group_tests_name("drill/mutate", tests, NULL, NULL);
}
