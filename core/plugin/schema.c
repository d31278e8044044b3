/* schema.c: check values against the subset of JSON Schema; every text says where, what was given, what was
 * expected. */
#include "plugin/schema.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "plugin/suggest.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 8

/* keyword -> what its value must be */
static const struct {
    const char *name;
    char kind; /* t type word, n number, c count, s text, b flag, a array, o schema, p properties, r required,
                * m flag or schema, * any */
} keywords[] = {
    {"type", 't'},      {"enum", 'a'},     {"minimum", 'n'},    {"maximum", 'n'},  {"minLength", 'c'},
    {"maxLength", 'c'}, {"pattern", 's'},  {"properties", 'p'}, {"required", 'r'}, {"additionalProperties", 'm'},
    {"items", 'o'},     {"minItems", 'c'}, {"maxItems", 'c'},   {"summary", 's'},  {"description", 's'},
    {"default", '*'},   {"format", 's'},   {"secret", 'b'},
};

static const char *const formats[] = {"url",         "address",     "path",       "file",   "ca-file",
                                      "secret-file", "client-cert", "client-key", "command"};
static const char *const types[] = {"string", "integer", "number", "boolean", "array", "object", "any"};

static bool is_word(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static char keyword_kind(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].kind;
    return 0;
}

static json_t *known_keywords(void)
{
    json_t *known = json_object();
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        json_object_set_new(known, keywords[i].name, json_true());
    return known;
}

static bool is_kind(char kind, const json_t *value)
{
    switch (kind) {
    case 't':
        return json_is_string(value) && is_word(types, sizeof types / sizeof *types, json_string_value(value));
    case 'n':
        return json_is_number(value);
    case 'c':
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case 's':
        return json_is_string(value);
    case 'b':
        return json_is_boolean(value);
    case 'a':
        return json_is_array(value) && json_array_size(value) > 0;
    case 'o':
    case 'p':
        return json_is_object(value);
    case 'm':
        return json_is_boolean(value) || json_is_object(value);
    case 'r':
        return json_is_array(value) || json_is_boolean(value);
    default:
        return true;
    }
}

static int load(const json_t *schema, const char *where, int depth, struct stanch_err *err);

static int load_properties(const json_t *properties, const char *where, int depth, struct stanch_err *err)
{
    const char *name;
    json_t *schema;
    json_object_foreach((json_t *)(uintptr_t)properties, name, schema)
    {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s.%s", where, name);
        int rc = load(schema, path, depth + 1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int load_pattern(const char *expression, const char *where, struct stanch_err *err)
{
    struct stanch_pattern *pattern = NULL;
    int rc = stanch_pattern_new(expression, STANCH_PATTERN_SOMEWHERE, &pattern, err);
    stanch_pattern_free(pattern);
    return rc == 0 ? 0 : stanch_err_wrap(err, "%s.pattern: \"%.200s\" is not a regular expression", where, expression);
}

static int load_keyword(const json_t *schema, const char *key, const json_t *value, const char *where,
                        struct stanch_err *err)
{
    char kind = keyword_kind(key);
    if (!kind) {
        char near[400];
        STANCH_AUTO_JSON json_t *known = known_keywords();
        stanch_suggest_text(known, key, near);
        return stanch_err_set(err, STANCH_E_INVALID, "%s.%s: this keyword is not known%s", where, key, near);
    }
    if (!is_kind(kind, value))
        return stanch_err_set(err, STANCH_E_INVALID, "%s.%s: this value makes no sense for the keyword", where, key);
    if (strcmp(key, "pattern") == 0)
        return load_pattern(json_string_value(value), where, err);
    if (strcmp(key, "format") == 0 && !is_word(formats, sizeof formats / sizeof *formats, json_string_value(value)))
        return stanch_err_set(err, STANCH_E_INVALID, "%s.format: \"%s\" is no format; sdk/README.md has the list",
                              where, json_string_value(value));
    (void)schema;
    return 0;
}

static int load(const json_t *schema, const char *where, int depth, struct stanch_err *err)
{
    const char *key;
    json_t *value;
    int rc = 0;
    if (!json_is_object(schema))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: a schema is an object", where);
    if (depth > MAX_DEPTH)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: schemas are nested deeper than %d", where, MAX_DEPTH);
    if (!json_object_get(schema, "type"))
        return stanch_err_set(err, STANCH_E_INVALID, "%s.type: missing", where);
    json_object_foreach((json_t *)(uintptr_t)schema, key,
                        value) if ((rc = load_keyword(schema, key, value, where, err)) < 0) return rc;
    if ((value = json_object_get(schema, "properties")))
        rc = load_properties(value, where, depth, err);
    value = json_object_get(schema, "additionalProperties");
    if (rc == 0 && json_is_object(value)) {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s.additionalProperties", where);
        rc = load(value, path, depth + 1, err);
    }
    if (rc == 0 && (value = json_object_get(schema, "items"))) {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s.items", where);
        rc = load(value, path, depth + 1, err);
    }
    return rc;
}

int stanch_schema_load(const json_t *schema, const char *where, struct stanch_err *err)
{
    return load(schema, where, 0, err);
}

/* ---- values ---- */

/* How a value is shown in a text: short, one line. */
static char *show(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text && strlen(text) > 80) {
        size_t end = 76;
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
        memcpy(text + end, "...", 4);
    }
    return text ? text : stanch_strdup("?");
}

static bool has_type(const char *type, const json_t *value)
{
    if (strcmp(type, "integer") == 0) {
        double real = json_number_value(value);
        return json_is_integer(value) ||
               (json_is_real(value) && floor(real) == real && fabs(real) <= (double)STANCH_JSON_SAFE_INT);
    }
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value)) || strcmp(type, "any") == 0;
}

