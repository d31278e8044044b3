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

/** flow, journal, people (NULL: there is no people file): borrowed, must outlive it. Starts the HTTP servers. ret: new. */
int stanch_api_start(struct stanch_loop *loop, const struct stanch_http_config *config, struct stanch_flow *flow,
                     struct stanch_journal *journal, const struct stanch_people *people, struct stanch_api **ret,
                     struct stanch_err *err);
/** 503 for all that is new, /healthz and views go on. */
void stanch_api_drain(struct stanch_api *api);
void stanch_api_free(struct stanch_api *api);
int stanch_api_port(const struct stanch_api *api);

#endif
