/* Values between Lua and JSON, and the order of pairs; in this process, on the sandboxed VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "script/action.h"
#include "script/sandbox.h"
#include "script/value.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int begin(void **state)
{
    stanch_digest_init();
    struct stanch_vm *vm = stanch_vm_new();
    stanch_action_install(vm->L, NULL);
    stanch_vm_close_globals(vm);
    *state = vm;
    return 0;
}

static int end(void **state)
{
    stanch_vm_free(*state);
    return 0;
}

/* Evaluate an expression in the sandbox; its value is on the stack, or the test fails. */
static void push_expression(struct stanch_vm *vm, const char *expression)
{
    char text[4000];
    (void)snprintf(text, sizeof text, "return %s", expression);
    lua_settop(vm->L, 0);
    assert_int_equal(luaL_loadbufferx(vm->L, text, strlen(text), "@v.lua", "t"), LUA_OK);
    stanch_sandbox_set_env(vm->L);
    if (lua_pcall(vm->L, 0, 1, 0) != LUA_OK)
        fail_msg("%s: %s", expression, luaL_tolstring(vm->L, -1, NULL));
}

static void check(struct stanch_vm *vm, const char *expression, enum stanch_value_mode mode, const char *expected)
{
    struct stanch_err err = {0};
    json_t *value = NULL;
    push_expression(vm, expression);
    int rc = stanch_value_to_json(vm->L, -1, mode, "v", &value, &err);
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    if (rc == 0)
        assert_int_equal(stanch_json_canonical(value, &out, &err), 0);
    const char *got = rc == 0 ? stanch_buf_str(&out) : err.text;
    if (rc == 0 ? strcmp(got, expected) != 0 : !strstr(got, expected))
        fail_msg("%s gives %s, not %s", expression, got, expected);
    if (rc == 0 && mode == STANCH_VALUE_TAGGED) { /* and back, and there again: nothing is lost */
        json_t *again = NULL;
        stanch_value_push(vm->L, value);
        assert_int_equal(stanch_value_to_json(vm->L, -1, mode, "v", &again, &err), 0);
        assert_true(json_equal(value, again));
        json_decref(again);
    }
    json_decref(value);
    assert_int_equal(lua_gettop(vm->L) <= 2, 1);
}

