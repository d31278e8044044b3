/* core_mutate.c: the words of a source of Lua, and its mutants. Input: the source. */
#include "drill/mutate.h"
#include "fuzz.h"
#include "script/tokens.h"
#include <string.h>

/* On which line the last word stands; 0: there is none. */
static int last_line(const char *text, size_t len)
{
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    struct stanch_err err = {0};
    FUZZ_EXPECT(stanch_tokens_read("a.lua", text, len, &tokens, &err) == 0);
    for (int i = 0; i < tokens.count; i++) {
        const struct stanch_token *token = &tokens.list[i];
        const char *inside = NULL;
        size_t inside_len = 0;
        FUZZ_EXPECT(token->len > 0 && token->at >= text && token->at + token->len <= text + len);
        FUZZ_EXPECT(token->partner < 0 ||
                    (token->partner < tokens.count && token->partner != i && tokens.list[token->partner].partner == i));
        if (stanch_token_is_string(token, &inside, &inside_len))
            FUZZ_EXPECT(inside > token->at && inside + inside_len < token->at + token->len);
    }
    return tokens.count > 0 ? tokens.list[tokens.count - 1].line : 0;
}

static void look_at(const struct stanch_mutant *mutant, const char *text, size_t len, int last)
{
    json_t *what = json_string(mutant->what); /* it is shown: UTF-8 */
    FUZZ_EXPECT(what && mutant->what[0] && !strchr(mutant->what, '\n'));
    FUZZ_EXPECT(strlen(mutant->text) != len || memcmp(mutant->text, text, len) != 0);
    FUZZ_EXPECT(mutant->line >= 1 && mutant->line <= last);
    FUZZ_EXPECT(last_line(mutant->text, strlen(mutant->text)) == last);
    json_decref(what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stanch_mutant *mutants = NULL;
    struct stanch_err err = {0};
    const char *text = (const char *)data;
    int count = 0;
    json_t *actions = json_pack("[s, s, i]", "drain", "kill", 1);
    int rc = stanch_mutants_make("a.lua", text, size, actions, &mutants, &count, &err);
    json_decref(actions);
    if (rc < 0) {
        FUZZ_EXPECT(strncmp(err.text, "a.lua", 5) == 0 && !mutants);
        return 0;
    }
    int last = last_line(text, size);
    for (int i = 0; i < count; i++) {
        look_at(&mutants[i], text, size, last);
        FUZZ_EXPECT(i == 0 || mutants[i].line >= mutants[i - 1].line);
    }
    stanch_mutants_free(mutants, count);
    return 0;
}
