/* core_declaration.c: what a plugin says about itself (core does not trust its host), and values against the schemas in
 * it. Input: the declaration on the first line, then settings, then the arguments of every action, then {"NAME": true} of
 * the settings that are given as secrets. */
#include "plugin/declaration.h"
#include "plugin/schema.h"
#include "base/json.h"
#include "fuzz.h"

static json_t *line_of(struct fuzz_bytes *input)
{
    size_t len = 0;
    char *text = fuzz_until(input, '\n', &len);
    json_t *value = NULL;
    stanch_json_parse(text, len, &stanch_json_own_limits, &value, NULL);
    free(text);
    return value;
}

static int on_format(void *ctx, const char *format, const char *text, const char *where, struct stanch_err *err)
{
    (void)ctx;
    (void)err;
    FUZZ_EXPECT(format && text && where);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    const char *name;
    json_t *action;
    STANCH_AUTO_JSON json_t *declaration = line_of(&input), *settings = line_of(&input), *args = line_of(&input);
    STANCH_AUTO_JSON json_t *secrets = line_of(&input);
    if (!json_is_object(secrets)) {
        json_decref(secrets);
        secrets = json_object();
    }
    if (!declaration || stanch_declaration_check(declaration, &err) < 0) {
        FUZZ_EXPECT(!declaration || err.text[0]);
        return 0;
    }
    STANCH_AUTO_JSON json_t *actions = stanch_declaration_actions(declaration);
    STANCH_AUTO_JSON json_t *schema = stanch_declaration_settings_schema(declaration);
    FUZZ_EXPECT(json_is_object(actions) && json_is_object(schema));
    if (settings && stanch_declaration_check_settings(declaration, settings, secrets, &err) == 0)
        FUZZ_EXPECT(stanch_schema_each_format(schema, settings, "settings", on_format, NULL, &err) == 0);
    json_object_foreach(actions, name, action)
    {
        const json_t *params = json_object_get(action, "params");
        FUZZ_EXPECT(json_is_object(params) && stanch_schema_load(params, "params", &err) == 0);
        if (args)
            stanch_schema_check(params, args, "args", "argument", &err);
    }
    return 0;
}