static void values_travel_exactly(void **state)
{
    static const struct {
        const char *expression, *tagged, *plain;
    } cases[] = {
        {"nil", "null", "null"},
        {"null", "null", "null"},
        {"true", "true", "true"},
        {"42", "42", "42"},
        {"-7", "-7", "-7"},
        {"9007199254740991", "9007199254740991", "9007199254740991"},
        {"9007199254740992", "{\"$number\":\"9007199254740992\"}", "beyond 2^53"},
        {"math.mininteger", "{\"$number\":\"-9223372036854775808\"}", "beyond 2^53"},
        {"1.0", "{\"$number\":\"1.0\"}", "1"},
        {"-0.0", "{\"$number\":\"-0.0\"}", "0"},
        {"0.5", "0.5", "0.5"},
        {"1e300", "{\"$number\":\"1.00000000000000005e+300\"}", "beyond 2^53"},
        {"0/0", "NaN", "NaN"},
        {"1/0", "infinity", "infinity"},
        {"'text'", "\"text\"", "\"text\""},
        {"'\\u{20AC}\\n\\\"'", "\"\xe2\x82\xac\\n\\\"\"", "\"\xe2\x82\xac\\n\\\"\""},
        {"'a\\xffb'", "not valid UTF-8", "not valid UTF-8"},
        {"'\\xc0\\x80'", "not valid UTF-8", "not valid UTF-8"},
        {"'\\xed\\xa0\\x80'", "not valid UTF-8", "not valid UTF-8"},
        {"'\\xe2\\x82'", "not valid UTF-8", "not valid UTF-8"},
        {"'a\\0b'", "NUL", "NUL"},
        {"{}", "{}", "{}"},
        {"array{}", "[]", "[]"},
        {"{1,2,3}", "[1,2,3]", "[1,2,3]"},
        {"{b=1,a={x={}}}", "{\"a\":{\"x\":{}},\"b\":1}", "{\"a\":{\"x\":{}},\"b\":1}"},
        {"{1,null,3}", "[1,null,3]", "[1,null,3]"},
        {"{a={1,nil,3}}", "v.a: a list with a hole", "v.a: a list with a hole"},
        {"{args={targets={1,x=2}}}", "v.args.targets: both a list and named", "v.args.targets: both"},
        {"{[1.5]=1}", "a key that is a number", "a key that is a number"},
        {"{[true]=1}", "a key that is a boolean", "a key that is a boolean"},
        {"{f=print}", "v.f: a function is not data", "v.f: a function is not data"},
        {"{['\\xff']=1}", "not valid UTF-8", "not valid UTF-8"},
        {"{['$number']='1'}", "that name is taken", "{\"$number\":\"1\"}"},
        {"string", "a library is not data", "a library is not data"},
        {"(function() local t = {} t.t = t return t end)()", "contain itself", "contain itself"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(*state, cases[i].expression, STANCH_VALUE_TAGGED, cases[i].tagged);
        check(*state, cases[i].expression, STANCH_VALUE_PLAIN, cases[i].plain);
    }
}

/* Any value that JSON can hold comes back the same; numbers of random shape, seed printed. */
static json_t *random_value(uint64_t *seed, int depth)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t r = *seed >> 33;
    char key[16];
    json_t *made;
    switch (r % (depth > 4 ? 6 : 8)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(r & 64);
    case 2:
        return json_integer((json_int_t)(r % 2000003) - 1000000);
    case 3:
        return json_real((double)(r % 1000) + 0.125);
    case 4:
        return json_pack("{s:s}", "$number", r & 64 ? "3.0" : "9007199254740993");
    case 5:
        return json_sprintf("t%u \xe2\x82\xac", (unsigned)r);
    case 6:
        made = json_array();
        for (uint64_t i = 0; i < r / 8 % 5; i++)
            json_array_append_new(made, random_value(seed, depth + 1));
        return made;
    default:
        made = json_object();
        for (uint64_t i = 0; i < r / 8 % 5; i++) {
            (void)snprintf(key, sizeof key, "k%u", (unsigned)i);
            json_object_set_new(made, key, random_value(seed, depth + 1));
        }
        return made;
    }
}

static void random_values_round_trip(void **state)
{
    struct stanch_vm *vm = *state;
    uint64_t seed = stanch_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 2000; i++) {
        struct stanch_err err;
        json_t *value = random_value(&seed, 0), *again = NULL;
        lua_settop(vm->L, 0);
        stanch_value_push(vm->L, value);
        assert_int_equal(stanch_value_to_json(vm->L, 1, STANCH_VALUE_TAGGED, "v", &again, &err), 0);
        assert_true(json_equal(value, again));
        json_decref(value);
        json_decref(again);
    }
    lua_settop(vm->L, 0);
}

static void check_text(struct stanch_vm *vm, const char *expression, const char *expected)
{
    push_expression(vm, expression);
    if (!lua_isstring(vm->L, -1) || strcmp(lua_tostring(vm->L, -1), expected) != 0)
        fail_msg("%s gives %s, not %s", expression, luaL_tolstring(vm->L, -1, NULL), expected);
}

#define KEYS(loop)                                                                                                     \
    "(function() local t = {b=1, a=2, ['B']=3, [10]=4, [2]=5, [-1]=6, [1.5]=7, [true]=8, [false]=9, [null]=10, "       \
    "aa=11} local s = '' " loop " return s end)()"

