/* policy.c: reading the operator's policy, and deciding about one mitigation.
 *
 *   the action's declared risk -> first rule that matches sets another -> the runbook raises it -> auto? -> ask whom
 *
 * Whatever is unknown (targets, reach, a word of risk) counts against running without asking. */
#include "rule/policy.h"
#include "rule/escalation.h"
#include "rule/glob.h"
#include "rule/tags.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

#define DEFAULT_ROLE       "ic"
#define DEFAULT_EXPIRES_MS (15LL * 60 * 1000)
#define MAX_EXPIRES_MS     (24LL * 3600 * 1000) /* PROMISES.md 1.4 */

enum risk { RISK_NONE, RISK_LOW, RISK_MEDIUM, RISK_HIGH, RISK_FORBIDDEN, RISK_COUNT };
static const char *const risk_words[RISK_COUNT] = {"none", "low", "medium", "high", "forbidden"};

struct approver {
    char role[32];
    int quorum;
    int64_t expires_ms;
    bool not_requester;
};

struct stanch_policy {
    json_t *data; /* our copy; the rules are read from it */
    bool built_in;
    enum risk auto_risk;
    bool allows_conflicts;
    struct approver approvers[RISK_COUNT];
    struct stanch_guards guards;
    char digest[65];
};

static int read_risk(const char *word)
{
    for (int i = 0; word && i < RISK_COUNT; i++)
        if (strcmp(word, risk_words[i]) == 0)
            return i;
    return -1;
}

/* Reading. */

static int read_approver(const char *risk, const json_t *data, struct approver *ret, struct stanch_err *err)
{
    const char *role = stanch_json_str(data, "role", DEFAULT_ROLE);
    int64_t quorum = stanch_json_int(data, "quorum", 1);
    int64_t expires_ms = stanch_json_int(data, "expires_ms", DEFAULT_EXPIRES_MS);
    if (!*role || strlen(role) >= sizeof ret->role)
        return stanch_err_set(err, STANCH_E_INVALID, "approve.%s.role: a role has 1 to 31 characters", risk);
    if (quorum < 1 || quorum > 10)
        return stanch_err_set(err, STANCH_E_INVALID, "approve.%s.quorum: expected 1 to 10", risk);
    if (expires_ms <= 0 || expires_ms > MAX_EXPIRES_MS)
        return stanch_err_set(err, STANCH_E_INVALID, "approve.%s.expires: expected more than 0, at most 24h", risk);
    (void)snprintf(ret->role, sizeof ret->role, "%s", role);
    ret->quorum = (int)quorum;
    ret->expires_ms = expires_ms;
    ret->not_requester = stanch_json_bool(data, "not_requester", false);
    return 0;
}

