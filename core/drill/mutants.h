/* mutants.h: the tests played against changed runbooks: a mutant that no test notices is a mistake that none would notice.
 * Thread: loop thread; synchronous.
 */
#ifndef STANCH_DRILL_MUTANTS_H
#define STANCH_DRILL_MUTANTS_H
#include "drill/tests.h"

/** Each mutant of each runbook (mutate.h) until a test fails. scenarios: what stanch_tests_list gave. Of all mutants those whose
 *  number modulo slices is slice. ret: new: [{"number","path","line","what","caught":bool,"by"?:name of the test}]
 *  returns 0 | STANCH_E_INVALID a source that cannot be read */
int stanch_mutants_try(struct stanch_stage *stage, const json_t *scenarios, int slice, int slices, json_t **ret,
                       struct stanch_err *err);

#endif
