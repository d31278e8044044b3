/* core_mutate.c: the words of a source of Lua, and its mutants. Input: the source. */
#include "drill/mutate.h"
#include "drill/tokens.h"
#include "fuzz.h"
#include <string.h>

/* On which line the last word stands; 0: there is none. */
static int last_line(const char *text, size_t len)
{
    struct stanch_token *tokens = NULL;
    struct stanch_err err = {0};
    int count = 0;
    FUZZ_EXPECT(stanch_tokens_read("a.lua", text, len, &tokens, &count, &err) == 0);
    for (int i = 0; i < count; i++) {
        int partner = tokens[i].partner;
        FUZZ_EXPECT(tokens[i].len > 0 && tokens[i].at >= text && tokens[i].at + tokens[i].len <= text + len);
        FUZZ_EXPECT(partner < 0 || (partner < count && partner != i && tokens[partner].partner == i));
    }
    int line = count > 0 ? tokens[count - 1].line : 0;
    free(tokens);
    return line;
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