static int read_approvers(struct stanch_policy *policy, struct stanch_err *err)
{
    for (int i = 0; i < RISK_COUNT; i++) {
        const json_t *data = json_object_get(json_object_get(policy->data, "approve"), risk_words[i]);
        int rc = read_approver(risk_words[i], data, &policy->approvers[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_rules(const struct stanch_policy *policy, struct stanch_err *err)
{
    const json_t *rules = json_object_get(policy->data, "rules");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        if (read_risk(stanch_json_str(rule, "risk", NULL)) < RISK_LOW)
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "rules[%zu].risk: expected \"low\", \"medium\", \"high\" or \"forbidden\"", i + 1);
        const json_t *when = json_object_get(rule, "when"), *tag = json_object_get(when, "tag");
        if (!json_is_object(when))
            return stanch_err_set(err, STANCH_E_INVALID, "rules[%zu].when: missing", i + 1);
        if (tag && json_array_size(tag) == 0)
            return stanch_err_set(err, STANCH_E_INVALID, "rules[%zu].when.tag: expected a list of globs", i + 1);
    }
    return 0;
}

static int read_policy(struct stanch_policy *policy, struct stanch_err *err)
{
    int auto_risk = read_risk(stanch_json_str(policy->data, "auto", "none"));
    if (auto_risk < 0 || auto_risk == RISK_FORBIDDEN)
        return stanch_err_set(err, STANCH_E_INVALID, "auto: expected \"none\", \"low\", \"medium\" or \"high\"");
    policy->auto_risk = (enum risk)auto_risk;
    const char *conflicts = stanch_json_str(policy->data, "conflicts", "ask");
    policy->allows_conflicts = strcmp(conflicts, "allow") == 0;
    if (!policy->allows_conflicts && strcmp(conflicts, "ask") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "conflicts: expected \"ask\" or \"allow\"");
    int rc = read_approvers(policy, err);
    if (rc == 0)
        rc = check_rules(policy, err);
    if (rc == 0)
        rc = stanch_escalation_check(json_object_get(policy->data, "escalation"), err);
    if (rc == 0)
        rc = stanch_autonomy_verify(policy->data, err);
    if (rc == 0)
        rc = stanch_guards_read(policy->data, &policy->guards, err);
    if (rc == 0)
        rc = stanch_json_digest("stanch.policy", 1, policy->data, policy->digest, err);
    return rc;
}

int stanch_policy_new(const json_t *policy, struct stanch_policy **ret, struct stanch_err *err)
{
    if (policy && !json_is_object(policy))
        return stanch_err_set(err, STANCH_E_INVALID, "the policy is not an object");
    struct stanch_policy *made = STANCH_NEW(struct stanch_policy);
    made->built_in = policy == NULL;
    made->data = policy ? json_deep_copy(policy) : json_pack("{s:s, s:{}, s:[]}", "auto", "none", "approve", "rules");
    int rc = read_policy(made, err);
    if (rc < 0)
        stanch_policy_free(made);
    else
        *ret = made;
    return rc;
}

void stanch_policy_become(struct stanch_policy *policy, struct stanch_policy *other)
{
    struct stanch_policy before = *policy;
    *policy = *other;
    *other = before;
    stanch_policy_free(other);
}

void stanch_policy_free(struct stanch_policy *policy)
{
    if (!policy)
        return;
    json_decref(policy->data);
    free(policy);
}

const char *stanch_policy_digest(const struct stanch_policy *policy)
{
    return policy->digest;
}

const json_t *stanch_policy_said(const struct stanch_policy *policy, const char *member)
{
    return json_object_get(policy->data, member);
}

bool stanch_policy_asks_on_conflict(const struct stanch_policy *policy)
{
    return !policy->allows_conflicts;
}

void stanch_policy_autonomy(const struct stanch_policy *policy, const char *runbook, struct stanch_autonomy *ret)
{
    stanch_autonomy_of(policy->data, runbook, ret);
    if (policy->built_in)
        ret->changed_asks = false;
}

const struct stanch_guards *stanch_policy_guards(const struct stanch_policy *policy)
{
    return &policy->guards;
}

/* Deciding. */

static bool is_one_of(const json_t *words, const char *word)
{
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *each = json_string_value(json_array_get(words, i));
        if (each && word && strcmp(each, word) == 0)
            return true;
    }
    return false;
}

/* A rule under which it would run without asking must name every target; one that asks or forbids needs to name
 * one, and holds when the targets are unknown. */
static bool matches_targets(const char *glob, const json_t *targets, bool is_permission)
{
    size_t count = json_array_size(targets), named = 0;
    for (size_t i = 0; i < count; i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        named += target && stanch_glob_matches(glob, target);
    }
    return is_permission ? count > 0 && named == count : count == 0 || named > 0;
}

#define BECAUSE_SIZE 200

static void say_globs(const char *key, const char *glob, const char *value, char because[BECAUSE_SIZE])
{
    char wanted[60], is[60];
    stanch_rule__clip(glob, wanted, sizeof wanted);
    stanch_rule__clip(value, is, sizeof is);
    (void)snprintf(because, BECAUSE_SIZE, "%s is \"%s\", the rule is for \"%s\"", key, is, wanted);
}

static void say_severity(const json_t *wanted, const char *severity, char because[BECAUSE_SIZE])
{
    STANCH_AUTO_FREE char *list = json_dumps(wanted, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)snprintf(because, BECAUSE_SIZE, "severity is %.20s, the rule is for %.100s",
                   severity && *severity ? severity : "not said", list ? list : "others");
}

static void say_targets(const char *glob, const json_t *targets, bool is_permission, char because[BECAUSE_SIZE])
{
    char wanted[60];
    stanch_rule__clip(glob, wanted, sizeof wanted);
    (void)snprintf(because, BECAUSE_SIZE, "%s \"%s\"%s",
                   json_array_size(targets) == 0 ? "no target is said, and the rule is for"
                   : is_permission               ? "not every target is one of"
                                                 : "no target is one of",
                   wanted, is_permission ? "; a rule that permits must name every target" : "");
}

static void say_reach(double reach, double max_reach, char because[BECAUSE_SIZE])
{
    if (reach < 0)
        (void)snprintf(because, BECAUSE_SIZE, "the reach is not known, the rule is for %.2g at most", max_reach);
    else
        (void)snprintf(because, BECAUSE_SIZE, "the reach is %.2g, the rule is for %.2g at most", reach, max_reach);
}

/* A calendar that nobody could read may have a freeze in it: a rule that asks or forbids holds then, one that permits does
 * not. */
static bool matches_during(const char *calendar, const json_t *during, bool is_permission, char because[BECAUSE_SIZE])
{
    const json_t *on = json_object_get(during, calendar);
    if (json_is_array(on) ? json_array_size(on) > 0 : !is_permission)
        return true;
    (void)snprintf(because, BECAUSE_SIZE,
                   json_is_array(on) ? "nothing is under way in the calendar \"%.64s\""
                                     : "what is under way in the calendar \"%.64s\" is not known",
                   calendar);
    return false;
}

static void say_tags(const json_t *wanted, const json_t *tags, char because[BECAUSE_SIZE])
{
    char globs[80];
    STANCH_AUTO_FREE char *list = json_dumps(wanted, JSON_COMPACT);
    stanch_rule__clip(list ? list : "", globs, sizeof globs);
    (void)snprintf(because, BECAUSE_SIZE,
                   !stanch_rule__knows_tags(tags)
                       ? "its tags are not known: a rule for %s holds only where it raises the risk"
                   : json_array_size(tags) == 0 ? "it has no tags, the rule is for %s"
                                                : "none of its tags is one of %s",
                   globs);
}

/* A rule that names tags neither holds nor fails while nobody knows the tags. */
enum held { HELD_NOT, HELD_UNKNOWN, HELD };

static enum held hold_tags(const json_t *wanted, const json_t *tags, char because[BECAUSE_SIZE])
{
    if (!wanted)
        return HELD;
    bool known = stanch_rule__knows_tags(tags);
    STANCH_AUTO_JSON json_t *named = known ? stanch_rule__named_tags(wanted, tags) : NULL;
    if (json_array_size(named) > 0)
        return HELD;
    say_tags(wanted, tags, because);
    return known ? HELD_NOT : HELD_UNKNOWN;
}

/* What is known before anything is planned: which action of which instance, for which runbook. */
static bool matches_names(const json_t *when, const struct stanch_policy_question *question, char because[BECAUSE_SIZE])
{
    const struct {
        const char *key, *value;
    } globs[] = {
        {"plugin", question->plugin},           {"instance", question->instance}, {"action", question->action},
        {"environment", question->environment}, {"runbook", question->runbook},   {"effect", question->effect},
    };
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        const char *glob = stanch_json_str(when, globs[i].key, NULL);
        const char *value = globs[i].value ? globs[i].value : "";
        if (glob && !stanch_glob_matches(glob, value)) {
            say_globs(globs[i].key, glob, value, because);
            return false;
        }
    }
    return true;
}

