/* test_tokens.c: the words of a Lua file, each with its line; what is no code is passed over, and what is no word refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/mem.h"
#include "script/tokens.h"
#include <lauxlib.h>
#include <string.h>

/* Words as they are, what stands in strings in <>, signs in (). */
static void tokens_of(const char *text, struct stanch_buf *out)
{
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    struct stanch_err err = {0};
    if (stanch_tokens_read("a.lua", text, strlen(text), &tokens, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < tokens.count; i++) {
        const struct stanch_token *token = stanch_tokens_at(&tokens, i);
        const char *inside = token->at;
        size_t len = token->len;
        bool is_string = stanch_token_is_string(token, &inside, &len), is_sign = token->kind == STANCH_TOKEN_SIGN;
        const char *marks = is_string ? "<>" : is_sign ? "()" : "";
        stanch_buf_printf(out, "%s%.1s%.*s%s", i ? " " : "", marks, (int)len, inside, *marks ? marks + 1 : "");
    }
    assert_null(stanch_tokens_at(&tokens, tokens.count));
    assert_null(stanch_tokens_at(&tokens, -1));
}

static void words_strings_and_signs_are_told_apart(void **state)
{
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"", ""},
        {"  \n\t", ""},
        {"local a_1 = 2", "local a_1 (=) 2"},
        {"p.x..p.y", "p (.) x (..) p (.) y"},
        {"f(...)::l::o:m()", "f (() (...) ()) (::) l (::) o (:) m (() ())"},
        {"'a' \"b\" [[c]] [==[d]]e]==] '' [[]]", "<a> <b> <c> <d]]e> <> <>"},
        {"'it\\'s' x", "<it\\'s> x"},
        {"a -- b 'c\nd", "a d"},
        {"a -- b\rc", "a c"},
        {"a --[[ b\nc ]] d --[=[ ]] ]=] e", "a d e"},
        {"t[x] t[ [[k]] ]", "t ([) x (]) t ([) <k> (])"},
        {"a - b -", "a (-) b (-)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_BUF struct stanch_buf got = {0};
        tokens_of(cases[i].text, &got);
        assert_string_equal(stanch_buf_str(&got), cases[i].tokens);
    }
}

static void a_word_is_no_string(void **state)
{
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    const char *text = "run 'run' ( end", *inside = NULL;
    size_t len = 0;
    (void)state;
    assert_int_equal(stanch_tokens_read("a.lua", text, strlen(text), &tokens, NULL), 0);
    assert_int_equal(tokens.count, 4);
    assert_true(stanch_token_is(&tokens.list[0], "run"));
    assert_true(stanch_token_is_name(&tokens.list[0]));
    assert_false(stanch_token_is(&tokens.list[0], "ru"));
    assert_false(stanch_token_is_string(&tokens.list[0], &inside, &len));
    assert_false(stanch_token_is(&tokens.list[1], "run"));
    assert_false(stanch_token_is_name(&tokens.list[1]));
    assert_true(stanch_token_is(&tokens.list[2], "("));
    assert_false(stanch_token_is_name(&tokens.list[3]));
    assert_false(stanch_token_is(NULL, "run") || stanch_token_is_name(NULL) ||
                 stanch_token_is_string(NULL, &inside, &len));
}

static void brackets_have_partners(void **state)
{
    static const int partners[] = {7, 3, -1, 1, -1, 6, 5, 0, -1};
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    const char *text = "{ ( a ) ; [ ] } )";
    (void)state;
    assert_int_equal(stanch_tokens_read("a.lua", text, strlen(text), &tokens, NULL), 0);
    for (int i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.list[i].partner, partners[i]);
}

