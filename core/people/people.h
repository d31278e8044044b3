/* people.h: who there is, and what each may do: people, service tokens, and who is on call for a role. Pure: a value made
 * from the people file (script/DECLARATIONS.md), asked by the doors and by flow; nothing here looks at a clock.
 *
 *   who came in (a uid, a token) -> [principal] -> may it? -> flow -> holds it the role, in that incident, now? (incident/)
 *
 * As data:
 *   {"people":[{"name":"ada","title"?,"uid"?:1000,"email"?,"may":"approve"}],
 *    "tokens":[{"name":"grafana","person"?:"ada","hash":64 hex,"expires_ms":n,"may":"read"},
 *              {"name":"am","source":"alertmanager-eu","hash","expires_ms"}],
 *    "roles":{"ic":{"people"?:["ada"],"rotate_ms"?,"from_ms"?,"calendar"?:instance}},
 *    "pool":["ada"]}
 * Thread: any, once made.
 */
#ifndef STANCH_PEOPLE_PEOPLE_H
#define STANCH_PEOPLE_PEOPLE_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STANCH_TOKEN_PREFIX "stanch_" /* so that a scanner for leaked secrets finds it */
#define STANCH_TOKEN_BYTES  32        /* of randomness in a token */

/** What one may do; each holds all before it. */
enum stanch_may {
    STANCH_MAY_NOTHING,
    STANCH_MAY_READ,    /* look */
    STANCH_MAY_RESPOND, /* declare, note, start and cancel runs, take a role, stop */
    STANCH_MAY_APPROVE, /* answer questions and take mitigations back, in the roles that one holds */
    STANCH_MAY_ADMIN    /* runbooks, plugins, the store, resume */
};

struct stanch_people;

/** One who came in. */
struct stanch_principal {
    char name[160]; /* as entries call it: "person:ada", "token:grafana" */
    enum stanch_may may;
    char source[65]; /* events of this instance, and nothing else; "": no events */
};

/** data: borrowed, as above. ret: new. returns 0 | STANCH_E_INVALID: a name twice, a uid twice, a person who is not there */
int stanch_people_new(const json_t *data, struct stanch_people **ret, struct stanch_err *err);
/** From now on it says what `other` says, for whoever holds it. other: taken. */
void stanch_people_become(struct stanch_people *people, struct stanch_people *other);
/** NULL is accepted. */
void stanch_people_free(struct stanch_people *people);

/** "read", "respond", "approve", "admin"; "nothing". static */
const char *stanch_may_word(enum stanch_may may);
/** STANCH_MAY_NOTHING: no such word. */
enum stanch_may stanch_may_of(const char *word);

/** Who is behind a uid of this machine. returns 0 | STANCH_E_FORBIDDEN: nobody; the text says how to become somebody */
int stanch_people_by_uid(const struct stanch_people *people, uid_t uid, struct stanch_principal *ret,
                         struct stanch_err *err);
/** Who carries this token. A person's token acts as the person, with the lesser of what the two may. now_ms: wall time.
 *  returns 0 | STANCH_E_UNAUTHORIZED: unknown, or expired; the text tells nothing of the token */
int stanch_people_by_token(const struct stanch_people *people, const char *token, int64_t now_ms,
                           struct stanch_principal *ret, struct stanch_err *err);
/** The hash that the people file keeps of a token: SHA-256, hex. A token is as random as a key: it needs no slow hash. */
void stanch_token_hash(const char *token, char ret[65]);

/** Is there such a person, and what may it? name: "person:ada" or "ada". */
enum stanch_may stanch_people_may(const struct stanch_people *people, const char *name);
/** Who can be given a role at once when the roster is of no use: ["person:ada"], those of the pool; borrowed. */
const json_t *stanch_people_pool(const struct stanch_people *people);
/** Who is on call for a role at an instant by the people file alone: a list (its first), or a rotation. ret: "person:ada", or
 *  "" when the file does not say (no such role, or only a calendar knows). */
void stanch_people_on_call(const struct stanch_people *people, const char *role, int64_t at_ms, char ret[160]);
/** The instance of an ical plugin that knows who is on call for the role; NULL: none. borrowed */
const char *stanch_people_calendar(const struct stanch_people *people, const char *role);
/** Add the calendars of all roles to `names` (texts), each once. */
void stanch_people_calendars(const struct stanch_people *people, json_t *names);
/** The person whom a calendar calls so: by mail address (any case), or by name. ret: "person:ada", or "". */
void stanch_people_called(const struct stanch_people *people, const char *called, char ret[160]);
/** For who looks: {"people":[{"name","title"?,"may","roles":[...]}],"tokens":[{"name","person"?,"may","expires_ms"}]}, without
 *  hashes, uids and addresses. new */
json_t *stanch_people_list(const struct stanch_people *people);

#endif
