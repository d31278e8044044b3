/* serve_rehearse_parts.h: `stanch rehearse` as its files share it. */
#ifndef STANCH_SERVE_REHEARSE_PARTS_H
#define STANCH_SERVE_REHEARSE_PARTS_H
#include "base/err.h"
#include <jansson.h>

/** Run these words (argv[0] is "rehearse") in so many processes of this executable, each with a slice of the tests, and put their
 *  reports together. ret: new. returns 0 | the first that could not begin; what it says is on stderr */
int stanch_rehearse__in_jobs(int argc, char **argv, int jobs, json_t **ret, struct stanch_err *err);

#endif
