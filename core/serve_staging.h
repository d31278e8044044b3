/* serve_staging.h: the real instances of a staging drill. Thread: loop thread. */
#ifndef STANCH_SERVE_STAGING_H
#define STANCH_SERVE_STAGING_H
#include "base/err.h"
#include "base/loop.h"
#include <jansson.h>

struct stanch_plugins;

struct stanch_staging {
    struct stanch_loop *loop;
    const json_t *config; /* evaluated; its drills.environments say where drills may act */
    const char *plugins;  /* where the plugins are; NULL: as the configuration says */
    const char *dir;      /* of the drill */
};
/** Start hosts and wait for them. instances: {name in the runbooks: name of the instance that stands for it}; borrowed.
 *  ret: new; free with stanch_plugins_free. returns 0 | STANCH_E_REFUSED one is of another environment, or has none, or has the settings of one
 *  of such | STANCH_E_NOT_FOUND | STANCH_E_INVALID | as a host fails */
int stanch_staging_open(const struct stanch_staging *staging, const json_t *instances, struct stanch_plugins **ret,
                        struct stanch_err *err);

#endif
