/* scenario.h: inside of a worker: a test or a drill (scenario.lua), as an activation of its own.
 *
 *   install the words -> evaluate the file -> list what it declares, or play one: its world answers for all plugins
 *
 * Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_SCENARIO_H
#define STANCH_SCRIPT_SCENARIO_H
#include "script/sched.h"

/** Install `test`, `drill`, `fails`, `unknown` as globals, before the table of globals is closed. plays: one is to be played, and what the file
 *  declares was checked when it was listed. May raise. */
void stanch_scenario_install(lua_State *L, bool plays);
/** After the file was evaluated. input: {"list":true}, or {"index":n} (from 1). ret: new: the list or the verdict; or the error.
 *  returns as stanch_sched_run */
int stanch_scenario_run(struct stanch_vm *vm, const json_t *input, const struct stanch_sched_exchange *io, json_t **ret,
                        struct stanch_err *err);

#endif
