/* authority.c: who may answer. What a person may at all is in the people file; which role he or she holds is in the
 * incident, as it is at this instant: neither is copied into the question. */
#include "run/authority.h"
#include "base/json.h"
#include "people/people.h"
#include "run/engine.h"
#include <string.h>

static const struct stanch_people *people_of(const struct stanch_engine *engine)
{
    return engine->config.people;
}

static bool may_approve(const struct stanch_people *people, const char *by)
{
    return strncmp(by, "person:", 7) == 0 && stanch_people_may(people, by) >= STANCH_MAY_APPROVE;
}

static bool is_among(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}

/* The role that it is about, whoever is asked meanwhile. */
static const char *role_of(const json_t *question)
{
    return stanch_json_str(question, "of_role", stanch_json_str(question, "role", STANCH_ROLE_IC));
}

static bool is_of_incident(const json_t *question)
{
    return strcmp(stanch_json_str(question, "incident", STANCH_CHAIN_NONE), STANCH_CHAIN_NONE) != 0;
}

/* It is asked of the pool, and it may be asked of another role than at first. */
static bool is_for_pool(const json_t *question)
{
    return strcmp(stanch_json_str(question, "role", ""), STANCH_ROLE_POOL) == 0 || !stanch_role_is(role_of(question));
}

static json_t *incident_of(struct stanch_engine *engine, const json_t *question)
{
    return stanch_journal_see(engine->journal, "incident", stanch_json_str(question, "incident", ""));
}

/* Does this person hold the role that the question is for: the first one, or the one that is asked now? */
static bool holds(const json_t *incident, const json_t *question, const char *by)
{
    const char *asked = stanch_json_str(question, "role", "");
    return strcmp(stanch_role_holder(incident, role_of(question)), by) == 0 ||
           strcmp(stanch_role_holder(incident, asked), by) == 0;
}

/* ---- break-glass ---- */

static bool may_break_glass(const struct stanch_engine *engine, const char *by)
{
    const json_t *said = json_object_get(stanch_policy_said(engine->policy, "break_glass"), "people");
    if (json_is_string(said))
        return stanch_role_is_in_pool(people_of(engine), by);
    return is_among(said, by + strlen("person:"));
}

static int check_forced(const struct stanch_engine *engine, const struct stanch_answer *answer, struct stanch_err *err)
{
    if (!people_of(engine))
        return stanch_err_set(err, STANCH_E_INVALID, "there is no people file: whoever may open the socket may answer");
    if (strcmp(answer->decision, "approve") != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "break-glass is for approving; take the role for any other answer");
    if (!answer->note || !*answer->note)
        return stanch_err_set(err, STANCH_E_INVALID, "break-glass needs a reason: it is kept, and reviewed");
    if (!may_break_glass(engine, answer->by))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s is not in the policy's break_glass", answer->by);
    return 0;
}

/* ---- who started it does not approve it ---- */

/* Could anybody else approve it? */
static bool has_another(const struct stanch_people *people, const char *by)
{
    STANCH_AUTO_JSON json_t *list = stanch_people_list(people);
    const json_t *all = json_object_get(list, "people");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name = stanch_json_str(json_array_get(all, i), "name", "");
        if (strcmp(name, by + strlen("person:")) != 0 && stanch_people_may(people, name) >= STANCH_MAY_APPROVE)
            return true;
    }
    return false;
}

static int check_requester(struct stanch_engine *engine, const json_t *question, const struct stanch_answer *answer,
                           struct stanch_authority *ret, struct stanch_err *err)
{
    if (!stanch_json_bool(question, "not_requester", false) || strcmp(answer->decision, "approve") != 0)
        return 0;
    STANCH_AUTO_JSON json_t *run = stanch_journal_see(engine->journal, "run", stanch_json_str(question, "run", ""));
    if (strcmp(stanch_json_str(run, "requester", ""), answer->by) != 0)
        return 0;
    if (has_another(people_of(engine), answer->by))
        return stanch_err_set(err, STANCH_E_FORBIDDEN,
                              "%s started %s: by the policy somebody else approves what it would change", answer->by,
                              stanch_json_str(question, "run", "the run"));
    (void)snprintf(ret->exception, sizeof ret->exception, "who also started %s: nobody else may approve",
                   stanch_json_str(question, "run", "the run"));
    return 0;
}

