/* tests.h: `stanch runbook test`: all tests of a folder, each played alone; with faults and crashes played again and again.
 *
 *   plain      what the test expects                          faults  every call upset in every way: the run ends or asks,
 *   crash      killed after every commit: the same end                 nothing is done twice, nothing is in force unsaid;
 *                                                                      what may be repeated, repeated: the same end
 *
 * Thread: loop thread; synchronous.
 */
#ifndef STANCH_DRILL_TESTS_H
#define STANCH_DRILL_TESTS_H
#include "drill/rehearsal.h"

struct stanch_tests_options {
    const char *filter; /* only tests whose path or name has this in it; NULL: all */
    bool faults, crash, cover, mutate;
    int slice, slices; /* of the tests that match, those whose number modulo slices is slice */
};

/** All tests that match the filter, as their files declare them, with "index": their number in the file. Files that cannot be read are
 *  left out. ret: new */
json_t *stanch_tests_list(struct stanch_stage *stage, const char *filter);
/** ret: new: {"tests":[{"number","path","line","name","ok":bool,"failures":[text],"took_us","plays":n}], "covered":{path:{line:true}},
 *  "lines"?:{path:[line]} with cover, "mutants"?:[...as mutants.h] with mutate, when no test failed}
 *  returns 0 (also when some failed) | what could not be begun at all */
int stanch_tests_run(struct stanch_stage *stage, const struct stanch_tests_options *options, json_t **ret,
                     struct stanch_err *err);

#endif