/* because: the first condition that does not hold, or is not known; untouched when all do. */
static enum held hold_rule(const json_t *rule, const struct stanch_policy_question *question, enum risk auto_risk,
                           char because[BECAUSE_SIZE])
{
    const json_t *when = json_object_get(rule, "when");
    if (!matches_names(when, question, because))
        return HELD_NOT;
    const json_t *severity = json_object_get(when, "severity");
    if (severity && !is_one_of(severity, question->severity)) {
        say_severity(severity, question->severity, because);
        return HELD_NOT;
    }
    const char *target = stanch_json_str(when, "target", NULL);
    bool is_permission = read_risk(stanch_json_str(rule, "risk", NULL)) <= (int)auto_risk;
    if (target && !matches_targets(target, question->targets, is_permission)) {
        say_targets(target, question->targets, is_permission, because);
        return HELD_NOT;
    }
    const char *during = stanch_json_str(when, "during", NULL);
    if (during && !matches_during(during, question->during, is_permission, because))
        return HELD_NOT;
    double max_reach = stanch_json_real(when, "max_reach", 2);
    if (max_reach > 1 || (question->reach >= 0 && question->reach <= max_reach))
        return hold_tags(json_object_get(when, "tag"), question->tags, because);
    say_reach(question->reach, max_reach, because);
    return HELD_NOT;
}