/* ---- the role ---- */

static void take_role(const json_t *incident, const json_t *question, const char *by, struct stanch_authority *ret)
{
    struct stanch_role_change *change = &ret->change;
    ret->takes_role = true;
    (void)snprintf(change->incident, sizeof change->incident, "%s", stanch_json_str(question, "incident", ""));
    (void)snprintf(change->role, sizeof change->role, "%s", role_of(question));
    (void)snprintf(change->holder, sizeof change->holder, "%s", by);
    (void)snprintf(change->former, sizeof change->former, "%s", stanch_role_holder(incident, change->role));
    (void)snprintf(change->why, sizeof change->why, "answered %s, which the pool was asked",
                   stanch_json_str(question, "id", ""));
}

/* Has one who holds the role agreed already? Then another one of the pool helps, and takes nothing. */
static bool has_holder(const json_t *incident, const json_t *question, const json_t *granted)
{
    for (size_t i = 0; i < json_array_size(granted); i++)
        if (holds(incident, question, json_string_value(json_array_get(granted, i))))
            return true;
    return false;
}

static int refuse(const json_t *incident, const json_t *question, const char *by, struct stanch_err *err)
{
    const char *id = stanch_json_str(question, "id", ""), *role = role_of(question);
    const char *in = stanch_json_str(question, "incident", ""), *holder = stanch_role_holder(incident, role);
    if (is_for_pool(question))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s is asked of the pool, and %s is not in it", id, by);
    if (!*holder)
        return stanch_err_set(
            err, STANCH_E_FORBIDDEN,
            "%s is for the %s of %s, which nobody is: take it first (`stanch incident take %s --role %s`)", id, role,
            in, in, role);
    return stanch_err_set(
        err, STANCH_E_FORBIDDEN,
        "%s is for the %s of %s, who is %s: be handed the role, or take it first (`stanch incident take %s "
        "--role %s --reason ...`)",
        id, role, in, holder, in, role);
}

static int check_role(struct stanch_engine *engine, const json_t *question, const struct stanch_answer *answer,
                      struct stanch_authority *ret, struct stanch_err *err)
{
    if (!is_of_incident(question))
        return 0;
    STANCH_AUTO_JSON json_t *incident = incident_of(engine, question);
    if (holds(incident, question, answer->by))
        return 0;
    const json_t *granted = json_object_get(question, "granted_by");
    bool approves = strcmp(answer->decision, "approve") == 0;
    if (is_for_pool(question) && stanch_role_is_in_pool(people_of(engine), answer->by)) {
        bool helps = approves && has_holder(incident, question, granted);
        if (stanch_role_is(role_of(question)) && !helps)
            take_role(incident, question, answer->by, ret);
        return 0;
    }
    if (approves && stanch_json_int(question, "quorum", 1) > 1)
        return 0; /* one of several; who holds the role is still needed */
    return refuse(incident, question, answer->by, err);
}

int stanch_authority_check(struct stanch_engine *engine, const json_t *question, const struct stanch_answer *answer,
                           struct stanch_authority *ret, struct stanch_err *err)
{
    const struct stanch_people *people = people_of(engine);
    *ret = (struct stanch_authority){0};
    if (people && !may_approve(people, answer->by))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s answers no question: that is for people who may approve",
                              answer->by);
    if (answer->break_glass)
        return check_forced(engine, answer, err);
    if (!people)
        return 0;
    int rc = check_requester(engine, question, answer, ret, err);
    return rc < 0 ? rc : check_role(engine, question, answer, ret, err);
}

json_t *stanch_authority_drop(const struct stanch_engine *engine, json_t *granted)
{
    json_t *dropped = NULL;
    for (size_t i = json_array_size(granted); people_of(engine) && i-- > 0;) {
        json_t *name = json_array_get(granted, i);
        if (may_approve(people_of(engine), json_string_value(name)))
            continue;
        if (!dropped)
            dropped = json_array();
        json_array_append(dropped, name);
        json_array_remove(granted, i);
    }
    return dropped;
}

