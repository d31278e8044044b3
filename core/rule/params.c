/* params.c: the parameters of a run: what a person gave, else the event's label, else the default.
 * A label comes from outside (PROMISES.md T9), so its text is converted strictly and checked before any runbook
 * sees it: a value that is not exactly what was declared is refused, never repaired. */
#include "rule/match.h"
#include "rule/glob.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "base/times.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LABEL_BYTES 1024 /* a value out of an event */
#define MAX_GIVEN_BYTES 8192 /* a value that a person typed */

struct origin {
    const char *name;   /* the parameter */
    const char *label;  /* the label that the value came from; NULL: a person or the default */
    const json_t *spec; /* its declaration */
};

/* "percent (label pct)": where a refused value came from. */
static int refuse(const struct origin *origin, const json_t *value, const char *expected, struct stanch_err *err)
{
    char from[80] = "", shown[100];
    if (origin->label)
        (void)snprintf(from, sizeof from, " (label %.60s)", origin->label);
    STANCH_AUTO_FREE char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    stanch_rule__clip(text ? text : json_string_value(value), shown, sizeof shown);
    return stanch_err_set(err, STANCH_E_REFUSED, "parameter %.60s%s: \"%s\" is not allowed; expected %s", origin->name,
                          from, shown, expected);
}

static bool has_control(const char *text, bool allow_lines)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < 0x20 || *p == 0x7F) && !(allow_lines && (*p == '\n' || *p == '\t')))
            return true;
    return false;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static int check_bounds(const struct origin *origin, const json_t *value, double number, const char *unit,
                        struct stanch_err *err)
{
    const json_t *min = json_object_get(origin->spec, "min"), *max = json_object_get(origin->spec, "max");
    char expected[120];
    if (json_is_number(min) && number < json_number_value(min)) {
        (void)snprintf(expected, sizeof expected, "at least %.17g%s", json_number_value(min), unit);
        return refuse(origin, value, expected, err);
    }
    if (json_is_number(max) && number > json_number_value(max)) {
        (void)snprintf(expected, sizeof expected, "at most %.17g%s", json_number_value(max), unit);
        return refuse(origin, value, expected, err);
    }
    return 0;
}

static int convert_text(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err)
{
    if (!json_is_string(value))
        return refuse(origin, value, "text", err);
    const char *text = json_string_value(value);
    if (strlen(text) > (origin->label ? MAX_LABEL_BYTES : MAX_GIVEN_BYTES))
        return refuse(origin, value, "a shorter text", err);
    if (has_control(text, !origin->label))
        return refuse(origin, value, "text without control characters", err);
    int rc = check_bounds(origin, value, (double)count_characters(text), " characters", err);
    if (rc < 0)
        return rc;
    *ret = json_string(text);
    return 0;
}

/* A number as written by hand: digits, sign, point, exponent; no blanks, no hexadecimal, no infinity. */
static bool read_number(const json_t *value, double *ret)
{
    if (json_is_number(value)) {
        *ret = json_number_value(value);
        return isfinite(*ret);
    }
    const char *text = json_string_value(value);
    if (!text || !*text || strspn(text, "0123456789.-eE") != strlen(text))
        return false;
    char *end = NULL;
    *ret = strtod(text, &end);
    return end != text && !*end && isfinite(*ret);
}

static int convert_number(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err)
{
    double number;
    if (!read_number(value, &number))
        return refuse(origin, value, "a number", err);
    int rc = check_bounds(origin, value, number, "", err);
    if (rc == 0)
        *ret = json_real(number);
    return rc;
}

static int convert_integer(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err)
{
    double number;
    bool plain = !json_is_string(value) || !strpbrk(json_string_value(value), ".eE");
    if (!plain || !read_number(value, &number) || number != floor(number))
        return refuse(origin, value, "a whole number", err);
    if (fabs(number) > (double)STANCH_JSON_SAFE_INT)
        return refuse(origin, value, "a whole number of at most 15 digits", err);
    int rc = check_bounds(origin, value, number, "", err);
    if (rc == 0)
        *ret = json_integer((json_int_t)number);
    return rc;
}

static int convert_boolean(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    bool yes = json_is_true(value) || strcmp(text, "true") == 0;
    if (!yes && !json_is_false(value) && strcmp(text, "false") != 0)
        return refuse(origin, value, "true or false", err);
    *ret = json_boolean(yes);
    return 0;
}

static int convert_duration(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err)
{
    int64_t ms;
    if (!json_is_string(value) || stanch_duration_parse(json_string_value(value), &ms, NULL) < 0)
        return refuse(origin, value, "a duration like 250ms, 15s, 10m or 2h", err);
    int rc = check_bounds(origin, value, (double)ms, " ms", err);
    if (rc == 0)
        *ret = json_string(json_string_value(value));
    return rc;
}

static const struct {
    const char *type;
    int (*convert)(const struct origin *origin, const json_t *value, json_t **ret, struct stanch_err *err);
} types[] = {
    {"string", convert_text},     {"integer", convert_integer},   {"number", convert_number},
    {"boolean", convert_boolean}, {"duration", convert_duration},
};

static bool is_same(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b) ? json_number_value(a) == json_number_value(b) : json_equal(a, b);
}