static const char *with_article(const char *type)
{
    static const char *const pairs[][2] = {
        {"string", "a string"}, {"integer", "an integer"}, {"number", "a number"}, {"boolean", "a boolean"},
        {"array", "an array"},  {"object", "an object"},   {"any", "a value"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(pairs[i][0], type) == 0)
            return pairs[i][1];
    return type;
}

static int check_enum(const json_t *allowed, const json_t *value, const char *where, struct stanch_err *err)
{
    size_t i;
    json_t *one;
    json_t *names = json_object();
    json_array_foreach((json_t *)(uintptr_t)allowed, i, one)
    {
        if (json_equal(one, value)) {
            json_decref(names);
            return 0;
        }
        if (json_is_string(one))
            json_object_set_new(names, json_string_value(one), json_true());
    }
    const char *near = json_is_string(value) ? stanch_suggest_key(names, json_string_value(value)) : NULL;
    STANCH_AUTO_FREE char *given = show(value);
    STANCH_AUTO_FREE char *list = show(allowed);
    int rc = stanch_err_set(err, STANCH_E_INVALID, "%s: %s is not one of %s%s%s%s", where, given, list,
                            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    json_decref(names);
    return rc;
}

static int check_number(const json_t *schema, const json_t *value, const char *where, struct stanch_err *err)
{
    const json_t *low = json_object_get(schema, "minimum"), *high = json_object_get(schema, "maximum");
    double real = json_number_value(value);
    if (low && real < json_number_value(low))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %g is less than %g, the minimum", where, real,
                              json_number_value(low));
    if (high && real > json_number_value(high))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %g is more than %g, the maximum", where, real,
                              json_number_value(high));
    return 0;
}

static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int check_pattern(const char *expression, const json_t *value, const char *where, struct stanch_err *err)
{
    struct stanch_pattern *pattern = NULL;
    int rc = stanch_pattern_new(expression, STANCH_PATTERN_SOMEWHERE, &pattern, err);
    if (rc != 0) /* it was one when it was loaded */
        return stanch_err_wrap(err, "%s: the pattern %s", where, expression);
    int matches = stanch_pattern_matches(pattern, json_string_value(value));
    stanch_pattern_free(pattern);
    if (matches == 1)
        return 0;
    STANCH_AUTO_FREE char *given = show(value);
    return matches == 0
               ? stanch_err_set(err, STANCH_E_INVALID, "%s: %s does not match %s", where, given, expression)
               : stanch_err_set(err, STANCH_E_INVALID, "%s: %s takes too long to match %s", where, given, expression);
}

static int check_string(const json_t *schema, const json_t *value, const char *where, struct stanch_err *err)
{
    const char *text = json_string_value(value), *pattern = stanch_json_str(schema, "pattern", NULL);
    size_t len = count_characters(text);
    int64_t low = stanch_json_int(schema, "minLength", 0), high = stanch_json_int(schema, "maxLength", INT64_MAX);
    if (strlen(text) != json_string_length(value))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: a text with a NUL in it is refused", where);
    if ((int64_t)len < low)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %zu characters are fewer than %lld, the minimum", where, len,
                              (long long)low);
    if ((int64_t)len > high)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %zu characters are more than %lld, the maximum", where, len,
                              (long long)high);
    return pattern ? check_pattern(pattern, value, where, err) : 0;
}