static void all_forms_of_words_are_read(void **state)
{
    (void)state;
    static const char *const text =
        "\v\f\tlocal a,b=0xA.8p-1,.5e+3;c=3.;d=0XfF d=1//2 e='\\a\\x41\\065\\u{7FFFFFFF}\\z \r\n\n x\\\n\\'\"' "
        "f=\"\\\"'\\\\\" g=[==[\n]]]=]==]"
        "h=#a[b[1]]..'...' --\n--[[\n]]--[=x\ni=(...)::l::j=a.b:c{}~=d k=1 ..2";
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    struct stanch_err err = {0};
    STANCH_AUTO_BUF struct stanch_buf seen = {0};
    if (stanch_tokens_read("a.lua", text, strlen(text), &tokens, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < tokens.count; i++) {
        const char *at = tokens.list[i].at;
        size_t len = tokens.list[i].len;
        stanch_buf_printf(&seen, "%s%c%d", i > 0 ? " " : "",
                          "anst"[tokens.list[i].kind == STANCH_TOKEN_NUMBER   ? 1
                                 : tokens.list[i].kind == STANCH_TOKEN_SIGN   ? 2
                                 : tokens.list[i].kind == STANCH_TOKEN_STRING ? 3
                                                                              : 0],
                          tokens.list[i].line);
        stanch_buf_char(&seen, ':');
        for (size_t k = 0; k < len && k < 6; k++)
            stanch_buf_char(&seen, at[k] < ' ' ? '?' : at[k]);
    }
    assert_string_equal(stanch_buf_str(&seen), "a1:local a1:a s1:, a1:b s1:= n1:0xA.8p s1:, n1:.5e+3 s1:; a1:c s1:= "
                                               "n1:3. s1:; a1:d s1:= n1:0XfF a1:d s1:= n1:1 "
                                               "s1:// n1:2 a1:e s1:= t1:'\\a\\x4 a4:f s4:= t4:\"\\\"'\\\\ a4:g s4:= "
                                               "t4:[==[?] a5:h s5:= s5:# a5:a s5:[ a5:b s5:[ "
                                               "n5:1 s5:] s5:] s5:.. t5:'...' a8:i s8:= s8:( s8:... s8:) s8::: a8:l "
                                               "s8::: a8:j s8:= a8:a s8:. a8:b s8:: a8:c s8:{ "
                                               "s8:} s8:~= a8:d a8:k s8:= n8:1 s8:.. n8:2");
}

/* ---- what is no word ---- */

/* Of exactly these bytes: nothing behind them is looked at. */
static void expect_refused(const char *text, size_t len, const char *why)
{
    struct stanch_tokens tokens = {0};
    struct stanch_err err = {0};
    char *exact = stanch_alloc(len ? len : 1);
    memcpy(exact, text, len);
    if (stanch_tokens_read("dir/a.lua", exact, len, &tokens, &err) != STANCH_E_INVALID)
        fail_msg("%s was read", text);
    assert_string_equal(err.text, why);
    assert_null(tokens.list);
    free(exact);
}

#define REFUSED(text, why) expect_refused(text, sizeof(text) - 1, "dir/a.lua:" why)

static void what_is_no_word_is_refused_with_its_line(void **state)
{
    (void)state;
    REFUSED("x = 1\ny = 'abc\nz", "2: the string that begins here is not ended");
    REFUSED("'", "1: the string that begins here is not ended");
    REFUSED("'\\", "1: this string is not ended");
    REFUSED("'a\\\n\\\r\nb", "1: the string that begins here is not ended");
    REFUSED("\n\n[[ a\nb ]=]", "3: the string that begins here is not ended");
    REFUSED("\n--[=[ a\n ]]", "2: the comment that begins here is not ended");
    REFUSED("[==", "1: the long bracket that begins here is not whole");
    REFUSED("x = a[=b]", "1: the long bracket that begins here is not whole");
    REFUSED("x = 'a\0b'", "1: there is a NUL byte");
    REFUSED("x = 1\n\0", "2: there is a NUL byte");
    REFUSED("x = 1 ! 2", "1: a character that has no meaning in Lua");
    REFUSED("x = \xc3\xa4", "1: a character that has no meaning in Lua");
    REFUSED("\n$", "2: a character that has no meaning in Lua");
    REFUSED("'\\q'", "1: Lua knows no such escape in a string");
    REFUSED("'\\xg0'", "1: Lua knows no such escape in a string");
    REFUSED("'\\256'", "1: Lua knows no such escape in a string");
    REFUSED("'\\u{80000000}'", "1: Lua knows no such escape in a string");
    REFUSED("'\\u{}'", "1: Lua knows no such escape in a string");
    REFUSED("'\\u41'", "1: Lua knows no such escape in a string");
    REFUSED("x = 3x", "1: this number is malformed");
    REFUSED("x = 1..2", "1: this number is malformed");
    REFUSED("x = 0x", "1: this number is malformed");
    REFUSED("x = 1e", "1: this number is malformed");
    REFUSED("x = 1e+", "1: this number is malformed");
    REFUSED("x = 0x1p", "1: this number is malformed");
    REFUSED("x = 1.2.3", "1: this number is malformed");
}

/* Bytes of which strings, comments and brackets are made, in any order: they are refused, or words one behind the other, all
 * inside. Whatever Lua compiles has been read. */
static void any_bytes_are_words_or_refused(void **state)
{
    int compiled = 0, refused = 0;
    lua_State *L = luaL_newstate();
    (void)state;
    for (unsigned seed = 0; seed < 20000; seed++) {
        STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
        unsigned random = seed * 2654435761u + 1;
        size_t len = seed % 24;
        char *bytes = stanch_alloc(len + 1);
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525u + 1013904223u;
            bytes[i] = "[]='\"-.\\: \nax\xff"[(random >> 16) % 14];
        }
        bool is_read = stanch_tokens_read("a.lua", bytes, len, &tokens, NULL) == 0;
        bool compiles = luaL_loadbufferx(L, bytes, len, "=a", "t") == LUA_OK;
        const char *before = bytes;
        lua_settop(L, 0);
        refused += !is_read;
        compiled += compiles;
        assert_true(is_read || !compiles);
        for (int i = 0; i < tokens.count; i++) {
            assert_true(tokens.list[i].at >= before && tokens.list[i].len > 0);
            before = tokens.list[i].at + tokens.list[i].len;
        }
        assert_true(before <= bytes + len);
        free(bytes);
    }
    lua_close(L);
    assert_true(compiled > 1000 && refused > 1000); /* both were seen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_strings_and_signs_are_told_apart),
        cmocka_unit_test(a_word_is_no_string),
        cmocka_unit_test(brackets_have_partners),
        cmocka_unit_test(all_forms_of_words_are_read),
        cmocka_unit_test(what_is_no_word_is_refused_with_its_line),
        cmocka_unit_test(any_bytes_are_words_or_refused),
    };
    return cmocka_run_group_tests_name("script/tokens", tests, NULL, NULL);
}