static int check_choice(const struct origin *origin, const json_t *value, struct stanch_err *err)
{
    const json_t *choices = json_object_get(origin->spec, "one_of");
    if (!json_is_array(choices))
        return 0;
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (is_same(json_array_get(choices, i), value))
            return 0;
    STANCH_AUTO_FREE char *list = json_dumps(choices, JSON_COMPACT);
    char shown[300] = "one of ";
    stanch_rule__clip(list, shown + strlen(shown), sizeof shown - strlen(shown));
    return refuse(origin, value, shown, err);
}

static int check_pattern(const struct origin *origin, const json_t *value, struct stanch_err *err)
{
    const char *expression = stanch_json_str(origin->spec, "pattern", NULL);
    if (!expression || !json_is_string(value))
        return 0;
    struct stanch_pattern *pattern = NULL;
    if (stanch_pattern_new(expression, STANCH_PATTERN_WHOLE, &pattern, err) < 0) {
        (void)stanch_err_wrap(err, "parameter %.60s: its pattern is not a regular expression", origin->name);
        if (err)
            err->code = STANCH_E_REFUSED;
        return STANCH_E_REFUSED;
    }
    int matches = stanch_pattern_matches(pattern, json_string_value(value));
    stanch_pattern_free(pattern);
    char shown[100], expected[200];
    stanch_rule__clip(expression, shown, sizeof shown);
    (void)snprintf(expected, sizeof expected, "what matches %s%s", shown,
                   matches < 0 ? " (it took too long to tell)" : "");
    return matches == 1 ? 0 : refuse(origin, value, expected, err);
}

/* The value to take: the person's, the event's, the default; NULL when there is none. */
static json_t *find_value(struct origin *origin, const json_t *event, const json_t *given, const char **ret_label)
{
    json_t *value = json_object_get(given, origin->name);
    const char *label = stanch_json_str(origin->spec, "from_label", NULL);
    if ((!value || json_is_null(value)) && label) {
        value = json_object_get(json_object_get(event, "labels"), label);
        *ret_label = value ? label : NULL;
    }
    if (!value || json_is_null(value))
        value = json_object_get(origin->spec, "default");
    return json_is_null(value) ? NULL : value;
}

static int refuse_missing(const struct origin *origin, struct stanch_err *err)
{
    const char *label = stanch_json_str(origin->spec, "from_label", NULL);
    if (label)
        return stanch_err_set(err, STANCH_E_REFUSED,
                              "parameter %.60s: the event has no label %.60s, and there is no default", origin->name,
                              label);
    return stanch_err_set(err, STANCH_E_REFUSED, "parameter %.60s: it is required and was not given", origin->name);
}

static int resolve_one(struct origin *origin, const json_t *event, const json_t *given, json_t *into,
                       struct stanch_err *err)
{
    const json_t *value = find_value(origin, event, given, &origin->label);
    if (!value)
        return stanch_json_bool(origin->spec, "required", false) ? refuse_missing(origin, err) : 0;
    const char *type = stanch_json_str(origin->spec, "type", "string");
    STANCH_AUTO_JSON json_t *made = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].type, type) != 0)
            continue;
        int rc = types[i].convert(origin, value, &made, err);
        if (rc == 0)
            rc = check_choice(origin, made, err);
        if (rc == 0)
            rc = check_pattern(origin, made, err);
        if (rc < 0)
            return rc;
    }
    if (!made)
        return stanch_err_set(err, STANCH_E_REFUSED, "parameter %.60s: \"%.40s\" is not a type", origin->name, type);
    json_object_set_new(into, origin->name, STANCH_TAKE(made));
    return 0;
}

int stanch_params_check(const json_t *params, struct stanch_err *err)
{
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)(uintptr_t)params, name, spec)
    {
        struct origin origin = {.name = name, .spec = spec};
        const char *expression = stanch_json_str(spec, "pattern", NULL);
        struct stanch_pattern *pattern = NULL;
        STANCH_AUTO_JSON json_t *into = json_object();
        if (expression && stanch_pattern_new(expression, STANCH_PATTERN_WHOLE, &pattern, err) < 0)
            return stanch_err_wrap(err, "params.%.60s.pattern", name);
        stanch_pattern_free(pattern);
        if (json_object_get(spec, "default") && resolve_one(&origin, NULL, NULL, into, err) < 0) {
            if (err)
                err->code = STANCH_E_INVALID;
            return STANCH_E_INVALID;
        }
    }
    return 0;
}

static int refuse_unknown(const json_t *params, const json_t *given, struct stanch_err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        if (json_object_get(params, name))
            continue;
        char known[400] = "", shown[64];
        stanch_rule__clip(name, shown, sizeof shown);
        const char *other;
        json_t *spec;
        json_object_foreach((json_t *)(uintptr_t)params, other, spec)
        {
            size_t len = strlen(known);
            (void)snprintf(known + len, sizeof known - len, "%s%.60s", len ? ", " : "", other);
        }
        return stanch_err_set(err, STANCH_E_REFUSED, "parameter %s: there is none of this name; %s%s", shown,
                              *known ? "there are " : "the runbook has no parameters", known);
    }
    return 0;
}

int stanch_params_resolve(const json_t *params, const json_t *event, const json_t *given, json_t **ret,
                          struct stanch_err *err)
{
    int rc = refuse_unknown(params, given, err);
    STANCH_AUTO_JSON json_t *into = json_object();
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)(uintptr_t)params, name, spec)
    {
        struct origin origin = {.name = name, .spec = spec};
        if (rc == 0)
            rc = resolve_one(&origin, event, given, into, err);
    }
    if (rc == 0)
        *ret = STANCH_TAKE(into);
    return rc;
}
