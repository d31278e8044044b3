/* herald.h: people are told of drills, and that they are drills: announced, begins in an hour, begins, is over, was missed.
 *
 *   committed drill.* entry --follow--> instances of `drills.tell` --send--> drill.told | drill.untold (after three tries, with pauses of 10 and 60 seconds)
 *
 * What an instance was told last is in the drill's document ("told": {instance: state}), so a daemon that comes up again tells what the last
 * one did not (of what is over only what ended within a day). It tells, it does not page: only instances whose plugin has a `send` action (as page/ knows it), and never one that only triggers.
 * Nothing waits for it. Callers  serve.c.  Calls: timeline/, plugin/ (through its port).   Thread: loop thread.
 */
#ifndef STANCH_GAMEDAY_HERALD_H
#define STANCH_GAMEDAY_HERALD_H
#include "base/loop.h"
#include "page/pager.h"

struct stanch_herald;

/** Can the instances tell? One that is not up is not looked at. returns 0 | STANCH_E_INVALID (names the instance, and what it lacks) */
int stanch_herald_check(const json_t *tell, const struct stanch_pager_port *port, struct stanch_err *err);
/** tell: names of instances, or null; url: where people find stanch, or NULL; both borrowed, must outlive it, as must journal. port: copied.
 *  ret: new. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_herald_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *tell, const char *url,
                        const struct stanch_pager_port *port, struct stanch_herald **ret, struct stanch_err *err);
/** Nothing is called or appended any more; before the plugins are freed. Accepts NULL. */
void stanch_herald_halt(struct stanch_herald *herald);
/** After the plugins are freed. Accepts NULL. */
void stanch_herald_free(struct stanch_herald *herald);

#endif