static int risk_of(const json_t *rule)
{
    return read_risk(stanch_json_str(rule, "risk", NULL));
}

static int declared_risk(const struct stanch_policy_question *question)
{
    int declared = read_risk(question->declared_risk);
    return declared < RISK_LOW ? RISK_HIGH : declared;
}

/* The first that holds. One before it that would by tags nobody knows may be the one: the worst of all that may be counts. */
static const json_t *find_rule(const struct stanch_policy *policy, const struct stanch_policy_question *question)
{
    const json_t *rules = json_object_get(policy->data, "rules"), *found = NULL, *maybe = NULL;
    char because[BECAUSE_SIZE];
    for (size_t i = 0; i < json_array_size(rules) && !found; i++) {
        const json_t *rule = json_array_get(rules, i);
        enum held held = hold_rule(rule, question, policy->auto_risk, because);
        if (held == HELD)
            found = rule;
        else if (held == HELD_UNKNOWN && (!maybe || risk_of(rule) > risk_of(maybe)))
            maybe = rule;
    }
    return maybe && risk_of(maybe) > (found ? risk_of(found) : declared_risk(question)) ? maybe : found;
}

bool stanch_policy_never_allows(const struct stanch_policy *policy, const struct stanch_policy_question *question,
                                char why[256])
{
    static const char *const later[] = {"severity", "target", "during", "max_reach",
                                        "tag"}; /* known when it is planned */
    const json_t *rules = json_object_get(policy->data, "rules");
    char because[BECAUSE_SIZE], name[80];
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i), *when = json_object_get(rule, "when");
        bool is_certain = true, forbids = read_risk(stanch_json_str(rule, "risk", NULL)) == RISK_FORBIDDEN;
        if (!matches_names(when, question, because))
            continue;
        for (size_t k = 0; k < sizeof later / sizeof *later; k++)
            is_certain = is_certain && !json_object_get(when, later[k]);
        if (!forbids)
            return false; /* it may be the one that decides */
        if (!is_certain)
            continue; /* it forbids, or the next one decides */
        stanch_rule__clip(stanch_json_str(rule, "name", ""), name, sizeof name);
        (void)snprintf(why, 256, "the policy's rule \"%s\" (line %lld) forbids it, always", name,
                       (long long)stanch_json_int(rule, "line", 0));
        return true;
    }
    return false;
}

json_t *stanch_policy_explain(const struct stanch_policy *policy, const struct stanch_policy_question *question)
{
    json_t *told = json_array();
    const json_t *rules = json_object_get(policy->data, "rules"), *decider = find_rule(policy, question);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        char because[BECAUSE_SIZE] = "";
        enum held held = hold_rule(rule, question, policy->auto_risk, because);
        json_t *one = json_pack("{s:s, s:I, s:s, s:s}", "name", stanch_json_str(rule, "name", ""), "line",
                                (json_int_t)stanch_json_int(rule, "line", 0), "risk", stanch_json_str(rule, "risk", ""),
                                "verdict",
                                rule == decider ? "decides"
                                : held == HELD  ? "matches"
                                                : "no");
        if (held != HELD)
            stanch_json_set_str(one, "because", because);
        json_array_append_new(told, one);
    }
    return told;
}

