/* room.h: what the files of this folder share: the routes as one table, and a call on its way. Nobody else
 * includes it, but for the test that holds the OpenAPI file to the table.
 *
 *   request -> route -> authorize -> body -> handler -> flow (a change) | journal (a view) -> answer
 */
#ifndef STANCH_API_ROOM_H
#define STANCH_API_ROOM_H
#include "api/api.h"

#define STANCH_API__PARTS   2 /* {id}s in a path */
#define STANCH_API__STREAMS 64

struct stanch_api__call;

struct stanch_api__route {
    const char *method, *pattern;
    enum stanch_may
        needs;    /* NOTHING: it tells nothing of what goes on, or its source checks the credential in its plugin */
    bool changes; /* refused while draining */
    void (*handle)(struct stanch_api__call *call);
    const char *command; /* of flow.h, for handle_change; a noun, for list and get */
    const char *ids;     /* names of the path's {}s in the command's input: "incident" */
    const char *body;    /* members taken: "title:s! severity:s"; ! must be there; s o a n b; NULL: no body */
    int status;          /* of success */
};
const struct stanch_api__route *stanch_api__route_table(int *ret_count);
/* returns 0 | STANCH_E_NOT_FOUND | STANCH_E_METHOD; allow: a buffer of the methods that exist, for METHOD */
int stanch_api__route_find(const char *method, const char *path, const struct stanch_api__route **ret,
                           char *ret_parts[STANCH_API__PARTS], char ret_allow[64], struct stanch_err *err);

struct stanch_api {
    struct stanch_loop *loop;
    struct stanch_http *http;
    struct stanch_flow *flow;
    struct stanch_journal *journal;
    const struct stanch_people *people; /* NULL: there is no people file */
    char proxy_hash[65];                /* of the secret of the proxy that signs people on; "": there is none */
    char proxy_user[128];               /* its header */
    bool draining;
    struct stanch_api__live *live; /* streams, a list */
    int live_count;
    struct stanch_api__reading *readings; /* reports in the making, a list */
    int reading_count;
};

struct stanch_api__call {
    struct stanch_api *api; /* not valid any more when flow answers: the answer may come after the end */
    struct stanch_http_request *request;
    const struct stanch_api__route *route;
    char *parts[STANCH_API__PARTS];
    struct stanch_principal who; /* name "": nobody, on a route that needs nobody */
    json_t *body;
};
void stanch_api__call_free(struct stanch_api__call *call);
/* Both end the call. where may be NULL. value: borrowed; times are added. */
void stanch_api__fail(struct stanch_api__call *call, const struct stanch_err *err, const char *where);
void stanch_api__answer(struct stanch_api__call *call, const json_t *value);
/* The same of what flow answered: err may be NULL or say nothing, then rc's word is told. */
void stanch_api__fail_with(struct stanch_api__call *call, int rc, const struct stanch_err *err, const char *where);

/* who.c: fills call->who. returns 0 | STANCH_E_UNAUTHORIZED | STANCH_E_FORBIDDEN; what is refused is an entry */
int stanch_api__authorize(struct stanch_api__call *call, struct stanch_err *err);
/* A webhook: when it carries a token of the people file, that must be for this source; then call->who says so. Any other
 * credential is the source's own, and looked at in its plugin. returns as above */
int stanch_api__authorize_source(struct stanch_api__call *call, struct stanch_err *err);
/* Does the route need more of this call than its row says? with: " with ..."; as above */
int stanch_api__require(struct stanch_api__call *call, enum stanch_may needs, const char *with, struct stanch_err *err);

/* body.c: parse and check against the route's members. ret: new, an object. where: filled on error */
int stanch_api__read_body(const struct stanch_api__call *call, json_t **ret, char where[120], struct stanch_err *err);
/* A number in the query. returns 0 | STANCH_E_INVALID */
int stanch_api__query_int(const struct stanch_api__call *call, const char *key, int64_t min, int64_t max,
                          int64_t otherwise, int64_t *ret, struct stanch_err *err);

/* body.c: which of the forms an answer is to have: "format" says it, else what is accepted first. forms: by bit; STANCH_API__JSON is always among
 * them. returns 0 | STANCH_E_INVALID the text says which there are */
enum stanch_api__form { STANCH_API__JSON = 1, STANCH_API__MARKDOWN = 2, STANCH_API__HTML = 4 };
int stanch_api__read_form(const struct stanch_api__call *call, int forms, enum stanch_api__form *ret,
                          struct stanch_err *err);

/* view.c: beside every wall time "x_ms" its text "x". new */
json_t *stanch_api__view(const json_t *doc);

/* handlers */
void stanch_api__receive(struct stanch_api__call *call);
void stanch_api__test_source(struct stanch_api__call *call);
void stanch_api__change(struct stanch_api__call *call);
void stanch_api__patch_incident(struct stanch_api__call *call);
void stanch_api__give_role(struct stanch_api__call *call);
void stanch_api__add_entry(struct stanch_api__call *call);
void stanch_api__resolve_step(struct stanch_api__call *call);
void stanch_api__list(struct stanch_api__call *call);
void stanch_api__get(struct stanch_api__call *call);
/** The document that the path names; NULL: the call has ended. new */
json_t *stanch_api__find(struct stanch_api__call *call, const char *noun);
void stanch_api__get_run(struct stanch_api__call *call);
void stanch_api__runs_of(struct stanch_api__call *call);
void stanch_api__why(struct stanch_api__call *call);
void stanch_api__timeline(struct stanch_api__call *call);
void stanch_api__report(struct stanch_api__call *call);
void stanch_api__begin_drill(struct stanch_api__call *call);
void stanch_api__coming_drills(struct stanch_api__call *call);
void stanch_api__drill_calendar(struct stanch_api__call *call);
void stanch_api__drill_report(struct stanch_api__call *call);
void stanch_api__runbooks(struct stanch_api__call *call);
void stanch_api__runbook(struct stanch_api__call *call);
void stanch_api__plugins(struct stanch_api__call *call);
void stanch_api__plugin(struct stanch_api__call *call);
void stanch_api__people(struct stanch_api__call *call);
void stanch_api__whoami(struct stanch_api__call *call);
void stanch_api__status(struct stanch_api__call *call);
void stanch_api__healthz(struct stanch_api__call *call);
void stanch_api__readyz(struct stanch_api__call *call);
void stanch_api__metrics(struct stanch_api__call *call);
void stanch_api__openapi(struct stanch_api__call *call);
void stanch_api__stream(struct stanch_api__call *call);

/* live.c */
void stanch_api__live_end_all(struct stanch_api *api);

/* report.c: the server ends, reports in the making are dropped */
void stanch_api__readings_end_all(struct stanch_api *api);

/* generated from openapi.json */
extern const char stanch_api__openapi_text[];
extern const unsigned long stanch_api__openapi_len;

#endif
