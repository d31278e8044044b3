/* pager.h: people are told of the questions that wait for them, and of what runbooks page, through instances that the
 * configuration names (`paging.via`).
 *
 *   committed entry --follow--> subject (A-7, P-3) --look--> what an instance should know, against what it was told
 *                                    --call--> told: notice.told, notice.closed | failed: said, tried again
 *
 * The pager has no state of its own that matters: what should be known follows from the question's document, what was
 * told from the notices in the journal. So a restart begins by looking at all that is open; told twice is once, since
 * the key is the subject's id. Nothing waits for it: the engine does not know that it is there.
 * Callers  serve.c.  Calls: timeline/, plugin/ (through its port).   Thread: loop thread.
 */
#ifndef STANCH_PAGE_PAGER_H
#define STANCH_PAGE_PAGER_H
#include "plugin/plugin.h"

struct stanch_journal;
struct stanch_pager;

/* plugin/plugin.h: stanch_plugins_describe, stanch_plugins_call. */
struct stanch_pager_port {
    const json_t *(*describe)(void *ctx, const char *instance);
    int (*call)(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err);
    void *ctx;
};

/** Can the instances of the section `paging` page? One that is not up is not looked at. paging: NULL or null: there is
 *  nothing to check.  returns 0 | STANCH_E_INVALID (text names the instance and what it lacks) */
int stanch_pager_check(const json_t *paging, const struct stanch_pager_port *port, struct stanch_err *err);
/** paging: the section of the configuration ("drill": of a drill, its id, and all that is told says so), or null: then nobody is told, and what was begun before is closed; borrowed,
 *  must outlive it, as must journal. port: copied. Looks at all that is open, then follows. ret: new. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_pager_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *paging,
                       const struct stanch_pager_port *port, struct stanch_pager **ret, struct stanch_err *err);
/** new: {"waiting","failing","told","failures","via":[{"instance","state":"working"|"failing","why"?,"waiting","told",
 *  "failures"}]} */
json_t *stanch_pager_status(const struct stanch_pager *pager);
/** It is over for people, whatever is open still (a drill has ended): instances hear so of all that they were told of, and of nothing new.
 *  They have when the status says that nothing is waiting. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_pager_end(struct stanch_pager *pager, struct stanch_err *err);
/** The same of one whose process was killed, before anything else is done with it: what was open then is ended also where it is not known
 *  that anybody was told, for the answer may have been lost with the process. The end of what never began is nothing. */
int stanch_pager_end_killed(struct stanch_pager *pager, struct stanch_err *err);
/** Nothing is called or appended any more, and nothing followed; before the plugins are freed. Accepts NULL. */
void stanch_pager_halt(struct stanch_pager *pager);
/** After the plugins are freed. Accepts NULL. */
void stanch_pager_free(struct stanch_pager *pager);

#endif