static void pairs_and_next_have_one_order(void **state)
{
    static const char order[] = "-1 1.5 2 10 B a aa b false true null ";
    check_text(*state, KEYS("for k in pairs(t) do s = s .. tostring(k) .. ' ' end"), order);
    check_text(*state, KEYS("for k in next, t do s = s .. tostring(k) .. ' ' end"), order);
    check_text(
        *state,
        "(function() local t, s = {a=1,b=2,c=3}, '' for k in pairs(t) do t.b = nil s = s .. k end return s end)()",
        "ac");
    check_text(*state, "tostring(next({}))", "nil");
    check_text(*state, "select(2, pcall(pairs, {[{}]=1})).kind", "script");
    check_text(*state, "tostring(next({[{}]=1}) ~= nil)", "true"); /* is it empty? */
    check_text(*state,
               "(function() local s = '' for k in pairs(setmetatable({}, {__pairs = function() return next, {z=1} "
               "end})) do s = s .. k end return s end)()",
               "z");
}

static void sort_is_stable(void **state)
{
    check_text(
        *state,
        "(function() local t = {} for i = 1, 500 do t[i] = {k = i % 3, i = i} end "
        "table.sort(t, function(a, b) return a.k < b.k end) "
        "for i = 2, 500 do if t[i-1].k > t[i].k or (t[i-1].k == t[i].k and t[i-1].i > t[i].i) then return 'no' end end "
        "return 'yes' end)()",
        "yes");
    check_text(*state, "(function() local t = {3,1,2} table.sort(t) return table.concat(t, ',') end)()", "1,2,3");
    check_text(*state, "tostring(pcall(table.sort, {1,'a'}))", "false");
}

static void nothing_shows_an_address(void **state)
{
    void *fresh;
    begin(&fresh);
    check_text(fresh, "tostring({})", "table: 1");
    check_text(fresh, "tostring(print)", "function: 2");
    end(&fresh);
    check_text(
        *state,
        "(function() local t = {} return tostring(t) .. string.format('%s', t) .. ('%5s|%s'):format('x', t) end)()",
        "table: 1table: 1    x|table: 1");
    check_text(*state, "tostring(pcall(string.format, '%p', {}))", "false");
    check_text(*state, "tostring(pcall(string.format, '%-10p', 'x'))", "false");
}

static void xpcall_unwinds_before_its_handler(void **state)
{
    check_text(
        *state,
        "table.concat({select(2, xpcall(function() error('x', 0) end, function(e) return 'h' .. e, 'more' end))}, ' ')",
        "hx more");
    check_text(*state, "table.concat({select(2, xpcall(function(...) return ... end, print, 1, 2))}, ' ')", "1 2");
    check_text(
        *state,
        "tostring(select(2, pcall(xpcall, function() error('x') end, function() error('in the handler', 0) end)))",
        "in the handler"); /* the handler runs as plain code: its error is an error */
}

static void metatables_are_copies(void **state)
{
    check_text(*state,
               "(function() local C = {} C.__index = C local o = setmetatable({}, C) function C.f() return 'f' end "
               "return o.f() .. tostring(getmetatable(o) == C) end)()",
               "ftrue");
    check_text(*state,
               "(function() local mt = {} local o = setmetatable({}, mt) mt.__tostring = function() return 'late' end "
               "local p = setmetatable({}, mt) return tostring(p) end)()",
               "late");
    check_text(*state, "tostring(pcall(setmetatable, {}, {__gc = print}))", "false");
    check_text(*state, "tostring(pcall(setmetatable, {}, {__mode = 'k'}))", "false");
    check_text(*state, "tostring(pcall(setmetatable, {}, {__close = print}))", "false");
    check_text(*state,
               "(function() local o = setmetatable({}, {a=1}) setmetatable(o, {__index={x='y'}}) return o.x end)()",
               "y");
    check_text(*state,
               "(function() local o = setmetatable({}, {__metatable='mine'}) return getmetatable(o) .. "
               "tostring(pcall(setmetatable, o, {})) end)()",
               "minefalse");
    check_text(*state, "tostring(getmetatable(setmetatable(setmetatable({}, {}), nil)))", "nil");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_travel_exactly),
        cmocka_unit_test(random_values_round_trip),
        cmocka_unit_test(pairs_and_next_have_one_order),
        cmocka_unit_test(sort_is_stable),
        cmocka_unit_test(xpcall_unwinds_before_its_handler),
        cmocka_unit_test(metatables_are_copies),
        cmocka_unit_test(nothing_shows_an_address),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