bool stanch_authority_is_whole(struct stanch_engine *engine, const json_t *question, const json_t *granted,
                               const char *taker)
{
    if (!people_of(engine) || *taker || !is_of_incident(question) || !stanch_role_is(role_of(question)))
        return true;
    STANCH_AUTO_JSON json_t *incident = incident_of(engine, question);
    return has_holder(incident, question, granted);
}

const char *stanch_authority_why_void(struct stanch_engine *engine, const json_t *approval)
{
    const json_t *granted = json_object_get(approval, "granted_by");
    if (!people_of(engine))
        return NULL;
    for (size_t i = 0; i < json_array_size(granted); i++)
        if (!may_approve(people_of(engine), json_string_value(json_array_get(granted, i))))
            return "who approved it may no longer approve";
    if (stanch_json_bool(approval, "forced", false) || stanch_authority_is_whole(engine, approval, granted, ""))
        return NULL;
    return "who holds the role is somebody else than when it was approved";
}

const char *stanch_authority_asked(struct stanch_engine *engine, const char *chain, const char *role)
{
    if (!people_of(engine) || strcmp(chain, STANCH_CHAIN_NONE) == 0)
        return role;
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(engine->journal, "incident", chain);
    return stanch_role_is(role) && *stanch_role_holder(incident, role) ? role : STANCH_ROLE_POOL;
}

/* ---- a role gets another holder ---- */

/* Who held the role when it agreed counts no more: the new holder has not been asked. */
static json_t *without(const json_t *granted, const char *former)
{
    json_t *left = json_array();
    for (size_t i = 0; i < json_array_size(granted); i++)
        if (strcmp(json_string_value(json_array_get(granted, i)), former) != 0)
            json_array_append(left, json_array_get(granted, i));
    return left;
}

static void move(const json_t *doc, const struct stanch_role_change *change, struct stanch_batch *batch)
{
    const json_t *granted = json_object_get(doc, "granted_by");
    json_t *data = json_pack("{s:s, s:s, s:s}", "approval", stanch_json_str(doc, "id", ""), "moved_role", change->role,
                             "moved_to", change->holder);
    if (change->former[0] && is_among(granted, change->former)) {
        json_object_set_new(data, "granted_by", without(granted, change->former));
        json_object_set_new(data, "dropped", json_string(change->former));
    }
    stanch_batch_add(batch, change->incident, "approval.moved", STANCH_BY_STANCH, stanch_json_str(doc, "run", NULL),
                     data);
}

struct moving {
    struct stanch_engine *engine;
    const struct stanch_role_change *change;
    const char *except;
    struct stanch_batch *batch;
};

/* One of the list, unless it was answered since the list was committed. */
static int move_one(void *ctx, const json_t *listed, struct stanch_err *err)
{
    const struct moving *m = ctx;
    const char *id = stanch_json_str(listed, "id", "");
    (void)err;
    if (strcmp(id, m->except) == 0)
        return 0;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(m->engine->journal, "approval", id);
    const char *asked = stanch_json_str(doc, "role", "");
    if (strcmp(stanch_json_str(doc, "state", ""), "pending") == 0 &&
        (strcmp(role_of(doc), m->change->role) == 0 || strcmp(asked, m->change->role) == 0))
        move(doc, m->change, m->batch);
    return 0;
}

int stanch_authority_move(struct stanch_engine *engine, const struct stanch_role_change *change, const char *except,
                          struct stanch_batch *batch, struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "approval", .chain = change->incident, .open = 1};
    struct moving moving = {.engine = engine, .change = change, .except = except, .batch = batch};
    return people_of(engine) ? stanch_journal_each(engine->journal, &query, move_one, &moving, err) : 0;
}

int stanch_engine_role_changed(struct stanch_engine *engine, const struct stanch_role_change *change,
                               struct stanch_batch *batch, struct stanch_err *err)
{
    return stanch_authority_move(engine, change, "", batch, err);
}
