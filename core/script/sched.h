/* sched.h: the body of a run and the branches of `parallel`, each a coroutine; wants out, answers in.
 *
 *   resume all that can go on -> all blocked: number the new wants, send them -> one answer -> resume its branch
 *
 * The order is the program's own: branches in the order they were made, answers in the order they are given. So
 * the same answers in the same order give the same wants, which is all that a replay is.
 * Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_SCHED_H
#define STANCH_SCRIPT_SCHED_H
#include "script/vm.h"

struct stanch_sched_exchange {
    /** Give the new wants (borrowed array, may be empty), wait for one answer. ret_answer: new.
     *  returns 0 | an error that ends the run */
    int (*exchange)(void *ctx, const json_t *wants, int64_t *ret_n, json_t **ret_answer, struct stanch_err *err);
    void *ctx;
};

/** Call the function under its `nargs` arguments on the stack of vm->L (popped), in phase RUNNING.
 *  returns 0 with ret new: what it returned | STANCH_E_SCRIPT with ret new: the error, see stanch_vm_error |
 *  an error of the exchange (err says which) */
int stanch_sched_run(struct stanch_vm *vm, int nargs, const struct stanch_sched_exchange *io, json_t **ret,
                     struct stanch_err *err);

#endif
