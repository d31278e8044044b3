/* api.h: the doors: every route of /v1 as one table; views of what is committed; the live stream.
 * Holds no state of the domain: changes go through flow.h, views come from the journal and from flow's status.
 */
#ifndef STANCH_API_API_H
#define STANCH_API_API_H
#include "flow.h"
#include "http/http.h"
#include "people/people.h"
#include "timeline/journal.h"

struct stanch_api;

/* A proxy that signs people on; all NULL: there is none. */
struct stanch_api_proxy {
    const char *secret_hash; /* stanch_token_hash of what it sends as X-Stanch-Proxy */
    const char *user;        /* the header that says who has signed on */
};

/** flow, journal, people (NULL: there is no people file): borrowed, must outlive it. proxy: copied. Starts the HTTP servers. ret: new. */
int stanch_api_start(struct stanch_loop *loop, const struct stanch_http_config *config, struct stanch_flow *flow,
                     struct stanch_journal *journal, const struct stanch_people *people,
                     const struct stanch_api_proxy *proxy, struct stanch_api **ret, struct stanch_err *err);
/** 503 for all that is new, /healthz and views go on. */
void stanch_api_drain(struct stanch_api *api);
void stanch_api_free(struct stanch_api *api);
int stanch_api_port(const struct stanch_api *api);

#endif
