/* match.c: the triggers of one runbook, compiled once per commit and asked for every event.
 * Age is looked at last, so that "too old" says that all else did match. */
#include "rule/match.h"
#include "rule/glob.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "base/times.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_MAX_AGE_MS (10 * 60 * 1000) /* PROMISES.md 1.2 */

enum op { OP_EQUAL, OP_NOT_EQUAL, OP_MATCHES, OP_NOT_MATCHING };

static const struct {
    const char *sign;
    const char *is_not; /* how a value that failed is told */
} ops[] = {
    [OP_EQUAL] = {"=", "not"},
    [OP_NOT_EQUAL] = {"!=", "which is excluded:"},
    [OP_MATCHES] = {"=~", "which does not match"},
    [OP_NOT_MATCHING] = {"!~", "which is excluded by"},
};

struct matcher {
    char *label;
    enum op op;
    char *value;
    struct stanch_pattern *pattern; /* of =~ and !~ */
};

struct trigger {
    char *kind;
    char *state;
    int64_t max_age_ms;
    struct matcher *matchers;
    size_t count;
};

struct stanch_triggers {
    struct trigger *items;
    size_t count;
};

static int read_op(const char *sign)
{
    for (size_t i = 0; sign && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].sign, sign) == 0)
            return (int)i;
    return -1;
}

static int compile_matcher(const json_t *data, struct matcher *ret, struct stanch_err *err)
{
    const char *label = stanch_json_str(data, "label", NULL);
    const char *value = stanch_json_str(data, "value", NULL);
    const char *sign = stanch_json_str(data, "op", NULL);
    if (!label || !*label || !value)
        return stanch_err_set(err, STANCH_E_INVALID, "a matcher needs a label and a value, both text");
    char name[64], shown[84];
    stanch_rule__clip(label, name, sizeof name);
    int op = read_op(sign);
    if (op < 0)
        return stanch_err_set(err, STANCH_E_INVALID, "label \"%s\": op is not one of =, !=, =~, !~", name);
    ret->op = (enum op)op;
    ret->label = stanch_strdup(label);
    ret->value = stanch_strdup(value);
    if (ret->op == OP_EQUAL || ret->op == OP_NOT_EQUAL)
        return 0;
    int rc = stanch_pattern_new(value, STANCH_PATTERN_WHOLE, &ret->pattern, err);
    if (rc == 0)
        return 0;
    stanch_rule__clip(value, shown, sizeof shown);
    return stanch_err_wrap(err, "label \"%s\": \"%s\" is not a regular expression", name, shown);
}

static int compile_trigger(const json_t *data, struct trigger *ret, struct stanch_err *err)
{
    if (!json_is_object(data))
        return stanch_err_set(err, STANCH_E_INVALID, "a trigger is an object");
    ret->kind = stanch_strdup(stanch_json_str(data, "kind", "alert"));
    ret->state = stanch_strdup(stanch_json_str(data, "state", "firing"));
    ret->max_age_ms = stanch_json_int(data, "max_age_ms", DEFAULT_MAX_AGE_MS);
    if (ret->max_age_ms <= 0)
        return stanch_err_set(err, STANCH_E_INVALID, "max_age_ms must be above 0");
    const json_t *matchers = json_object_get(data, "matchers");
    if (!json_is_array(matchers) || json_array_size(matchers) == 0)
        return stanch_err_set(err, STANCH_E_INVALID, "matchers: needs at least one, or it would match every event");
    size_t count = json_array_size(matchers);
    ret->matchers = stanch_alloc(count * sizeof *ret->matchers);
    for (; ret->count < count; ret->count++) {
        /* counted also when it fails half way, so that _free finds what it holds */
        int rc = compile_matcher(json_array_get(matchers, ret->count), &ret->matchers[ret->count], err);
        if (rc < 0) {
            ret->count++;
            return rc;
        }
    }
    return 0;
}