/* {"name","line","risk"} for the card, and a digest of what the rule says wherever it stands, for the approval; and the tags
 * that it goes by. */
static json_t *describe_rule(const json_t *rule, const json_t *tags)
{
    STANCH_AUTO_JSON json_t *said = json_copy((json_t *)(uintptr_t)rule);
    (void)json_object_del(said, "line");
    char digest[65] = "";
    (void)stanch_json_digest("stanch.policy.rule", 1, said, digest, NULL);
    json_t *described = json_pack("{s:s, s:I, s:s, s:s}", "name", stanch_json_str(rule, "name", ""), "line",
                                  (json_int_t)stanch_json_int(rule, "line", 0), "risk",
                                  stanch_json_str(rule, "risk", ""), "digest", digest);
    const json_t *wanted = json_object_get(json_object_get(rule, "when"), "tag");
    if (wanted && stanch_rule__knows_tags(tags))
        json_object_set_new(described, "tags", stanch_rule__named_tags(wanted, tags));
    return described;
}

static void say_why(const struct stanch_policy *policy, const struct stanch_policy_question *question,
                    const json_t *rule, bool raised, struct stanch_policy_decision *ret)
{
    char by[160], what[64], end[80];
    if (policy->built_in) {
        (void)snprintf(ret->why, sizeof ret->why,
                       "there is no policy file, so every mitigation asks (risk %s): it needs the %s", ret->risk,
                       ret->role);
        return;
    }
    if (rule) {
        stanch_rule__clip(stanch_json_str(rule, "name", ""), what, sizeof what);
        (void)snprintf(by, sizeof by, "by the policy's rule \"%s\" (line %lld)", what,
                       (long long)stanch_json_int(rule, "line", 0));
    } else {
        stanch_rule__clip(question->action ? question->action : "", what, sizeof what);
        (void)snprintf(by, sizeof by, "as %s declares it; no rule matches", what);
    }
    if (ret->forbidden)
        (void)snprintf(end, sizeof end, "it is not run");
    else if (ret->ask)
        (void)snprintf(end, sizeof end, "above auto (%s), it needs the %s", risk_words[policy->auto_risk], ret->role);
    else
        (void)snprintf(end, sizeof end, "within auto (%s), it runs without asking", risk_words[policy->auto_risk]);
    (void)snprintf(ret->why, sizeof ret->why, "risk %s %s%s: %s", ret->risk, by,
                   raised ? ", raised by the runbook" : "", end);
}

void stanch_policy_decide(const struct stanch_policy *policy, const struct stanch_policy_question *question,
                          struct stanch_policy_decision *ret)
{
    const json_t *rule = find_rule(policy, question);
    int risk = rule ? risk_of(rule) : declared_risk(question);
    int raised = read_risk(question->raised_risk);
    if (question->raised_risk && raised < 0)
        raised = RISK_HIGH; /* a runbook that says an unknown word meant to raise it */
    bool is_raised = raised > risk;
    if (is_raised)
        risk = raised;

    const struct approver *approver = &policy->approvers[risk];
    *ret = (struct stanch_policy_decision){.forbidden = risk == RISK_FORBIDDEN,
                                           .ask = risk != RISK_FORBIDDEN && risk > (int)policy->auto_risk,
                                           .risk = risk_words[risk],
                                           .quorum = approver->quorum,
                                           .expires_ms = approver->expires_ms,
                                           .not_requester = approver->not_requester,
                                           .rules = json_array()};
    memcpy(ret->role, approver->role, sizeof ret->role);
    if (rule)
        json_array_append_new(ret->rules, describe_rule(rule, question->tags));
    say_why(policy, question, rule, is_raised, ret);
}

json_t *stanch_policy_calendars(const struct stanch_policy *policy)
{
    json_t *names = json_array();
    const json_t *rules = json_object_get(policy->data, "rules");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const char *name = stanch_json_str(json_object_get(json_array_get(rules, i), "when"), "during", NULL);
        if (name && !is_one_of(names, name))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

void stanch_policy_decision_done(struct stanch_policy_decision *decision)
{
    if (!decision)
        return;
    json_decref(decision->rules);
    decision->rules = NULL;
}
