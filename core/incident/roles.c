/* roles.c: who holds a role, and who may change that. A role is changed by an entry of its own, one for each role, so that
 * two changes at once are two entries and neither takes the other back. */
#include "incident/roles.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "people/people.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define NAMED_MAX 12 /* people that an error lists */

static const char *const roles[] = {STANCH_ROLE_IC, "lead", "comms", "scribe"};
#define ROLES (sizeof roles / sizeof *roles)

bool stanch_role_is(const char *word)
{
    for (size_t i = 0; i < ROLES; i++)
        if (strcmp(roles[i], word) == 0)
            return true;
    return false;
}

const char *stanch_role_holder(const json_t *incident, const char *role)
{
    return stanch_json_str(json_object_get(incident, "roles"), role, "");
}

bool stanch_role_is_in_pool(const struct stanch_people *people, const char *by)
{
    const json_t *pool = stanch_people_pool(people);
    for (size_t i = 0; i < json_array_size(pool); i++)
        if (strcmp(json_string_value(json_array_get(pool, i)), by) == 0)
            return true;
    return json_array_size(pool) == 0 && stanch_people_may(people, by) >= STANCH_MAY_APPROVE;
}

/* What it takes to hold the role: its questions are for the IC to answer. */
static enum stanch_may needed_for(const char *role)
{
    return strcmp(role, STANCH_ROLE_IC) == 0 ? STANCH_MAY_APPROVE : STANCH_MAY_RESPOND;
}

static bool is_person(const char *who)
{
    return strncmp(who, "person:", 7) == 0;
}

/* ---- checks ---- */

static int say_unknown(const struct stanch_people *people, const char *name, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *list = stanch_people_list(people);
    const json_t *all = json_object_get(list, "people");
    STANCH_AUTO_BUF struct stanch_buf names = {0};
    for (size_t i = 0; i < json_array_size(all) && i < NAMED_MAX; i++)
        stanch_buf_printf(&names, "%s%s", i ? ", " : "", stanch_json_str(json_array_get(all, i), "name", ""));
    return stanch_err_set(err, STANCH_E_INVALID, "person: there is no \"%.60s\" in the people file; there is %s%s",
                          name, stanch_buf_str(&names), json_array_size(all) > NAMED_MAX ? ", ..." : "");
}

/* "ada" is person:ada where there is a people file; without one it is taken as it stands. */
static int read_person(const struct stanch_people *people, const char *by, const json_t *input, const char *role,
                       char ret[160], struct stanch_err *err)
{
    const char *said = stanch_json_str(input, "person", by);
    if (strlen(said) == 0 || strlen(said) > 140)
        return stanch_err_set(err, STANCH_E_INVALID, "person: say who, as in \"ada\"; a role is handed to somebody");
    (void)snprintf(ret, 160, "%s%s", people && !strchr(said, ':') ? "person:" : "", said);
    if (!people)
        return 0;
    if (!is_person(ret))
        return stanch_err_set(err, STANCH_E_INVALID, "person: a role is held by a person, and %.100s is none", ret);
    enum stanch_may may = stanch_people_may(people, ret);
    if (may == STANCH_MAY_NOTHING)
        return say_unknown(people, said, err);
    if (may < needed_for(role))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s may %s; the %s is somebody who may %s", ret,
                              stanch_may_word(may), role, stanch_may_word(needed_for(role)));
    return 0;
}

/* May `by` change who holds this role? */
static int check_changer(const struct stanch_people *people, const char *by, const json_t *incident,
                         const struct stanch_role_change *change, struct stanch_err *err)
{
    if (!is_person(by))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s is no person: people change who holds a role", by);
    if (stanch_people_may(people, by) < needed_for(change->role))
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "%s may %s, and who changes the %s may %s", by,
                              stanch_may_word(stanch_people_may(people, by)), change->role,
                              stanch_may_word(needed_for(change->role)));
    bool is_ic = strcmp(stanch_role_holder(incident, STANCH_ROLE_IC), by) == 0;
    if (!change->former[0] || strcmp(change->former, by) == 0 || (is_ic && strcmp(change->role, STANCH_ROLE_IC) != 0))
        return 0;
    if (!stanch_role_is_in_pool(people, by))
        return stanch_err_set(
            err, STANCH_E_FORBIDDEN,
            "the %s of %s is %s, who can hand it over; only one of the pool can take it from a holder", change->role,
            change->incident, change->former);
    if (!change->why[0])
        return stanch_err_set(err, STANCH_E_INVALID, "the %s of %s is %s: say why it is taken from a holder (--reason)",
                              change->role, change->incident, change->former);
    return 0;
}