static int check_array(const json_t *schema, const json_t *value, const char *where, struct stanch_err *err)
{
    const json_t *items = json_object_get(schema, "items");
    size_t i, count = json_array_size(value);
    json_t *one;
    if ((int64_t)count < stanch_json_int(schema, "minItems", 0) ||
        (int64_t)count > stanch_json_int(schema, "maxItems", INT64_MAX))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %zu items; %lld to %lld were expected", where, count,
                              (long long)stanch_json_int(schema, "minItems", 0),
                              (long long)stanch_json_int(schema, "maxItems", INT64_MAX));
    json_array_foreach((json_t *)(uintptr_t)value, i, one)
    {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s[%zu]", where, i + 1);
        int rc = items ? stanch_schema_check(items, one, path, "item", err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_required(const json_t *schema, const json_t *value, const char *where, struct stanch_err *err)
{
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)required, i, name)
    {
        const char *key = json_string_value(name);
        const json_t *property = json_object_get(properties, key ? key : "");
        const char *summary = stanch_json_str(property, "summary", stanch_json_str(property, "description", NULL));
        if (key && !json_object_get(value, key))
            return stanch_err_set(err, STANCH_E_INVALID, "%s.%s: missing; %s was expected%s%s", where, key,
                                  with_article(stanch_json_str(property, "type", "a value")), summary ? ": " : "",
                                  summary ? summary : "");
    }
    return 0;
}

/* What a member has to be: its own schema, that of all others (additionalProperties), or NULL. */
static const json_t *schema_of(const json_t *schema, const char *key)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), key);
    const json_t *others = json_object_get(schema, "additionalProperties");
    return own ? own : json_is_object(others) ? others : NULL;
}

static int check_object(const json_t *schema, const json_t *value, const char *where, const char *what,
                        struct stanch_err *err)
{
    const json_t *properties = json_object_get(schema, "properties");
    bool is_open = json_is_true(json_object_get(schema, "additionalProperties"));
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        const json_t *property = schema_of(schema, key);
        char near[400];
        if (!property && !is_open) {
            stanch_suggest_text(properties, key, near);
            return stanch_err_set(err, STANCH_E_INVALID, "%s.%s: no such %s%s", where, key, what, near);
        }
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s.%s", where, key);
        int rc = property ? stanch_schema_check(property, member, path, what, err) : 0;
        if (rc < 0)
            return rc;
    }
    return check_required(schema, value, where, err);
}

int stanch_schema_check(const json_t *schema, const json_t *value, const char *where, const char *what,
                        struct stanch_err *err)
{
    const char *type = stanch_json_str(schema, "type", "object");
    const json_t *allowed = json_object_get(schema, "enum");
    if (!has_type(type, value)) {
        STANCH_AUTO_FREE char *given = show(value);
        return stanch_err_set(err, STANCH_E_INVALID, "%s: %s is not %s", where, given, with_article(type));
    }
    int rc = allowed ? check_enum(allowed, value, where, err) : 0;
    if (rc < 0)
        return rc;
    if (strcmp(type, "any") == 0)
        return 0;
    if (json_is_number(value))
        return check_number(schema, value, where, err);
    if (json_is_string(value))
        return check_string(schema, value, where, err);
    if (json_is_array(value))
        return check_array(schema, value, where, err);
    return json_is_object(value) ? check_object(schema, value, where, what, err) : 0;
}

int stanch_schema_each_format(const json_t *schema, const json_t *value, const char *where,
                              int (*fn)(void *ctx, const char *format, const char *text, const char *where,
                                        struct stanch_err *err),
                              void *ctx, struct stanch_err *err)
{
    const char *format = stanch_json_str(schema, "format", NULL), *key;
    json_t *one;
    size_t i;
    int rc = 0;
    if (format && json_is_string(value))
        return fn(ctx, format, json_string_value(value), where, err);
    if (json_is_array(value) && json_object_get(schema, "items"))
        json_array_foreach((json_t *)(uintptr_t)value, i, one)
        {
            STANCH_AUTO_FREE char *path = stanch_asprintf("%s[%zu]", where, i + 1);
            if ((rc = stanch_schema_each_format(json_object_get(schema, "items"), one, path, fn, ctx, err)) != 0)
                return rc;
        }
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, key, one)
        {
            STANCH_AUTO_FREE char *path = stanch_asprintf("%s.%s", where, key);
            const json_t *property = schema_of(schema, key);
            if (property && (rc = stanch_schema_each_format(property, one, path, fn, ctx, err)) != 0)
                return rc;
        }
    return rc;
}
