/* test_scan.c: the words of a Lua file, with what is no code passed over as Lua does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "script/scan.h"

/* Words as they are, texts in <>, signs in (). */
static void tokens_of(const char *text, size_t len, struct stanch_buf *out)
{
    struct stanch_scan scan = {text, text + len};
    struct stanch_token token;
    while (stanch_scan__next(&scan, &token)) {
        bool is_text = token.kind == STANCH_TOKEN_TEXT, is_sign = token.kind == STANCH_TOKEN_SIGN;
        stanch_buf_printf(out, "%s%s%.*s%s", out->len ? " " : "",
                          is_text   ? "<"
                          : is_sign ? "("
                                    : "",
                          (int)token.len, token.from,
                          is_text   ? ">"
                          : is_sign ? ")"
                                    : "");
    }
    assert_int_equal(token.kind, STANCH_TOKEN_END);
    assert_false(stanch_scan__next(&scan, &token));
}

static void words_texts_and_signs_are_told_apart(void **state)
{
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"", ""},
        {"  \n\t", ""},
        {"local a_1 = 2", "local a_1 (=) 2"},
        {"p.x..p.y", "p (.) x (..) p (.) y"},
        {"f(...)::l::o:m()", "f (() (...) ()) (::) l (::) o (:) m (() ())"},
        {"'a' \"b\" [[c]] [==[d]]e]==]", "<a> <b> <c> <d]]e>"},
        {"'it\\'s' x", "<it\\'s> x"},
        {"'cut\nx", "<cut> x"},
        {"a -- b 'c\nd", "a d"},
        {"a --[[ b\nc ]] d --[=[ ]] ]=] e", "a d e"},
        {"t[x] t[ [[k]] ]", "t ([) x (]) t ([) <k> (])"},
        {"a - b", "a (-) b"},
        {"[[never ends", "<never ends>"},
        {"--[[never ends", ""},
        {"'never ends", "<never ends>"},
        {"'x\\", "<x\\>"},
        {"-", "(-)"},
        {"[=", "([) (=)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_BUF struct stanch_buf got = {0};
        tokens_of(cases[i].text, strlen(cases[i].text), &got);
        assert_string_equal(stanch_buf_str(&got), cases[i].tokens);
    }
}

static void any_bytes_are_read(void **state)
{
    char bytes[512];
    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        unsigned random = seed * 2654435761u + 1;
        size_t len = seed % sizeof bytes;
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525u + 1013904223u;
            bytes[i] = "[]='\"-.\\: \nax\xff"[(random >> 16) % 14];
        }
        struct stanch_scan scan = {bytes, bytes + len};
        struct stanch_token token;
        const char *before = bytes;
        while (stanch_scan__next(&scan, &token)) { /* it moves on, and stays inside */
            assert_true(scan.at > before && scan.at <= bytes + len);
            assert_true(token.from >= bytes && token.from + token.len <= bytes + len);
            before = scan.at;
        }
    }
}

static void a_word_is_no_text(void **state)
{
    struct stanch_scan scan = {"run 'run' (", NULL};
    struct stanch_token token;
    (void)state;
    scan.end = scan.at + strlen(scan.at);
    stanch_scan__next(&scan, &token);
    assert_true(stanch_scan__is(&token, "run"));
    assert_false(stanch_scan__is(&token, "ru"));
    stanch_scan__next(&scan, &token);
    assert_false(stanch_scan__is(&token, "run"));
    stanch_scan__next(&scan, &token);
    assert_true(stanch_scan__is(&token, "("));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_texts_and_signs_are_told_apart),
        cmocka_unit_test(any_bytes_are_read),
        cmocka_unit_test(a_word_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
