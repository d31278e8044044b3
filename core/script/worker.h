/* worker.h: inside of a worker: one activation, from its start frame to its end frame.
 * Used by runner_main.c, after the fork and stanch_jail_enter. script/README.md has the frames.
 */
#ifndef STANCH_SCRIPT_WORKER_H
#define STANCH_SCRIPT_WORKER_H
#include "script/vm.h"

/** Serve the activation that comes over descriptor `fd`. vm: taken. */
_Noreturn void stanch_worker_main(int fd, struct stanch_vm *vm);

#endif
