/* stop.h: the one switch (PROMISES.md 1.15). It is a file in the state directory, so that it can be set by
 * hand with everything else broken: `stop`, JSON {"reason","by","at"} or anything at all. It is looked at
 * before every effect. Thread: loop thread.
 */
#ifndef STANCH_RUN_STOP_H
#define STANCH_RUN_STOP_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** Is the switch set? One stat(2); an error other than "no such file" counts as set. */
bool stanch_stop_is_set(const char *state_dir);
/** What the file says; NULL when it is not set. new: {"reason","by","at"}. */
json_t *stanch_stop_read(const char *state_dir);
/** Write and sync the file and its directory. Idempotent: a switch that is set keeps its first reason.
 *  returns 0 | STANCH_E_SYSTEM */
int stanch_stop_set(const char *state_dir, const char *reason, const char *by, int64_t at_ms, struct stanch_err *err);
/** Remove it and sync the directory. returns 0 (also when it was not set) | STANCH_E_SYSTEM */
int stanch_stop_clear(const char *state_dir, struct stanch_err *err);

#endif
