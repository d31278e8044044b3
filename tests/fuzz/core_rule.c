/* core_rule.c: triggers (regular expressions, globs), parameters and ranges of runbooks, against events that outsiders
 * send. Input: the triggers on the first line, the parameters on the second, an event on the third, then a glob, a range and
 * a text, then what a person gives for the parameters, a line each. */
#include "rule/match.h"
#include "rule/glob.h"
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

static json_t *line_of(struct fuzz_bytes *input)
{
    size_t len = 0;
    char *text = fuzz_until(input, '\n', &len);
    json_t *value = NULL;
    stanch_json_parse(text, len, &stanch_json_own_limits, &value, NULL);
    free(text);
    return value;
}

static void match(const json_t *on, const json_t *event)
{
    struct stanch_triggers *triggers = NULL;
    struct stanch_err err = {0};
    char why[256] = "";
    if (stanch_triggers_new(on, &triggers, &err) < 0) {
        FUZZ_EXPECT(err.text[0]);
        return;
    }
    enum stanch_match found = stanch_triggers_match(triggers, event, 1700000000000, why);
    FUZZ_EXPECT(memchr(why, 0, sizeof why) && (found == STANCH_MATCH) == (why[0] == '\0'));
    stanch_triggers_fresh_until(triggers, event);
    stanch_triggers_free(triggers);
}

static void resolve(const json_t *params, const json_t *event, const json_t *given)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *values = NULL;
    if (stanch_params_check(params, &err) < 0)
        return;
    if (stanch_params_resolve(params, event, given, &values, &err) < 0)
        FUZZ_EXPECT(err.text[0] && !values);
    else
        FUZZ_EXPECT(json_is_object(values));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *on = line_of(&input), *params = line_of(&input), *event = line_of(&input);
    char *glob = fuzz_line(&input), *range = fuzz_line(&input), *text = fuzz_line(&input);
    STANCH_AUTO_JSON json_t *given = line_of(&input);
    if (json_is_array(on) && json_is_object(event))
        match(on, event);
    if (json_is_object(params) && json_is_object(event))
        resolve(params, event, json_is_object(given) ? given : NULL);
    FUZZ_EXPECT(!stanch_glob_matches(text, text) || strlen(text) < 1u << 20);
    stanch_glob_matches(glob, text);
    stanch_range_holds(range, strtod(text, NULL), &err);
    free(glob);
    free(range);
    free(text);
    return 0;
}