int stanch_role_check(struct stanch_journal *journal, const struct stanch_people *people, const char *by,
                      const json_t *input, struct stanch_role_change *ret, struct stanch_err *err)
{
    const char *id = stanch_json_str(input, "incident", ""), *role = stanch_json_str(input, "role", "");
    const char *reason = stanch_json_str(input, "reason", "");
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(journal, "incident", id);
    *ret = (struct stanch_role_change){0};
    if (!incident)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no incident \"%.60s\"", id);
    if (!stanch_role_is(role))
        return stanch_err_set(err, STANCH_E_INVALID, "role: \"%.40s\" is none; they are ic, lead, comms, scribe", role);
    if (strlen(reason) >= sizeof ret->why)
        return stanch_err_set(err, STANCH_E_INVALID, "reason: at most %zu bytes", sizeof ret->why - 1);
    (void)snprintf(ret->incident, sizeof ret->incident, "%s", id);
    (void)snprintf(ret->role, sizeof ret->role, "%s", role);
    (void)snprintf(ret->former, sizeof ret->former, "%s", stanch_role_holder(incident, role));
    (void)snprintf(ret->why, sizeof ret->why, "%s", reason);
    int rc = read_person(people, by, input, role, ret->holder, err);
    if (rc == 0 && people)
        rc = check_changer(people, by, incident, ret, err);
    if (rc == 0 && strcmp(ret->holder, ret->former) == 0)
        rc = stanch_err_set(err, STANCH_E_CONFLICT, "%s is the %s of %s already", ret->holder, role, id);
    return rc;
}

/* ---- entries ---- */

void stanch_role_put(const struct stanch_role_change *change, const char *by, struct stanch_batch *batch)
{
    json_t *data =
        json_pack("{s:s, s:s, s:s}", "incident", change->incident, "role", change->role, "holder", change->holder);
    stanch_json_set_str(data, "former", change->former[0] ? change->former : NULL);
    stanch_json_set_str(data, "why", change->why[0] ? change->why : NULL);
    stanch_batch_add(batch, change->incident, "incident.assigned", by, NULL, data);
}

void stanch_role_put_on_call(const struct stanch_people *people, const struct stanch_roster *roster,
                             const char *incident, const char *by, int64_t now_ms, struct stanch_batch *batch)
{
    for (size_t i = 0; people && i < ROLES; i++) {
        struct stanch_role_change change = {0};
        bool is_ic = strcmp(roles[i], STANCH_ROLE_IC) == 0;
        (void)snprintf(change.incident, sizeof change.incident, "%s", incident);
        (void)snprintf(change.role, sizeof change.role, "%s", roles[i]);
        (void)snprintf(change.why, sizeof change.why, "on call");
        if (roster)
            roster->on_call(roster->ctx, roles[i], now_ms, change.holder);
        else
            stanch_people_on_call(people, roles[i], now_ms, change.holder);
        if (change.holder[0] && stanch_people_may(people, change.holder) < needed_for(roles[i])) {
            stanch_log(STANCH_LOG_WARN, "incident", "%s is on call as %s and may not %s: it is left empty",
                       change.holder, roles[i], stanch_may_word(needed_for(roles[i])));
            change.holder[0] = 0;
        }
        if (!change.holder[0] && is_ic && is_person(by) && stanch_people_may(people, by) >= STANCH_MAY_APPROVE) {
            (void)snprintf(change.holder, sizeof change.holder, "%s", by);
            (void)snprintf(change.why, sizeof change.why, "nobody is on call, and %s declared it", by);
        }
        if (change.holder[0])
            stanch_role_put(&change, STANCH_BY_STANCH, batch);
    }
}