int stanch_triggers_new(const json_t *on, struct stanch_triggers **ret, struct stanch_err *err)
{
    if (on && !json_is_array(on))
        return stanch_err_set(err, STANCH_E_INVALID, "on: not a list of triggers");
    size_t count = json_array_size(on);
    struct stanch_triggers *triggers = STANCH_NEW(struct stanch_triggers);
    triggers->items = stanch_alloc((count + 1) * sizeof *triggers->items);
    triggers->count = count;
    for (size_t i = 0; i < count; i++) {
        int rc = compile_trigger(json_array_get(on, i), &triggers->items[i], err);
        if (rc < 0) {
            stanch_triggers_free(triggers);
            return stanch_err_wrap(err, "on[%zu]", i + 1);
        }
    }
    *ret = triggers;
    return 0;
}

void stanch_triggers_free(struct stanch_triggers *triggers)
{
    if (!triggers)
        return;
    for (size_t i = 0; i < triggers->count; i++) {
        struct trigger *trigger = &triggers->items[i];
        for (size_t m = 0; m < trigger->count; m++) {
            free(trigger->matchers[m].label);
            free(trigger->matchers[m].value);
            stanch_pattern_free(trigger->matchers[m].pattern);
        }
        free(trigger->matchers);
        free(trigger->kind);
        free(trigger->state);
    }
    free(triggers->items);
    free(triggers);
}

static const char *label_of(const json_t *event, const char *label)
{
    return stanch_json_str(json_object_get(event, "labels"), label, "");
}

/* 1 holds, 0 does not, below 0: no answer within the limits. */
static int matcher_holds(const struct matcher *matcher, const char *value)
{
    bool negated = matcher->op == OP_NOT_EQUAL || matcher->op == OP_NOT_MATCHING;
    int equal = matcher->pattern ? stanch_pattern_matches(matcher->pattern, value) : strcmp(matcher->value, value) == 0;
    return equal < 0 ? equal : equal != negated;
}

static void say_matcher(const struct matcher *matcher, const char *value, bool limit, char why[256])
{
    char label[48], seen[64], wanted[64];
    stanch_rule__clip(matcher->label, label, sizeof label);
    stanch_rule__clip(value, seen, sizeof seen);
    stanch_rule__clip(matcher->value, wanted, sizeof wanted);
    if (limit)
        (void)snprintf(why, 256, "label %s: the expression \"%s\" took too long on \"%s\"", label, wanted, seen);
    else if (!*value)
        (void)snprintf(why, 256, "label %s is missing, %s \"%s\"", label, ops[matcher->op].is_not, wanted);
    else
        (void)snprintf(why, 256, "label %s is \"%s\", %s \"%s\"", label, seen, ops[matcher->op].is_not, wanted);
}

static enum stanch_match matches_age(const struct trigger *trigger, const json_t *event, int64_t now_ms, char why[256])
{
    int64_t received_ms = stanch_json_int(event, "received_ms", now_ms);
    int64_t age_ms = now_ms - stanch_json_int(event, "starts_at_ms", received_ms);
    if (age_ms <= trigger->max_age_ms)
        return STANCH_MATCH;
    char age[32], limit[32];
    stanch_duration_text(age_ms / 1000 * 1000, age);
    stanch_duration_text(trigger->max_age_ms, limit);
    (void)snprintf(why, 256, "it began %s ago, max_age is %s", age, limit);
    return STANCH_MATCH_TOO_OLD;
}

static enum stanch_match matches_trigger(const struct trigger *trigger, const json_t *event, int64_t now_ms,
                                         char why[256])
{
    const char *kind = stanch_json_str(event, "kind", "");
    const char *state = stanch_json_str(event, "state", "");
    if (strcmp(kind, trigger->kind) != 0) {
        (void)snprintf(why, 256, "it is a %.40s, not a %.40s", kind, trigger->kind);
        return STANCH_MATCH_NOT;
    }
    if (strcmp(state, trigger->state) != 0) {
        (void)snprintf(why, 256, "it is %.40s, not %.40s", state, trigger->state);
        return STANCH_MATCH_NOT;
    }
    for (size_t i = 0; i < trigger->count; i++) {
        const struct matcher *matcher = &trigger->matchers[i];
        const char *value = label_of(event, matcher->label);
        int holds = matcher_holds(matcher, value);
        if (holds == 1)
            continue;
        say_matcher(matcher, value, holds < 0, why);
        return holds < 0 ? STANCH_MATCH_LIMIT : STANCH_MATCH_NOT;
    }
    return matches_age(trigger, event, now_ms, why);
}

/* Which of two reasons a person should hear: the nearer miss. */
static int weight(enum stanch_match match)
{
    return match == STANCH_MATCH_LIMIT ? 2 : match == STANCH_MATCH_TOO_OLD ? 1 : 0;
}

enum stanch_match stanch_triggers_match(const struct stanch_triggers *triggers, const json_t *event, int64_t now_ms,
                                        char why[256])
{
    enum stanch_match best = STANCH_MATCH_NOT;
    (void)snprintf(why, 256, "it has no trigger: only a person starts it");
    for (size_t i = 0; i < triggers->count; i++) {
        char reason[256] = "";
        enum stanch_match match = matches_trigger(&triggers->items[i], event, now_ms, reason);
        if (match == STANCH_MATCH) {
            why[0] = 0;
            return match;
        }
        if (i == 0 || weight(match) > weight(best)) {
            best = match;
            memcpy(why, reason, sizeof reason);
        }
    }
    return best;
}

int64_t stanch_triggers_fresh_until(const struct stanch_triggers *triggers, const json_t *event)
{
    int64_t received_ms = stanch_json_int(event, "received_ms", 0), until_ms = 0;
    int64_t starts_ms = stanch_json_int(event, "starts_at_ms", received_ms);
    for (size_t i = 0; i < triggers->count; i++) {
        char reason[256];
        const struct trigger *trigger = &triggers->items[i];
        if (matches_trigger(trigger, event, starts_ms, reason) == STANCH_MATCH &&
            starts_ms + trigger->max_age_ms > until_ms)
            until_ms = starts_ms + trigger->max_age_ms;
    }
    return until_ms;
}

/* ---- what can never match ---- */

/* A `^` or `$` in the middle of what are else plain letters: nothing can stand there. */
static bool is_torn(const char *expression)
{
    size_t len = strlen(expression);
    if (strpbrk(expression, "\\.[](){}*+?|"))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((expression[i] == '^' && i > 0) || (expression[i] == '$' && i + 1 < len))
            return true;
    return false;
}

static bool is_vain(const struct matcher *matcher, char why[256])
{
    char label[48], wanted[64];
    bool excludes_all = matcher->op == OP_NOT_MATCHING && strcmp(matcher->value, ".*") == 0;
    if (!excludes_all && !(matcher->op == OP_MATCHES && is_torn(matcher->value)))
        return false;
    stanch_rule__clip(matcher->label, label, sizeof label);
    stanch_rule__clip(matcher->value, wanted, sizeof wanted);
    (void)snprintf(why, 256,
                   excludes_all ? "label %s: \"%s\" excludes every value, so no event can match; leave it out"
                                : "label %s: \"%s\" matches nothing, for ^ or $ stands in its middle; expressions are "
                                  "anchored at both ends anyway",
                   label, wanted);
    return true;
}

/* One label that must have a value, and another condition of the same label that this value does not meet. */
static bool contradicts(const struct matcher *equal, const struct matcher *other, char why[256])
{
    char label[48], value[64], wanted[64];
    if (equal == other || equal->op != OP_EQUAL || strcmp(equal->label, other->label) != 0 ||
        matcher_holds(other, equal->value) != 0)
        return false;
    stanch_rule__clip(equal->label, label, sizeof label);
    stanch_rule__clip(equal->value, value, sizeof value);
    stanch_rule__clip(other->value, wanted, sizeof wanted);
    (void)snprintf(why, 256, "label %s must be \"%s\", %s \"%s\": no event can match; leave one of the two out", label,
                   value, ops[other->op].is_not, wanted);
    return true;
}

bool stanch_triggers_never(const struct stanch_triggers *triggers, size_t n, char why[256])
{
    const struct trigger *trigger = n < triggers->count ? &triggers->items[n] : NULL;
    for (size_t i = 0; trigger && i < trigger->count; i++) {
        if (is_vain(&trigger->matchers[i], why))
            return true;
        for (size_t k = 0; k < trigger->count; k++)
            if (contradicts(&trigger->matchers[i], &trigger->matchers[k], why))
                return true;
    }
    return false;
}
